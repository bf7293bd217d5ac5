// One denoising step of RemeDi: the cache against the whole row, who is kept, who is remasked, and what is proposed.
#define MERGE_CHECK_MAIN
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "check.h"
#include "engine.h"
#include "remedi/model.h"
#include "remedi/proposal.h"
#include "remedi_tiny.h"

using namespace merge;

namespace {

constexpr int32_t kMask = 3;

Record options(const std::string& policy, const std::string& source) {
  Record record;
  record.set("policy", Record::Value(policy));
  record.set("confidenceSource", Record::Value(source));
  for (const auto& [name, value] : std::map<std::string, double>{
           {"temperature", 0}, {"topP", 1}, {"topK", 0}, {"orderTemperature", 0}, {"vocabulary", 20}, {"seed", 1}}) {
    record.set(name, value);
  }
  return record;
}

DenoiseInput blocks(const std::vector<std::vector<int32_t>>& rows, double keep, int64_t generation = 0,
                    int32_t first_position = 0) {
  DenoiseInput input;
  input.blocks.generation = generation;
  for (size_t r = 0; r < rows.size(); ++r) {
    input.blocks.rows.append(rows[r]);
    input.blocks.slots.push_back(static_cast<int32_t>(r));
    for (size_t i = 0; i < rows[r].size(); ++i) {
      input.blocks.positions.push_back(first_position + static_cast<int32_t>(i));
    }
    input.columns_B["keep"].push_back(keep);
    input.columns_B["fillThreshold"].push_back(1);
    input.columns_B["remaskThreshold"].push_back(0);
    input.columns_B["key"].push_back(static_cast<double>(r));
    input.columns_B["draw"].push_back(0);
  }
  input.fate_N.assign(input.blocks.rows.tokens.size(), 0);
  return input;
}

int64_t masks(const std::vector<int32_t>& tokens) { return std::count(tokens.begin(), tokens.end(), kMask); }

double worst(const NamedArray& a, const NamedArray& b) {
  double worst = a.values.size() == b.values.size() ? 0 : INFINITY;
  for (size_t i = 0; i < std::min(a.values.size(), b.values.size()); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(a.values[i]) - b.values[i]));
  }
  return worst;
}

}  // namespace

TEST(cached_and_whole_rows_have_the_same_logits) {
  Session session(tiny::remedi_config());
  const Rows prompts = tiny::rows(7, 5, 12), rows = tiny::rows(8, 5, 9);
  const auto cached = session.inspect_behind(prompts, rows, "cached", {"logits", "confidence"});
  const auto whole = session.inspect_behind(prompts, rows, "whole", {"logits", "confidence"});
  CHECK(worst(cached.at("logits"), whole.at("logits")) < 1e-5);
  CHECK(worst(cached.at("confidence"), whole.at("confidence")) < 1e-5);
  CHECK(cached.at("logits").shape == (std::vector<int64_t>{static_cast<int64_t>(rows.tokens.size()), 20}));
}

TEST(rank_keeps_as_many_as_asked_and_the_surest_of_them) {
  Session session(tiny::remedi_config());
  for (const char* source : {"ups", "probability", "logit", "margin", "entropy", "random"}) {
    DenoiseInput input = blocks({{kMask, kMask, 7, kMask, 9, kMask}, {kMask, kMask, kMask, kMask, kMask, kMask}}, 2);
    input.fate_N[5] = 1;
    input.fate_N[2] = 2;
    const DenoiseOutput output = session.denoise(options("rank", source), input);
    CHECK(masks({output.tokens.begin(), output.tokens.begin() + 6}) == 4);
    CHECK(masks({output.tokens.begin() + 6, output.tokens.end()}) == 4);
    CHECK(output.tokens[5] != kMask && output.tokens[2] == kMask);
    float lowest_kept = INFINITY, highest_masked = -INFINITY;
    for (size_t i = 6; i < 12; ++i) {
      if (output.tokens[i] == kMask)
        highest_masked = std::max(highest_masked, output.score[i]);
      else
        lowest_kept = std::min(lowest_kept, output.score[i]);
      CHECK(output.tokens[i] == kMask || output.tokens[i] == output.candidate[i]);
    }
    CHECK(lowest_kept >= highest_masked);
    // A visible token is its own candidate.
    CHECK(output.candidate[4] == 9 && output.candidate[2] == 7);
  }
}

