// Roll-in: states are made on the host, from counters.
#include "baselines/levt_rollin.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "merge/choice.h"

namespace merge::baselines {
namespace {

// What is drawn of Purpose::kRollIn for each row.
enum Draw : uint64_t { kSubsequenceDraw, kOwnDeletionDraw, kOwnFillDraw };

// Lets the model's own deletions, drawn from pi_del, take the place of the expert's in the chosen rows.
void delete_own(const Levt& model, const Rows& x, const std::vector<int64_t>& chosen, const Random& random,
                std::vector<uint8_t>& keep_N, Reading& reading) {
  Rows read;
  for (const int64_t r : chosen) read.append(x.row(r));
  const States states = model.encode(read);
  reading.passes += 1;
  reading.positions += states.offsets.back();
  // sync: deletion happens on the host.
  const Tensor keep_T = model.keep(states.hidden_TD).sigmoid().to(at::kCPU, at::kFloat).contiguous();
  for (size_t c = 0; c < chosen.size(); ++c) {
    const int64_t r = chosen[c];
    for (int64_t i = 0; i < x.length(r); ++i) {
      const float keep = keep_T.const_data_ptr<float>()[states.token(static_cast<int64_t>(c), i)];
      keep_N[x.offsets[r] + i] = random.uniform(r, i) < keep ? 1 : 0;
    }
  }
}

}  // namespace

Tensor drawn_tokens(const LevtOptions& options, int64_t begin, const Tensor& logits_mV, const Draws& draws) {
  const Random random = draws.of(Purpose::kOwnFill);
  const Tensor probability_mV = fill_probability(logits_mV, begin, {options.places(), -1, {}});
  std::vector<float> uniform;
  for (int64_t m = 0; m < logits_mV.size(0); ++m) uniform.push_back(static_cast<float>(random.uniform(begin + m)));
  const Tensor mass_mV = probability_mV.to(at::kFloat).cumsum(1);
  const Tensor draw_m1 = at::tensor(at::ArrayRef<float>(uniform)).to(mass_mV.device()).unsqueeze(1);
  // The first id whose mass reaches the draw, so never one that adds nothing.
  return at::searchsorted(mass_mV, draw_m1 * mass_mV.narrow(1, mass_mV.size(1) - 1, 1)).squeeze(1);
}

std::vector<uint8_t> kept_tokens(const Rows& x, const Rows& y) {
  std::vector<uint8_t> keep_N(x.tokens.size());
  at::parallel_for(0, x.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto keep = kept(x.length(r), align(x.row(r), y.row(r)));
      std::copy(keep.begin(), keep.end(), keep_N.begin() + x.offsets[r]);
    }
  });
  return keep_N;
}

Rows insertion_states(const Levt& model, const Rows& x, const Rows& y, const LevtShares& shares, const Draws& draws,
                      Reading& reading) {
  at::NoGradGuard no_grad;
  const Random chosen = draws.of(Purpose::kRollIn);
  const Rows parts = random_subsequence(y, draws.of(Purpose::kSubsequence));
  std::vector<uint8_t> keep_N = kept_tokens(x, y);
  std::vector<int64_t> own;
  const auto is_part = [&](int64_t r) { return chosen.uniform(r, kSubsequenceDraw) < shares.subsequence; };
  for (int64_t r = 0; r < x.count(); ++r) {
    if (!is_part(r) && chosen.uniform(r, kOwnDeletionDraw) < shares.own_deletion) own.push_back(r);
  }
  if (!own.empty()) delete_own(model, x, own, draws.of(Purpose::kDelete), keep_N, reading);
  const Rows left = drop(x, keep_N).rows;
  Rows states;
  for (int64_t r = 0; r < x.count(); ++r) states.append(is_part(r) ? parts.row(r) : left.row(r));
  return states;
}

Rows deletion_states(const Rows& x, const Masked& masked, const Tensor& drawn_M, double own_fill, const Draws& draws) {
  const Random chosen = draws.of(Purpose::kRollIn);
  const auto is_own = [&](int64_t r) { return chosen.uniform(r, kOwnFillDraw) < own_fill; };
  bool any = false;
  for (int64_t r = 0; r < x.count(); ++r) any = any || is_own(r);
  if (!any) return x;
  const Rows own = masked.masks.empty() ? masked.rows : filled(masked, drawn_M);
  Rows states;
  for (int64_t r = 0; r < x.count(); ++r) states.append(is_own(r) ? own.row(r) : x.row(r));
  return states;
}

}  // namespace merge::baselines
