// One round, without gradients. A row that a step left as it is keeps its states, so a round that changes nothing is
// one pass; the paper's three are needed where tokens go and come.
#include "baselines/levt_round.h"

#include <ATen/core/grad_mode.h>

#include "merge/choice.h"
#include "merge/counts.h"
#include "merge/locks.h"

namespace merge::baselines {
namespace {

// States of S: those of X where nothing was deleted, the others read anew.
States states_of(const Levt& model, const States& of_x, const Rows& x, const Skeleton& skeleton, Reading& reading) {
  Rows changed;
  for (int64_t r = 0; r < x.count(); ++r) {
    if (skeleton.rows.length(r) != x.length(r)) changed.append(skeleton.rows.row(r));
  }
  if (changed.count() == 0) return of_x;
  const States fresh = model.encode(changed);
  reading.passes += 1;
  const int64_t behind = of_x.offsets.back();  // where the fresh states stand behind those of X
  States states{{0}, {}};
  std::vector<int64_t> positions;
  for (int64_t r = 0, next = 0; r < x.count(); ++r) {
    const bool is_fresh = skeleton.rows.length(r) != x.length(r);
    const int64_t begin = is_fresh ? behind + fresh.offsets[next++] : of_x.offsets[r];
    for (int64_t t = 0; t < skeleton.rows.length(r) + 2; ++t) positions.push_back(begin + t);
    states.offsets.push_back(static_cast<int64_t>(positions.size()));
  }
  states.hidden_TD =
      at::cat({of_x.hidden_TD, fresh.hidden_TD}).index_select(0, nn::index_tensor(positions, of_x.hidden_TD.device()));
  return states;
}

}  // namespace

RoundOutput refine_levt(const Levt& model, const Record& options, const RoundInput& input) {
  at::NoGradGuard no_grad;
  const Rows& x = input.rows;
  const int64_t shift = options.integer("shift");
  const double keep_threshold = options.number("keepThreshold");
  RoundOutput output;
  output.gate_B.assign(static_cast<size_t>(x.count()), 1.0f);
  output.edited_B.assign(static_cast<size_t>(x.count()), 1);

  // 1) delete
  Reading reading{1, 0};
  const States of_x = model.encode(x);
  const Tensor keep_T = model.keep(of_x.hidden_TD).sigmoid().to(at::kCPU, at::kFloat).contiguous();
  std::vector<uint8_t> keep_N;
  for (const int64_t position : token_positions(of_x)) {
    output.keep_N.push_back(keep_T.const_data_ptr<float>()[position]);
    keep_N.push_back(input.locked_N[keep_N.size()] || output.keep_N.back() > keep_threshold ? 1 : 0);
  }
  if (shift >= 0) drop_loose_shifts(input, shift, keep_N);
  const Skeleton skeleton = drop(x, keep_N);

  // 2) insert placeholders
  Inserter::Output gaps;
  gaps.count_GC = model.placeholders(states_of(model, of_x, x, skeleton, reading));
  gaps.count_GC.select(1, 0).sub_(options.number("emptyPenalty"));
  gaps.score_G = gaps.count_GC.select(1, 0).neg();
  Counts counts = choose_counts(gaps, x, skeleton, open_gaps(x, skeleton, input.open_G),
                                std::vector<uint8_t>(static_cast<size_t>(x.count()), 0),
                                {CountSource::kCounts, 0, 0, model.options().max_length});
  output.truncated_B = std::move(counts.truncated_B);

  // 3) fill them
  Masked masked = insert(skeleton, counts.counts_G, model.options().mask);
  with_standing_masks(masked, model.options().mask);
  output.confidence.assign(masked.rows.tokens.size(), 1.0f);
  if (!masked.masks.empty()) {
    const auto choices = likeliest(model.head(), mask_states(model, masked, reading),
                                   {model.options().places(), shift, masks_before_locked(input, masked)});
    for (size_t m = 0; m < choices.size(); ++m) {
      masked.rows.tokens[masked.masks[m]] = static_cast<int32_t>(choices[m].token);
      output.confidence[masked.masks[m]] = choices[m].probability;
    }
  }
  output.encoder_passes = reading.passes;
  output.rows = std::move(masked.rows);
  output.source = std::move(masked.source);
  return output;
}

}  // namespace merge::baselines
