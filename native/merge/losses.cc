// The five aligned losses. Decision: H9 to H12.
// Binary cross-entropies are taken from logits: no clamp is needed there and a saturated mistake keeps its gradient.
#include "merge/losses.h"

#include "error.h"

namespace merge {

Tensor row_mean(const Tensor& values_N, const Tensor& rows_N, int64_t rows) {
  const Tensor empty_B = at::zeros({rows}, values_N.options());
  const Tensor count_B = empty_B.index_add(0, rows_N, at::ones_like(values_N));
  return empty_B.index_add(0, rows_N, values_N) / count_B.clamp_min(1);
}

Tensor has_values(const Tensor& rows_N, int64_t rows, const Tensor& like) {
  return at::zeros({rows}, like.options()).index_fill(0, rows_N, 1);
}

Tensor bernoulli_kl(const Tensor& p, const Tensor& q) {
  const Tensor a = p.clamp(kProbabilityFloor, 1 - kProbabilityFloor);
  const Tensor b = q.clamp(kProbabilityFloor, 1 - kProbabilityFloor);
  return a * (a / b).log() + (1 - a) * ((1 - a) / (1 - b)).log();
}

void check_positions(const char* name, const Tensor& logits_MV, const Offsets& offsets, const Rows& targets) {
  const std::string loss = name;
  bool fits = logits_MV.dim() == 2 && static_cast<int64_t>(offsets.size()) == targets.count() + 1 &&
              offsets.front() == 0 && offsets.back() == logits_MV.size(0);
  for (size_t r = 0; fits && r + 1 < offsets.size(); ++r) fits = offsets[r] <= offsets[r + 1];
  if (!fits) {
    throw Error("ERR_SHAPE", loss + ": expected positions in as many rows as the targets have, received others");
  }
  for (const int32_t token : targets.tokens) {
    if (token >= 0 && token < logits_MV.size(1)) continue;
    throw Error("ERR_INPUT", loss + " targets: expected tokens below " + std::to_string(logits_MV.size(1)) +
                                 ", received " + std::to_string(token));
  }
}

Tensor recon_loss(const Tensor& logits_MV, const Tensor& targets_M, double smoothing) {
  if (targets_M.numel() == 0) return logits_MV.sum();
  return at::cross_entropy_loss(logits_MV, targets_M, {}, at::Reduction::Mean, -100, smoothing);
}

Tensor compression_loss(const Tensor& keep_logits_N, const Tensor& keep_N, const Tensor& rows_N, const Tensor& gate_B,
                        double reduction, double kl_weight) {
  if (keep_N.numel() == 0) return keep_logits_N.sum();
  const int64_t rows = gate_B.size(0);
  const Tensor mean_B = row_mean(keep_logits_N.sigmoid(), rows_N, rows);
  const Tensor present_B = has_values(rows_N, rows, mean_B);
  const Tensor kl_B = bernoulli_kl(mean_B, 1 - reduction * gate_B) * present_B;
  return at::binary_cross_entropy_with_logits(keep_logits_N, keep_N) + kl_weight * kl_B.sum() / present_B.sum();
}

Tensor pointer_loss(const Tensor& count_GC, const Tensor& counts_G, const Tensor& score_G, const Tensor& rows_G,
                    int64_t rows, double smoothing, double entropy_weight) {
  const Tensor counts = at::cross_entropy_loss(count_GC, counts_G, {}, at::Reduction::Mean, -100, smoothing);
  if (entropy_weight == 0) return counts;
  // Entropy of a softmax: log Z - sum p * score, after the row's maximum is taken away.
  const Tensor top_B = at::zeros({rows}, score_G.options()).scatter_reduce(0, rows_G, score_G.detach(), "amax", false);
  const Tensor shifted_G = score_G - top_B.index_select(0, rows_G);
  const Tensor empty_B = at::zeros({rows}, score_G.options());
  const Tensor mass_B = empty_B.index_add(0, rows_G, shifted_G.exp());
  const Tensor weighted_B = empty_B.index_add(0, rows_G, shifted_G.exp() * shifted_G);
  return counts - entropy_weight * (mass_B.log() - weighted_B / mass_B).mean();
}

Tensor gate_loss(const Tensor& gate_logits_B, const Tensor& needs_B, double cost) {
  if (needs_B.numel() == 0) return gate_logits_B.sum();
  return at::binary_cross_entropy_with_logits(gate_logits_B, needs_B) + cost * gate_logits_B.sigmoid().mean();
}

Tensor length_loss(const Tensor& keep_logits_N, const Tensor& keep_N, const Tensor& rows_N, int64_t rows) {
  if (keep_N.numel() == 0) return keep_logits_N.sum();
  const Tensor off_B = row_mean(keep_logits_N.sigmoid(), rows_N, rows) - row_mean(keep_N, rows_N, rows);
  return off_B.square().sum() / has_values(rows_N, rows, off_B).sum();
}

}  // namespace merge
