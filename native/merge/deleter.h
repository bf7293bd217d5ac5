// D1, the deleter: the logit of keeping each position (spec section 1).
#pragma once

#include <memory>

#include "nn/encoder.h"

namespace merge {

class Deleter {
 public:
  // kind: "block" (one LLaMA block before the projection) or "linear".
  Deleter(nn::Parameters& parameters, const std::string& kind, const nn::BlockOptions& options);

  // hidden [T, D] -> keep logits [T] in float32 or wider; those of sentinels have no meaning.
  Tensor forward(const Tensor& hidden_TD, const nn::View& view) const;

 private:
  double epsilon_;
  std::unique_ptr<nn::Block> block_;
  Tensor norm_, weight_, bias_;
};

}  // namespace merge