TEST(thresholds_fill_and_remask) {
  Session session(tiny::remedi_config());
  DenoiseInput input = blocks({{kMask, kMask, 7, kMask, 9, 8}}, 1);
  const auto run = [&](double fill, double remask) {
    input.columns_B["fillThreshold"] = {fill};
    input.columns_B["remaskThreshold"] = {remask};
    return session.denoise(options("threshold", "ups"), input);
  };
  CHECK(masks(run(1, 0).tokens) == 2);  // one at least is filled
  CHECK(masks(run(0, 0).tokens) == 0);
  const DenoiseOutput remasked = run(0, 1);
  CHECK(remasked.tokens[2] == kMask && remasked.tokens[4] == kMask && remasked.tokens[5] == kMask);
  CHECK(remasked.tokens[0] != kMask);
  input.fate_N[4] = 1;
  CHECK(run(0, 1).tokens[4] == 9);
  const DenoiseOutput some = run(.5, .5);
  for (size_t i = 0; i < 6; ++i)
    CHECK(input.fate_N[i] == 1 || (some.tokens[i] != kMask) == (some.confidence[i] >= .5f) || masks(some.tokens) == 2);
}

TEST(a_row_is_denoised_alike_alone_and_in_a_batch) {
  Session session(tiny::remedi_config());
  const std::vector<int32_t> block{kMask, 6, kMask, kMask, 11};
  Record sampled = options("rank", "ups");
  sampled.set("temperature", 1.0);
  sampled.set("orderTemperature", 1.0);
  DenoiseInput many = blocks({{kMask, kMask, kMask}, block, {kMask, 5, 5, 5, 5, kMask, kMask}}, 3);
  many.columns_B["key"] = {4, 9, 5};
  DenoiseInput one = blocks({block}, 3);
  one.columns_B["key"] = {9};
  const auto together = session.denoise(sampled, many), alone = session.denoise(sampled, one);
  CHECK(std::equal(alone.tokens.begin(), alone.tokens.end(), together.tokens.begin() + 3));
  CHECK(std::equal(alone.candidate.begin(), alone.candidate.end(), together.candidate.begin() + 3));
  // Another key or another draw is another random stream.
  one.columns_B["draw"] = {1};
  CHECK(session.denoise(sampled, one).score != alone.score);
}

TEST(a_generation_remembers_rows_of_any_length_and_forgets_them) {
  Session session(tiny::remedi_config());
  CachedRows prompts{4, {}, {}, {2, 9}};
  prompts.rows.append(std::vector<int32_t>{5, 6, 7, 8});
  prompts.rows.append(std::vector<int32_t>{9});
  prompts.positions = {0, 1, 2, 3, 0};
  const double before = session.memory().number("cacheBytes");
  session.remember(prompts);
  // 2 + 4 layers of keys and values of 2 heads of width 8, in float32.
  CHECK(session.memory().number("cacheBytes") - before == 5 * 6 * 2 * 2 * 8 * 4);
  DenoiseInput input = blocks({{kMask, kMask}}, 1, 4, 4);
  input.blocks.slots = {2};
  const DenoiseOutput behind = session.denoise(options("rank", "ups"), input);
  input.blocks.slots = {9};
  CHECK(session.denoise(options("rank", "ups"), input).confidence != behind.confidence);
  // A finished block is read behind the prompt: as if it had been part of the row from the start.
  session.remember({4, input.blocks.rows, input.blocks.positions, {2}});
  session.forget(4, {9});
  CHECK(session.memory().number("cacheBytes") > 0);
  session.forget(4, {});
  session.forget(4, {});
  CHECK(session.memory().number("cacheBytes") == 0);
}

