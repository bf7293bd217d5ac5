// One round of refinement, without gradients.
#include "merge/round.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "merge/choice.h"
#include "merge/counts.h"
#include "merge/locks.h"
#include "random.h"

namespace merge {
namespace {

struct RoundOptions {
  explicit RoundOptions(const Record& record)
      : mode(record.word("mode")),
        edit_threshold(record.number("editThreshold")),
        keep_threshold(record.number("keepThreshold")),
        fill_threshold(record.number("fillThreshold")),
        fill_share(record.number("fillShare")),
        temperature(record.number("temperature")),
        top_p(record.number("topP")),
        top_k(record.integer("topK")),
        counts{count_source_of(record.word("countSource")), record.number("lengthRatio"),
               record.integer("targetLength"), record.integer("maxLength")},
        shift(record.integer("shift")),
        seed(static_cast<uint64_t>(record.integer("seed"))),
        round(static_cast<uint64_t>(record.integer("round"))) {}

  std::string mode;
  double edit_threshold, keep_threshold, fill_threshold, fill_share, temperature, top_p;
  int64_t top_k;
  CountOptions counts;
  int64_t shift;  // the token that changes the one behind it (a capital shift), -1: there is none
  uint64_t seed, round;
};

std::vector<float> host_floats(const Tensor& tensor) {
  const Tensor host = tensor.to(at::kCPU, at::kFloat).contiguous();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
}

// Draws from the temperature-scaled distribution cut to its top_k and then its top_p mass. The probability reported is
// the model's own, at temperature 1.
Choice sample(const float* probability, int64_t vocabulary, const RoundOptions& options, double uniform) {
  std::vector<int64_t> order(static_cast<size_t>(vocabulary));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return probability[a] > probability[b]; });
  if (options.top_k > 0) order.resize(static_cast<size_t>(std::min(options.top_k, vocabulary)));
  std::vector<double> weight(order.size());
  double total = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    weight[i] = std::pow(static_cast<double>(probability[order[i]]), 1.0 / options.temperature);
    total += weight[i];
  }
  size_t count = 0;
  double mass = 0;
  while (count < order.size() && (count == 0 || mass < options.top_p * total)) mass += weight[count++];
  double left = uniform * mass;
  size_t pick = 0;
  while (pick + 1 < count && left >= weight[pick]) left -= weight[pick++];
  return {order[pick], probability[order[pick]]};
}

std::vector<Choice> choose(const Model& model, const Tensor& masks_MD, std::vector<int64_t> before_locked,
                           const RoundOptions& options) {
  const ModelOptions& ids = model.options();
  const FillRules rules{{ids.pad, ids.bos, ids.eos, ids.mask, ids.sep}, options.shift, std::move(before_locked)};
  if (options.temperature == 0) return likeliest(model.head(), masks_MD, rules);
  std::vector<Choice> choices;
  const Random random(options.seed, 0, options.round, Purpose::kSample);
  model.head().look(masks_MD, [&](int64_t begin, const Tensor& logits_mV) {
    const Tensor host_mV = fill_probability(logits_mV, begin, rules).to(at::kCPU, at::kFloat).contiguous();
    const int64_t vocabulary = host_mV.size(1);
    for (int64_t m = 0; m < host_mV.size(0); ++m) {
      choices.push_back(
          sample(host_mV.const_data_ptr<float>() + m * vocabulary, vocabulary, options, random.uniform(begin + m)));
    }
  });
  return choices;
}

// 1 for each row that still has masks of an earlier round: it fills them before it deletes or takes more.
std::vector<uint8_t> rows_with_masks(const Rows& x, int32_t mask) {
  std::vector<uint8_t> waiting;
  for (int64_t r = 0; r < x.count(); ++r) {
    const auto row = x.row(r);
    waiting.push_back(std::find(row.begin(), row.end(), mask) != row.end() ? 1 : 0);
  }
  return waiting;
}

