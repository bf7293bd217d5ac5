// One round by the seed's own formulas: Drop, Insert, Fill on the model's own decisions, five literal losses.
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "merge/literal_losses.h"
#include "merge/unroll.h"
#include "ops/bernoulli_st.h"
#include "ops/pointer_st.h"
#include "ops/upload.h"

namespace merge {
namespace {

// k = max(1, |X| - |S|) masks of each row, cut to its gaps and to the longest row.
std::vector<int64_t> literal_k(const Rows& x, const Skeleton& skeleton, int64_t max_length) {
  std::vector<int64_t> k;
  for (int64_t r = 0; r < x.count(); ++r) {
    const int64_t length = skeleton.rows.length(r), wanted = std::max<int64_t>(1, x.length(r) - length);
    k.push_back(std::min({wanted, length + 1, std::max<int64_t>(0, max_length - length)}));
  }
  return k;
}

}  // namespace

RoundLoss literal_round(const Model& model, const StepOptions& options, const Way& way, const RoundDraw& draw,
                        double scale, Tally& tally) {
  const Rows &x = way.x, &y = way.y;
  const int64_t rows = x.count();

  // 1) gate: g_0 = 0 unless told otherwise
  const Model::Reading reading = read_way(model, way, tally);
  const auto device = reading.keep_T.device();
  const auto gate = drawn_gate(reading, rows, options, draw);
  const Tensor gate_B = ops::upload(gate, reading.gate_B.device()).to(reading.gate_B.scalar_type());

  // 2) delete: m ~ Bernoulli_ST(D1), under the gate
  const TokenKeeps keeps = token_keeps(reading, x, rows);
  const Tensor sample_N = ops::bernoulli_st(keeps.logits_N, {x.offsets.begin(), x.offsets.end()}, options.temperature,
                                            draw.draws.of(Purpose::kDelete))
                              .sample;
  const Tensor keep_N = effective_keep(sample_N, keeps.rows_N, reading.gate_B, gate, options.edit_threshold);
  std::vector<uint8_t> keep(x.tokens.size());
  {
    // sync: deletion happens on the host.
    const Tensor host_N = keep_N.detach().to(at::kCPU, at::kFloat).contiguous();
    for (size_t t = 0; t < keep.size(); ++t) keep[t] = host_N.const_data_ptr<float>()[t] > .5f;
  }
  const Skeleton skeleton = drop(x, keep);

  // 3) insert: the k best gaps, one mask each
  const Inserter::Output gaps = model.gaps(reading.states, x, skeleton, way.beside, keep_N);
  tally.passes += model.options().encodings == 3 ? 1 : 0;
  Offsets gap_offsets{0};
  std::vector<int64_t> gap_rows;
  for (int64_t r = 0; r < rows; ++r) {
    gap_rows.insert(gap_rows.end(), skeleton.rows.length(r) + 1, r);
    gap_offsets.push_back(static_cast<int64_t>(gap_rows.size()));
  }
  const auto k_B = literal_k(x, skeleton, model.options().max_length);
  const ops::StraightThrough pointed =
      ops::pointer_st(gaps.score_G, gap_offsets, k_B, options.temperature, draw.draws.of(Purpose::kPointerSt));
  std::vector<int32_t> counts(gap_rows.size());
  {
    // sync: insertion happens on the host.
    const Tensor host_G = pointed.sample.detach().to(at::kCPU, at::kFloat).contiguous();
    for (size_t g = 0; g < counts.size(); ++g) counts[g] = host_G.const_data_ptr<float>()[g] > .5f;
  }
  const Masked masked = insert(skeleton, counts, model.options().mask);

  // 4) fill
  const Tensor gaps_M = nn::index_tensor(masked.gaps, device);
  const Model::Filled fill =
      model.fill(x, skeleton, masked, way.beside, {keep_N, pointed.relaxed.index_select(0, gaps_M)});
  tally.passes += 1;
  tally.positions += static_cast<int64_t>(x.tokens.size() + masked.masks.size()) + 2 * rows;

  // 5) losses: reconstruction from the last round's logits alone
  const Tensor none = nn::widen(fill.masks_MD).sum() * 0;
  RoundLoss round{
      .terms = {.recon = draw.is_last ? unaligned_recon(model, fill.states, y, options) : none,
                .compression = literal_compression(keeps.logits_N, keeps.rows_N, gate_B, options.keep_reduction),
                .pointer = literal_pointer(gaps.score_G, nn::index_tensor(gap_rows, device), rows),
                .gate = literal_gate(reading.gate_B, options.gate_cost),
                .length = literal_length(keeps.logits_N, keeps.rows_N, rows)},
      .total = {},
      .next = {}};
  double value = 0;
  round.total = weighted(round.terms, options, value);
  const Fills fills = options.gradient == RoundGradient::kStop
                          ? Fills{model.head().best_words(fill.masks_MD), {}}
                          : relaxed_fill(model, model.head().logits(fill.masks_MD), options, draw);
  round.next = next_way(way, masked, fills, fill.states, rows);

  // The oracle only judges here, so that both profiles report the same numbers.
  at::NoGradGuard no_grad;
  Labels labels;
  Insertion oracle;
  {
    Stopwatch host(tally.host_seconds);
    labels = oracle_labels(x, y);
    oracle = oracle_insertion(skeleton, y, model.options().mask, model.options().max_insert);
  }
  tally.add(round.terms, value, scale);
  tally.judge(keeps.logits_N, floats(labels.keep_N, keeps.logits_N), gate_B, scale);
  tally.count(nn::index_tensor({counts.begin(), counts.end()}, device),
              nn::index_tensor({oracle.counts_G.begin(), oracle.counts_G.end()}, device));
  std::vector<int64_t> targets;
  const Rows next = round.next.x;
  for (const int64_t mask : masked.masks) {
    const int64_t row = std::upper_bound(next.offsets.begin(), next.offsets.end(), mask) - next.offsets.begin() - 1;
    const int64_t place = mask - next.offsets[row];
    targets.push_back(place < y.length(row) ? y.row(row)[static_cast<size_t>(place)] : -1);
  }
  tally.fill(fills.tokens_M, nn::index_tensor(targets, device));
  return round;
}

}  // namespace merge
