// Mask-predict in C++: who sees whom, cached against whole, gradients against finite differences, the order of
// remasking, lengths by brute force.
#define MERGE_CHECK_MAIN
#include <ATen/core/grad_mode.h>

#include <atomic>

#include "baselines/maskgit_filling.h"
#include "baselines/maskgit_training.h"
#include "baselines_tiny.h"
#include "check.h"

using namespace merge;
using baselines::MaskGit;

namespace {

const std::atomic<bool> kGoOn{false};
constexpr int32_t kMask = 3;

double worst(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

Rows rows_of(const std::vector<std::vector<int32_t>>& rows) {
  Rows packed;
  for (const auto& row : rows) packed.append(row);
  return packed;
}

Record config() {
  Record record = tiny::stream_config("maskgit", "float64");
  record.set("mask", int64_t{kMask});
  record.set("lengthRange", int64_t{3});
  return record;
}

Record fill_options() {
  Record options;
  options.set("temperature", 0.0);
  options.set("topP", 1.0);
  options.set("topK", int64_t{0});
  options.set("seed", int64_t{1});
  options.set("vocabulary", int64_t{20});
  return options;
}

// Targets behind sources 0, 1, .. of a cache; every token may become a mask.
DenoiseInput fill_input(const Rows& targets, const std::vector<double>& masks) {
  DenoiseInput input;
  input.blocks.rows = targets;
  for (int64_t r = 0; r < targets.count(); ++r) input.blocks.slots.push_back(static_cast<int32_t>(r));
  input.fate_N.assign(targets.tokens.size(), 0);
  input.columns_B = {{"masks", masks},
                     {"key", std::vector<double>(masks.size(), 5)},
                     {"draw", std::vector<double>(masks.size(), 0)},
                     {"noise", std::vector<double>(masks.size(), 0)},
                     {"confidence", std::vector<double>(targets.tokens.size(), .5)}};
  return input;
}

}  // namespace

TEST(a_source_never_sees_its_target_and_a_target_sees_all_of_its_row) {
  at::NoGradGuard no_grad;
  const MaskGit model(config());
  const Rows sources = rows_of({{1, 7, 9, 4}, {1, 8, 4}});
  const auto hidden = [&](const Rows& from, const Rows& to) { return model.forward_pairs(from, to); };
  const Tensor before = hidden(sources, rows_of({{7, kMask, 9}, {8}}));
  const Tensor other_target = hidden(sources, rows_of({{7, kMask, 10}, {8}}));
  CHECK(worst(before.slice(0, 0, 4), other_target.slice(0, 0, 4)) == 0);
  CHECK(worst(before[4], other_target[4]) > 1e-3);
  CHECK(worst(before[5], other_target[5]) > 1e-3);
  CHECK(worst(before.slice(0, 7, 11), other_target.slice(0, 7, 11)) == 0);
  const Tensor other_source = hidden(rows_of({{1, 7, 10, 4}, {1, 8, 4}}), rows_of({{7, kMask, 9}, {8}}));
  CHECK(worst(before[5], other_source[5]) > 1e-3);
}

TEST(a_target_behind_a_cache_is_the_target_of_a_whole_pass_and_rows_may_share_a_source) {
  at::NoGradGuard no_grad;
  const MaskGit model(config());
  nn::KvCache cache(3);
  model.remember(cache, rows_of({{1, 7, 9, 11, 4}, {1}}), {4, 9});
  const Rows targets = rows_of({{7, kMask, 9}, {kMask}, {5, 6, kMask, kMask}});
  const Tensor cached = model.forward_targets(cache, targets, {4, 9, 4});
  const Tensor whole = model.forward_pairs(rows_of({{1, 7, 9, 11, 4}, {1}, {1, 7, 9, 11, 4}}), targets);
  CHECK_NEAR(worst(cached, at::cat({whole.slice(0, 5, 8), whole.slice(0, 9, 10), whole.slice(0, 15, 19)})), 0, 1e-12);
}

TEST(gradients_of_both_losses_are_those_of_finite_differences) {
  MaskGit model(config());
  TrainBatch batch;
  batch.conditions = rows_of({{1, 7, 9, 4}, {1}, {1, 8, 4}, {1, 5, 4}});
  batch.targets = rows_of({{7, 9, 9}, {14, 15}, {}, {5, 6, 7, 8, 9, 10}});
  batch.drafts = rows_of({{7, kMask, kMask}, {kMask, 15}, {}, {5, 6, 7, kMask, 9, 10}});
  Record step;
  step.set("step", int64_t{0});
  step.set("accumulation", int64_t{2});
  step.set("weightLength", .7);
  step.set("labelSmoothing", .1);
  CHECK(tiny::worst_gradient(model.parameters(),
                             [&](bool learn) { return run_maskgit(model, step, batch, learn, kGoOn); }) < 1e-5);
  // The same numbers however the step is cut.
  const double two = std::get<double>(run_maskgit(model, step, batch, false, kGoOn).fields().at("total"));
  step.set("accumulation", int64_t{4});
  CHECK_NEAR(std::get<double>(run_maskgit(model, step, batch, false, kGoOn).fields().at("total")), two, 1e-12);
}

TEST(the_least_sure_become_masks_again) {
  at::NoGradGuard no_grad;
  const MaskGit model(config());
  nn::KvCache cache(3);
  model.remember(cache, rows_of({{1, 7, 9, 11, 4}, {1, 6, 4}}), {0, 1});
  const Rows targets = rows_of({{kMask, 7, kMask, kMask, 12}, {kMask, kMask}});
  DenoiseInput input = fill_input(targets, {2, 1});
  // The visible 7 is as unsure as can be, the 12 as sure.
  input.columns_B["confidence"] = {0, 1e-6, 0, 0, 1, 0, 0};
  input.forbidden = {0, 1, 2, 4};
  const DenoiseOutput output = fill(model, cache, fill_options(), input);
  // Brute force: probabilities of allowed tokens at each mask.
  Tensor logits = model.head().logits(model.forward_targets(cache, targets, {0, 1}));
  for (const int64_t id : {0, 1, 2, 3, 4}) logits.select(1, id).fill_(-INFINITY);
  const auto [best, tokens] = logits.softmax(1).max(1);
  std::vector<double> sure;
  for (int64_t t = 0; t < 7; ++t) {
    const bool masked = targets.tokens[t] == kMask;
    sure.push_back(masked ? best[t].item<double>() : input.columns_B["confidence"][t]);
    CHECK(output.candidate[t] == (masked ? tokens[t].item<int64_t>() : targets.tokens[t]));
    CHECK_NEAR(output.probability[t], sure.back(), 1e-6);
  }
  for (const auto& [begin, end, masks] : {std::tuple{0, 5, 2}, std::tuple{5, 7, 1}}) {
    for (int64_t t = begin; t < end; ++t) {
      int64_t surer = 0;
      for (int64_t u = begin; u < end; ++u) surer += sure[u] > sure[t];
      CHECK((output.tokens[t] == kMask) == (surer >= end - begin - masks));
    }
  }
  CHECK(output.tokens[1] == kMask && output.tokens[4] == 12);
  // What stays is settled, however unsure.
  input.fate_N[1] = 1;
  CHECK(fill(model, cache, fill_options(), input).tokens[1] == 7);
}

TEST(lengths_are_the_most_probable_ones_that_a_row_can_have) {
  at::NoGradGuard no_grad;
  const MaskGit model(config());
  CachedRows sources;
  sources.rows = rows_of({{1, 7, 4}, {1, 7, 8, 9, 10, 11, 12, 4}});
  sources.slots = {0, 1};
  Record options;
  options.set("count", int64_t{4});
  nn::KvCache cache(3);
  const LengthOutput output = measure(model, cache, options, sources);
  CHECK(cache.length(0) == 3 && cache.length(1) == 8);
  nn::KvCache other(3);
  const Tensor hidden = model.remember(other, sources.rows, {0, 1});
  const Tensor logits = model.length_logits(hidden.index_select(0, at::tensor({int64_t{0}, int64_t{3}})));
  for (int64_t r = 0; r < 2; ++r) {
    const int64_t own = r == 0 ? 1 : 6;
    std::vector<std::pair<double, int64_t>> all;
    double sum = 0;
    for (int64_t difference = -3; difference <= 3; ++difference) {
      if (own + difference < 0) continue;
      all.emplace_back(-logits[r][difference + 3].item<double>(), own + difference);
      sum += std::exp(-all.back().first);
    }
    std::sort(all.begin(), all.end());
    for (int64_t i = 0; i < 4; ++i) {
      CHECK(output.lengths[r * 4 + i] == all[i].second);
      CHECK_NEAR(output.probability[r * 4 + i], std::exp(-all[i].first) / sum, 1e-6);
    }
  }
}
