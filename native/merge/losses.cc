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

Tensor row_log_softmax(const Tensor& score_G, const Tensor& rows_G, int64_t rows) {
  const Tensor none_B = at::zeros({rows}, score_G.options());
  const Tensor top_B = none_B.scatter_reduce(0, rows_G, score_G.detach(), "amax", false);
  const Tensor shifted_G = score_G - top_B.index_select(0, rows_G);
  return shifted_G - none_B.index_add(0, rows_G, shifted_G.exp()).log().index_select(0, rows_G);
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

Tensor recon_loss(const Tensor& loss_M) { return loss_M.numel() == 0 ? loss_M.sum() : loss_M.mean(); }

Tensor compression_loss(const Tensor& keep_logits_N, const Tensor& keep_N, const Tensor& rows_N, const Tensor& gate_B,
                        double reduction, double kl_weight) {
  if (keep_N.numel() == 0) return keep_logits_N.sum();
  const int64_t rows = gate_B.size(0);
  const Tensor mean_B = row_mean(keep_logits_N.sigmoid(), rows_N, rows);
  const Tensor present_B = has_values(rows_N, rows, mean_B);
  const Tensor kl_B = bernoulli_kl(mean_B, 1 - reduction * gate_B) * present_B;
  return at::binary_cross_entropy_with_logits(keep_logits_N, keep_N) + kl_weight * kl_B.sum() / present_B.sum();
}

Tensor count_loss(const Tensor& count_GC, const Tensor& counts_G, double smoothing) {
  return at::cross_entropy_loss(count_GC, counts_G, {}, at::Reduction::Mean, -100, smoothing);
}

Tensor poisson_loss(const Tensor& log_rate, const Tensor& counts) {
  const Tensor x = counts.to(log_rate.scalar_type());
  return (log_rate.exp() - x * log_rate - x + at::xlogy(x, x)).mean();
}

Tensor allotment_loss(const Tensor& score_G, const Tensor& counts_G, const Tensor& rows_G, int64_t rows) {
  const Tensor counts = counts_G.to(score_G.scalar_type());
  const Tensor total_B = at::zeros({rows}, score_G.options()).index_add(0, rows_G, counts);
  const Tensor share_G = counts / total_B.clamp_min(1).index_select(0, rows_G);
  const Tensor log_G = row_log_softmax(score_G, rows_G, rows);
  return -(share_G * log_G).sum() / total_B.gt(0).sum().clamp_min(1);
}

Tensor score_entropy(const Tensor& score_G, const Tensor& rows_G, int64_t rows) {
  const Tensor log_G = row_log_softmax(score_G, rows_G, rows);
  return -(log_G.exp() * log_G).sum() / std::max<int64_t>(1, rows);
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