TEST(a_block_behind_finished_blocks_is_that_of_the_block_causal_mask) {
  const Record config = tiny::remedi_config();
  Session session(config);
  const remedi::Model model(config);
  // Two rows: prompts of 4 and 1, two finished blocks of 3, and the third.
  std::vector<std::vector<int32_t>> whole{{5, 6, 7, 8, 9, 10, 11, 12, 13, 14, kMask, 16, kMask},
                                          {8, 12, 13, 14, 15, 16, 17, kMask, kMask, 19}};
  const std::vector<size_t> prompts{4, 1};
  const auto part = [&](size_t row, size_t begin, size_t end) {
    return std::vector<int32_t>(whole[row].begin() + begin, whole[row].begin() + end);
  };
  Rows all;
  std::vector<remedi::Place> places;
  for (size_t r = 0; r < 2; ++r) {
    all.append(whole[r]);
    places.insert(places.end(), prompts[r], {remedi::Place::kPrompt});
    for (const int32_t block : {1, 2, 3}) places.insert(places.end(), 3, {block});
  }
  at::NoGradGuard no_grad;
  const remedi::Sequence sequence = model.sequence(all);
  const Tensor h = model.forward(sequence, remedi::visibility_bias(places, sequence.offsets, at::kCPU)).confidence_T;
  // The same by steps: prompt, block, block, and then the third, which is only read.
  const auto rows_at = [&](int64_t stage) {
    CachedRows cached{3, {}, {}, {0, 1}};
    for (size_t r = 0; r < 2; ++r) {
      const size_t begin = stage == 0 ? 0 : prompts[r] + 3 * (static_cast<size_t>(stage) - 1);
      const size_t end = stage == 0 ? prompts[r] : begin + 3;
      cached.rows.append(part(r, begin, end));
      for (size_t i = begin; i < end; ++i) cached.positions.push_back(static_cast<int32_t>(i));
    }
    return cached;
  };
  for (const int64_t stage : {0, 1, 2}) session.remember(rows_at(stage));
  DenoiseInput input = blocks({part(0, 10, 13), part(1, 7, 10)}, 1);
  input.blocks = rows_at(3);
  const DenoiseOutput output = session.denoise(options("rank", "ups"), input);
  for (int64_t i = 0; i < 6; ++i) {
    const int64_t at = i < 3 ? 10 + i : 13 + 7 + i - 3;
    CHECK_NEAR(output.score[i], h[at].item<double>(), 1e-5);
  }
  // The test can fail: without the finished blocks the numbers are others.
  input.blocks.generation = 4;
  CHECK(std::abs(session.denoise(options("rank", "ups"), input).score[0] - h[10].item<double>()) > 1e-4);
}

TEST(what_a_cache_cannot_take_is_refused) {
  Session session(tiny::remedi_config());
  DenoiseInput input = blocks({{kMask, kMask}, {kMask}}, 1);
  const auto refused = [&](auto change) {
    DenoiseInput changed = input;
    changed.forbidden = {1};
    change(changed);
    CHECK_THROWS(session.denoise(options("rank", "ups"), changed));
  };
  refused([](DenoiseInput& in) { in.blocks.slots = {1, 1}; });
  refused([](DenoiseInput& in) { in.blocks.slots = {1}; });
  refused([](DenoiseInput& in) { in.blocks.positions = {0, 1, 64}; });
  refused([](DenoiseInput& in) { in.blocks.positions = {0}; });
  refused([](DenoiseInput& in) { in.blocks.rows.tokens[0] = 20; });
  refused([](DenoiseInput& in) { in.fate_N.pop_back(); });
  refused([](DenoiseInput& in) { in.columns_B.erase("keep"); });
  refused([](DenoiseInput& in) { in.columns_B["keep"] = {1}; });
  refused([](DenoiseInput& in) { in.columns_B["keep"] = {-1, 1}; });
  refused([](DenoiseInput& in) { in.forbidden = {20}; });
  CHECK_THROWS(session.denoise(options("best", "ups"), input));
  CHECK_THROWS(session.denoise(options("rank", "luck"), input));
  Rows longest = tiny::rows(3, 1, 0);
  longest = {};
  longest.append(std::vector<int32_t>(64, 5));
  std::vector<int32_t> positions;
  for (int32_t i = 0; i < 64; ++i) positions.push_back(i);
  session.remember({1, longest, positions, {0}});
  input.blocks.generation = 1;
  CHECK_THROWS(session.denoise(options("rank", "ups"), input));
}

