// Model: the RemeDi network: the token stream (TPS) of LLaMA blocks, the policy stream (UPS) beside it, and the two
// heads (spec section 1; arXiv 2509.23653, section 3.1).
#pragma once

#include <string>
#include <vector>

#include "nn/token_stream.h"
#include "remedi/visibility.h"

namespace merge::remedi {

using nn::LayerAttend;  // token blocks are layers 0 .. n - 1, policy block i is layer n + i
using nn::Sequence;

struct ModelOptions : nn::TokenStreamOptions {  // its block with low-rank updates of the projections
  int32_t mask;
  int64_t policy_blocks;                  // held; those beyond the positions are carried along unused
  std::vector<int64_t> policy_positions;  // rising; policy block i follows token block policy_positions[i]
  bool policy_whole;  // beside low-rank updates of the token stream, all of the policy stream learns

  explicit ModelOptions(const Record& config);
};

// What both streams say of T positions.
struct Streams {
  Tensor hidden_TD;     // of the token stream, normalised: what the head reads
  Tensor confidence_T;  // raw logits h in float32 or wider; sigmoid(h) is the confidence
};

class Model {
 public:
  explicit Model(const Record& config);

  // Rows from position 0, all on the model's device.
  Sequence sequence(const Rows& rows) const { return stream_.sequence(rows); }
  // The same with given positions, one for each token.
  Sequence sequence(const Rows& rows, const std::vector<int32_t>& positions) const {
    return stream_.sequence(rows, positions);
  }

  // Both streams; every position sees what the bias of remedi::visibility_bias lets it, all of its row without one.
  Streams forward(const Sequence& sequence, const Tensor& bias = {}) const;
  // Both streams under any attention, such as one over a cache.
  Streams forward(const Sequence& sequence, const LayerAttend& attend) const;

  // The token head.
  const nn::Head& head() const { return stream_.head(); }

  int64_t cache_layers() const { return options_.layers + static_cast<int64_t>(options_.policy_positions.size()); }
  ops::Heads heads() const { return stream_.heads(); }
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
  nn::TokenStream stream_;
  std::vector<Policy> policy_;
  Tensor policy_norm_, confidence_, confidence_bias_;
};

}  // namespace merge::remedi
