// TokenStream: embedding, LLaMA blocks, a norm, and the head over the vocabulary: GPT whole, and RemeDi's first stream.
// Which position sees which is the caller's matter.
#pragma once

#include <functional>
#include <vector>

#include "nn/block.h"
#include "nn/head.h"
#include "nn/placement.h"
#include "nn/rotary.h"
#include "record.h"
#include "rows.h"

namespace merge::nn {

struct TokenStreamOptions {
  int64_t vocabulary;  // rows of the embedding: ids below it may be read
  int64_t layers, max_length;
  bool tied_head;
  double logit_scale = 1;  // what the logits are multiplied by
  double rope_base;
  bool blank;  // the weights come from a file: nothing is drawn
  Placement placement;
  BlockOptions block;

  explicit TokenStreamOptions(const Record& config);

  Parameters::Start start() const { return blank ? Parameters::Start::kBlank : Parameters::Start::kDrawn; }
};

// Packed rows as a stream reads them: T positions in all.
struct Sequence {
  Offsets offsets{0};
  Tensor tokens_T;     // int64
  Tensor positions_T;  // int64
  Tensor added_TD;     // to the embeddings, [T, D] or [1, D]; undefined: nothing
};

// Attention of one layer.
using LayerAttend = std::function<Tensor(int64_t layer, const Tensor& qkv)>;
// What happens behind block b: its output x [T, D] and the angles -> what the next block reads.
using Behind = std::function<Tensor(int64_t b, const Tensor& x_TD, const Tensor& angles_TK)>;

class TokenStream {
 public:
  // Parameters embedding.weight, token.blocks.*, token.norm.weight, and head.weight unless it is tied.
  TokenStream(Parameters& parameters, const TokenStreamOptions& options);

  // On the model's device; row r begins at position begins[r], or 0 without any.
  Sequence sequence(const Rows& rows, const std::vector<int64_t>& begins = {}) const;
  // The same with a position for each token.
  Sequence sequence(const Rows& rows, const std::vector<int32_t>& positions) const;

  // Hidden states [T, D], normalised: what the head reads.
  Tensor forward(const Sequence& sequence, const LayerAttend& attend, const Behind& behind = {}) const;
  const Head& head() const { return head_; }

  ops::Heads heads() const { return blocks_.front().heads(); }

 private:
  TokenStreamOptions options_;
  Tensor embedding_, norm_;
  Head head_;
  std::vector<Block> blocks_;
  Rotary rotary_;
};

}  // namespace merge::nn
