// The five literal losses. Cross-entropy comes from logits, without a clamp; probabilities inside KL are clamped.
#include "merge/literal_losses.h"

#include <cmath>

#include "merge/losses.h"
#include "nn/packed.h"

namespace merge {

Tensor literal_recon(const Tensor& logits_TV, const Offsets& offsets, const Rows& targets) {
  const int64_t rows = targets.count();
  check_positions("literal_recon", logits_TV, offsets, targets);
  int64_t learning = 0;
  for (int64_t r = 0; r < rows; ++r) learning += targets.length(r) > 0;
  std::vector<int64_t> at_M, targets_M;
  std::vector<double> weights_M;
  double missing = 0;  // share of positions that the rows lack, summed over rows
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t length = targets.length(r), there = std::min(length, offsets[r + 1] - offsets[r]);
    if (length == 0) continue;
    for (int64_t t = 0; t < there; ++t) {
      at_M.push_back(offsets[r] + t);
      targets_M.push_back(targets.row(r)[t]);
      weights_M.push_back(1.0 / static_cast<double>(length * learning));
    }
    missing += static_cast<double>(length - there) / static_cast<double>(length * learning);
  }
  const at::Device device = logits_TV.device();
  const Tensor logits_MV = logits_TV.index_select(0, nn::index_tensor(at_M, device));
  const Tensor each_M = at::cross_entropy_loss(logits_MV, nn::index_tensor(targets_M, device), {}, at::Reduction::None);
  const Tensor weight_M = at::tensor(at::ArrayRef<double>(weights_M), at::kDouble).to(each_M.options());
  return (each_M * weight_M).sum() + missing * std::log(static_cast<double>(logits_TV.size(1)));
}

Tensor literal_compression(const Tensor& keep_logits_N, const Tensor& rows_N, const Tensor& gate_B, double reduction) {
  if (keep_logits_N.numel() == 0) return keep_logits_N.sum();
  return bernoulli_kl(keep_logits_N.sigmoid(), (1 - reduction * gate_B).index_select(0, rows_N)).mean();
}

Tensor literal_pointer(const Tensor& score_G, const Tensor& rows_G, int64_t rows) {
  if (score_G.numel() == 0) return score_G.sum();
  const Tensor none_B = at::zeros({rows}, score_G.options());
  const Tensor p_G = row_log_softmax(score_G, rows_G, rows).exp();
  const Tensor gaps_B = none_B.index_add(0, rows_G, at::ones_like(p_G.detach()));
  const Tensor a_G = p_G.clamp(kProbabilityFloor, 1 - kProbabilityFloor);
  const Tensor uniform_G = gaps_B.reciprocal().index_select(0, rows_G).clamp(kProbabilityFloor, 1 - kProbabilityFloor);
  const Tensor kl_B = none_B.index_add(0, rows_G, a_G * (a_G / uniform_G).log());
  return kl_B.sum() / has_values(rows_G, rows, kl_B).sum();
}

Tensor literal_gate(const Tensor& gate_logits_B, double cost) {
  if (gate_logits_B.numel() == 0) return gate_logits_B.sum();
  return cost * gate_logits_B.sigmoid().mean();
}

Tensor literal_length(const Tensor& keep_logits_N, const Tensor& rows_N, int64_t rows) {
  if (keep_logits_N.numel() == 0) return keep_logits_N.sum();
  const Tensor mean_B = row_mean(keep_logits_N.sigmoid(), rows_N, rows);
  return mean_B.sum() / has_values(rows_N, rows, mean_B).sum();
}

}  // namespace merge
