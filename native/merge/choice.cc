// Choice: forbidden tokens get no probability.
#include "merge/choice.h"

#include <cmath>

#include "nn/packed.h"

namespace merge {

Tensor fill_probability(const Tensor& logits_mV, int64_t begin, const FillRules& rules) {
  Tensor allowed_mV = logits_mV.clone();
  for (const int64_t id : rules.places) allowed_mV.select(1, id).fill_(-INFINITY);
  if (rules.shift >= 0) {
    std::vector<int64_t> before_locked;
    for (const int64_t mask : rules.before_locked) {
      if (mask >= begin && mask < begin + logits_mV.size(0)) before_locked.push_back(mask - begin);
    }
    allowed_mV.select(1, rules.shift).index_fill_(0, nn::index_tensor(before_locked, allowed_mV.device()), -INFINITY);
  }
  return at::softmax(allowed_mV, 1);
}

std::vector<Choice> likeliest(const nn::Head& head, const Tensor& masks_MD, const FillRules& rules) {
  std::vector<Choice> choices;
  head.look(masks_MD, [&](int64_t begin, const Tensor& logits_mV) {
    const auto [best_m, token_m] = fill_probability(logits_mV, begin, rules).max(1);
    const Tensor best = best_m.to(at::kCPU, at::kFloat).contiguous(), token = token_m.to(at::kCPU).contiguous();
    for (int64_t m = 0; m < best.size(0); ++m) {
      choices.push_back({token.const_data_ptr<int64_t>()[m], best.const_data_ptr<float>()[m]});
    }
  });
  return choices;
}

}  // namespace merge
