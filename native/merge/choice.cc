// Choice: forbidden tokens get no probability.
#include "merge/choice.h"

#include <cmath>

#include "nn/packed.h"

namespace merge {

Tensor fill_probability(const Tensor& logits_MV, const FillRules& rules) {
  Tensor allowed_MV = logits_MV.clone();
  for (const int64_t id : rules.places) allowed_MV.select(1, id).fill_(-INFINITY);
  if (rules.shift >= 0 && !rules.before_locked.empty()) {
    allowed_MV.select(1, rules.shift)
        .index_fill_(0, nn::index_tensor(rules.before_locked, allowed_MV.device()), -INFINITY);
  }
  return at::softmax(allowed_MV, 1);
}

std::vector<Choice> likeliest(const Tensor& probability_MV) {
  const auto [best_M, token_M] = probability_MV.max(1);
  const Tensor best = best_M.to(at::kCPU, at::kFloat).contiguous(), token = token_M.to(at::kCPU).contiguous();
  std::vector<Choice> choices;
  for (int64_t m = 0; m < best.size(0); ++m) {
    choices.push_back({token.const_data_ptr<int64_t>()[m], best.const_data_ptr<float>()[m]});
  }
  return choices;
}

}  // namespace merge