// Decision: H19. Which masks are filled now: those at least as sure as the threshold, and in any case the surest share
// of each row, at least one.
std::vector<uint8_t> sure_enough(const Masked& masked, const std::vector<Choice>& choices, double threshold,
                                 double share) {
  std::vector<uint8_t> sure(choices.size(), 0);
  for (size_t first = 0, row = 0; first < choices.size(); ++row) {
    size_t last = first;
    std::vector<size_t> order;
    for (; last < choices.size() && masked.masks[last] < masked.rows.offsets[row + 1]; ++last) {
      sure[last] = choices[last].probability >= threshold;
      order.push_back(last);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return choices[a].probability > choices[b].probability; });
    const auto least = static_cast<size_t>(std::ceil(share * static_cast<double>(order.size())));
    for (size_t i = 0; i < order.size() && i < std::max<size_t>(1, least); ++i) sure[order[i]] = 1;
    first = last;
  }
  return sure;
}

}  // namespace

RoundOutput refine_rows(const Model& model, const Record& record, const RoundInput& input, const States& before,
                        States& after) {
  at::NoGradGuard no_grad;
  const RoundOptions options(record);
  const Rows& x = input.rows;
  const int32_t mask = model.options().mask;
  RoundOutput output;

  // 1) gate
  const Beside beside{input.conditions, {}};
  const bool is_encoded = before.hidden_TD.defined();
  const Model::Reading reading = model.judge(is_encoded ? before : model.encode(x, beside));
  output.encoder_passes = is_encoded ? 0 : 1;
  output.gate_B = host_floats(reading.gate_B.sigmoid());
  const auto waiting_B = rows_with_masks(x, mask);
  for (int64_t r = 0; r < x.count(); ++r) {
    const bool opens = options.mode == "auto" && output.gate_B[r] > options.edit_threshold;
    output.edited_B.push_back(!waiting_B[r] && (options.mode == "edit" || opens) ? 1 : 0);
  }

  // 2) delete, Decision: H15, keep where p_keep is above the threshold; masks and locked tokens stay
  const auto keep_T = host_floats(reading.keep_T.sigmoid());
  std::vector<uint8_t> keep_N;
  for (int64_t r = 0; r < x.count(); ++r) {
    for (int64_t i = 0; i < x.length(r); ++i) {
      const size_t token = keep_N.size();
      output.keep_N.push_back(keep_T[reading.states.token(r, i)]);
      const bool stays = !output.edited_B[r] || input.locked_N[token] || x.tokens[token] == mask;
      keep_N.push_back(stays || output.keep_N.back() > options.keep_threshold ? 1 : 0);
    }
  }
  if (options.shift >= 0) drop_loose_shifts(input, options.shift, keep_N);
  const Skeleton skeleton = drop(x, keep_N);

  // 3) insert
  const Inserter::Output gaps = model.gaps(reading.states, x, skeleton, beside);
  output.encoder_passes += model.options().encodings == 3 ? 1 : 0;
  Counts counts = choose_counts(gaps, x, skeleton, open_gaps(x, skeleton, input.open_G), waiting_B, options.counts);
  output.truncated_B = std::move(counts.truncated_B);

  // 4) fill
  Masked masked = insert(skeleton, counts.counts_G, mask);
  with_standing_masks(masked, mask);
  output.confidence.assign(masked.rows.tokens.size(), 1.0f);
  const bool is_unchanged = masked.rows.tokens == x.tokens && masked.masks.empty();
  if (is_unchanged) after = reading.states;
  if (!masked.masks.empty() || (model.options().encodings == 1 && !is_unchanged)) {
    Model::Filled fill = model.fill(x, skeleton, masked, beside);
    after = std::move(fill.states);
    output.encoder_passes += 1;
    const auto choices = choose(model, fill.masks_MD, masks_before_locked(input, masked), options);
    const auto sure = sure_enough(masked, choices, options.fill_threshold, options.fill_share);
    for (size_t m = 0; m < choices.size(); ++m) {
      if (sure[m]) masked.rows.tokens[masked.masks[m]] = static_cast<int32_t>(choices[m].token);
      output.confidence[masked.masks[m]] = sure[m] ? choices[m].probability : 0;
    }
  }
  output.rows = std::move(masked.rows);
  output.source = std::move(masked.source);
  return output;
}

}  // namespace merge
