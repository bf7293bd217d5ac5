// Model: the RemeDi network: the token stream (TPS) of LLaMA blocks, the policy stream (UPS) beside it, and the two
// heads (spec section 1; arXiv 2509.23653, section 3.1).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nn/block.h"
#include "nn/placement.h"
#include "record.h"
#include "remedi/visibility.h"
#include "rows.h"

namespace merge::remedi {

struct ModelOptions {
  int64_t vocabulary;  // rows of the embedding: ids below it may be read
  int64_t layers, max_length;
  int32_t mask;
  bool tied_head, scaled_logits;
  double rope_base;
  int64_t policy_blocks;                  // held; those beyond the positions are carried along unused
  std::vector<int64_t> policy_positions;  // rising; policy block i follows token block policy_positions[i]
  bool blank;                             // the weights come from a file: nothing is drawn
  nn::Placement placement;
  nn::BlockOptions block;  // with the low-rank updates of its projections
  bool policy_whole;       // beside low-rank updates of the token stream, all of the policy stream learns

  explicit ModelOptions(const Record& config);
};

// Packed rows as the model reads them: T positions in all.
struct Sequence {
  Offsets offsets{0};
  Tensor tokens_T;     // int64
  Tensor positions_T;  // int64
};

// What both streams say of T positions.
struct Streams {
  Tensor hidden_TD;     // of the token stream, normalised: what the head reads
  Tensor confidence_T;  // raw logits h in float32 or wider; sigmoid(h) is the confidence
};

// Attention of one layer. Token blocks are layers 0 .. n - 1, policy block i is layer n + i.
using LayerAttend = std::function<Tensor(int64_t layer, const Tensor& qkv)>;

class Model {
 public:
  explicit Model(const Record& config);

  // Rows from position 0, all on the model's device.
  Sequence sequence(const Rows& rows) const;
  // The same with given positions, one for each token.
  Sequence sequence(const Rows& rows, const std::vector<int32_t>& positions) const;

  // Both streams; every position sees what the bias of remedi::visibility_bias lets it, all of its row without one.
  Streams forward(const Sequence& sequence, const Tensor& bias = {}) const;
  // Both streams under any attention, such as one over a cache.
  Streams forward(const Sequence& sequence, const LayerAttend& attend) const;

  // The token head: hidden [M, D] -> logits [M, V], in float32 or wider.
  Tensor logits(const Tensor& hidden_MD) const;

  int64_t cache_layers() const { return options_.layers + static_cast<int64_t>(options_.policy_positions.size()); }
  ops::Heads heads() const { return blocks_.front().heads(); }
  const ModelOptions& options() const { return options_; }
  nn::Parameters& parameters() { return parameters_; }
  const nn::Parameters& parameters() const { return parameters_; }
  // True for parameters of the policy stream: the second learning-rate group.
  static bool is_policy(const std::string& parameter) { return parameter.rfind("policy.", 0) == 0; }

 private:
  // One stop of the policy stream: its block, and W_i RMSNorm_i(u) + b_i back into the token stream.
  struct Policy {
    nn::Block block;
    Tensor norm, weight, bias;
  };

  ModelOptions options_;
  nn::Parameters parameters_;
  Tensor embedding_, norm_, head_;
  std::vector<nn::Block> blocks_;
  std::vector<Policy> policy_;
  Tensor policy_norm_, confidence_, confidence_bias_;
};

}  // namespace merge::remedi
