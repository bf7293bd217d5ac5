// Gate: pooled states, and one doubt that a single wrong token is enough to raise.
#include "merge/gate.h"

#include <cmath>

#include "nn/product.h"
#include "ops/row_pool.h"

namespace merge {
namespace {

// log(e^-10 + sum_i exp(-logit_i)) over a row's tokens, sentinels left out; the small term gives an empty row its
// value.
Tensor doubt(const Tensor& keep_logits_T, const Offsets& offsets) {
  std::vector<int64_t> tokens, rows;
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    for (int64_t t = offsets[r] + 1; t + 1 < offsets[r + 1]; ++t) {
      tokens.push_back(t);
      rows.push_back(static_cast<int64_t>(r));
    }
  }
  const auto device = keep_logits_T.device();
  const Tensor odds_N = (-keep_logits_T.index_select(0, nn::index_tensor(tokens, device))).clamp_max(60).exp();
  const Tensor start_B = at::full({static_cast<int64_t>(offsets.size()) - 1}, std::exp(-10.0), odds_N.options());
  return start_B.index_add(0, nn::index_tensor(rows, device), odds_N).log();
}

}  // namespace

Gate::Gate(nn::Parameters& parameters, const std::string& features, const nn::BlockOptions& options)
    : doubt_(features == "doubt"), epsilon_(options.norm_epsilon) {
  const int64_t pooled = doubt_ ? 2 * options.width : options.width;
  norm_weight_ = parameters.add("gate.norm.weight", {pooled}, {.value = 1});
  norm_bias_ = parameters.add("gate.norm.bias", {pooled}, {.value = 0});
  weight_ = parameters.add("gate.linear.weight", {1, pooled}, {.deviation = options.deviation});
  bias_ = parameters.add("gate.linear.bias", {1}, {.value = 0});
  if (doubt_) doubt_weight_ = parameters.add("gate.doubt.weight", {1}, {.value = 1});
}

Tensor Gate::forward(const Tensor& hidden_TD, const Tensor& keep_logits_T, const Offsets& offsets) const {
  Tensor pooled_BF = ops::row_mean_max(nn::widen(hidden_TD), offsets);
  if (!doubt_) pooled_BF = pooled_BF.narrow(1, 0, pooled_BF.size(1) / 2);
  const Tensor features_BF = at::layer_norm(pooled_BF, norm_weight_.sizes(), norm_weight_, norm_bias_, epsilon_);
  const Tensor logit_B = at::addmm(bias_, features_BF, weight_.t()).squeeze(1);
  return doubt_ ? logit_B + doubt_weight_ * doubt(keep_logits_T, offsets) : logit_B;
}

}  // namespace merge