TEST(proposals_are_those_of_a_softmax) {
  at::manual_seed(5);
  const int64_t vocabulary = 50;
  Tensor logits = 2 * at::randn({vocabulary});
  logits[7] = -INFINITY;
  const Tensor probability = at::softmax(logits.to(at::kDouble), 0);
  const auto [sorted, order] = probability.sort(0, /*descending=*/true);
  const remedi::SamplingOptions greedy{0, 1, 0};
  const auto best = remedi::propose(logits.const_data_ptr<float>(), vocabulary, -1, greedy, .5);
  CHECK(best.token == order[0].item<int64_t>());
  CHECK_NEAR(best.probability, sorted[0].item<double>(), 1e-6);
  CHECK_NEAR(best.margin, (sorted[0] - sorted[1]).item<double>(), 1e-6);
  const double entropy = -(probability * probability.clamp_min(1e-300).log()).sum().item<double>();
  CHECK_NEAR(best.entropy, entropy, 1e-5);
  const auto shown = remedi::propose(logits.const_data_ptr<float>(), vocabulary, 9, greedy, .5);
  CHECK(shown.token == 9);
  CHECK_NEAR(shown.margin, (probability[9] - sorted[0]).item<double>(), 1e-6);
  // Draws follow the tempered, cut distribution.
  const remedi::SamplingOptions cut{.7, .8, 10};
  std::vector<double> counts(vocabulary, 0);
  const int64_t draws = 20000;
  for (int64_t i = 0; i < draws; ++i) {
    const double uniform = (static_cast<double>(i) + .5) / draws;
    counts[remedi::propose(logits.const_data_ptr<float>(), vocabulary, -1, cut, uniform).token] += 1.0 / draws;
  }
  const Tensor tempered = at::softmax(logits.to(at::kDouble) / .7, 0);
  double mass = 0, ten = 0;
  for (int64_t i = 0; i < 10; ++i) ten += tempered[order[i]].item<double>();
  int64_t kept = 0;
  while (mass < .8 * ten) mass += tempered[order[kept++]].item<double>();
  for (int64_t i = 0; i < vocabulary; ++i) {
    const double expected = i < kept ? tempered[order[i]].item<double>() / mass : 0;
    CHECK_NEAR(counts[order[i].item<int64_t>()], expected, 1e-3);
  }
}

TEST(the_drawn_order_is_plackett_lucian) {
  Session session(tiny::remedi_config());
  Record record = options("rank", "ups");
  record.set("orderTemperature", .02);
  DenoiseInput input = blocks({{kMask, 6, kMask, kMask}}, 1);
  const auto h = session.inspect(input.blocks.rows, {"confidence"}).at("confidence").values;
  double total = 0;
  for (const float logit : h) total += std::exp(logit / .02);
  std::vector<double> first(4, 0);
  const int64_t draws = 4000;
  for (int64_t d = 0; d < draws; ++d) {
    input.columns_B["draw"] = {static_cast<double>(d)};
    const auto output = session.denoise(record, input);
    for (size_t i = 0; i < 4; ++i) first[i] += output.tokens[i] == kMask ? 0 : 1.0 / draws;
  }
  for (size_t i = 0; i < 4; ++i) CHECK_NEAR(first[i], std::exp(h[i] / .02) / total, .03);
}
