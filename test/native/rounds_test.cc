// Rounds of both profiles: soft deletion is removal, gradients reach every module in every mode, the literal law of
// lengths, what may and may not pass from round to round.
#define MERGE_CHECK_MAIN
#include <ATen/core/grad_mode.h>

#include <atomic>
#include <set>

#include "check.h"
#include "merge/choice.h"
#include "merge/step.h"
#include "merge/unroll.h"
#include "tiny.h"

using namespace merge;

namespace {

using Words = std::map<std::string, std::string>;

double worst(const Tensor& a, const Tensor& b) { return a.numel() == 0 ? 0 : (a - b).abs().max().item<double>(); }

Record with(Record record, const Words& words) {
  for (const auto& [name, word] : words) record.set(name, word);
  return record;
}

const Words kLiteral{{"profile", "literal"},   {"deleter", "linear"},     {"inserter", "pointer"},
                     {"gateFeatures", "mean"}, {"positions", "relative"}, {"countSource", "literal"}};

Record literal_config() {
  Record config = with(tiny::config("float32", "none"), kLiteral);
  config.set("localMix", int64_t{0});
  return config;
}

Record literal_step(int64_t number = 0) {
  Record step = with(tiny::step(number), {{"firstRound", "gate"}, {"reconstruction", "positional"}});
  step.set("ownFill", 0.0);
  return step;
}

// Every parameter away from its start, so that zeros and ones hide nothing.
void shake(Model& model, uint64_t seed) {
  at::NoGradGuard no_grad;
  at::manual_seed(seed);
  for (const auto& entry : model.parameters().entries()) entry.tensor.detach().add_(.1 * at::randn_like(entry.tensor));
}

std::vector<uint8_t> coins(uint64_t seed, size_t count) {
  const Random random(seed, 0, 0, Purpose::kDelete);
  std::vector<uint8_t> flags(count);
  for (size_t i = 0; i < count; ++i) flags[i] = random.uniform(i) < .6;
  return flags;
}

const std::atomic<bool> kGoOn{false};

// Modules, by the first word of their names, none of whose parameters got a gradient.
std::set<std::string> untouched(Model& model, const Record& step, const TrainBatch& batch) {
  model.parameters().zero_gradients();
  run_rounds(model, step, batch, /*learn=*/true, kGoOn);
  std::set<std::string> modules, reached;
  for (const auto& entry : model.parameters().entries()) {
    const std::string module = entry.name.substr(0, entry.name.find('.'));
    modules.insert(module);
    if (entry.tensor.grad().abs().max().item<double>() > 0) reached.insert(module);
  }
  for (const std::string& module : reached) modules.erase(module);
  return modules;
}

void check_reached(const Record& config, const Record& step, const std::string& what) {
  Model model(config);
  shake(model, 4);
  const auto missed = untouched(model, step, tiny::counting_batch(3, 6, 9));
  for (const std::string& module : missed) std::printf("  %s: no gradient for %s\n", what.c_str(), module.c_str());
  CHECK(missed.empty());
}

}  // namespace

TEST(soft_deletion_is_removal) {
  at::NoGradGuard no_grad;
  for (const Words& words : {Words{}, Words{{"positions", "relative"}}, Words{{"positions", "absolute"}},
                             Words{{"condition", "none"}, {"inserter", "linear"}}}) {
    Model model(with(tiny::config(), words));
    shake(model, 5);
    const Rows x = tiny::rows(21, 6, 14);
    const auto keep = coins(3, x.tokens.size());
    const Skeleton skeleton = drop(x, keep);
    std::vector<int32_t> counts(skeleton.rows.tokens.size() + static_cast<size_t>(x.count()));
    for (size_t g = 0; g < counts.size(); ++g) counts[g] = static_cast<int32_t>(g % 3 == 0 ? 2 : 0);
    const Masked masked = insert(skeleton, counts, model.options().mask);
    const auto reading = model.read(x);
    const Tensor keep_N = floats(keep, reading.keep_T);
    const auto hard = model.fill(x, skeleton, masked), soft = model.fill(x, skeleton, masked, {}, {keep_N, {}});
    const Tensor hard_MV = model.head().logits(hard.masks_MD), soft_MV = model.head().logits(soft.masks_MD);
    CHECK(worst(hard_MV, soft_MV) <= 1e-5 * (1 + hard_MV.abs().max().item<double>()));
    CHECK(hard.states.offsets == soft.states.offsets);
    CHECK(worst(hard.states.hidden_TD, soft.states.hidden_TD) <= 5e-5);
    const auto hard_gaps = model.gaps(reading.states, x, skeleton);
    const auto soft_gaps = model.gaps(reading.states, x, skeleton, {}, keep_N);
    CHECK(worst(hard_gaps.count_GC, soft_gaps.count_GC) <= 1e-5 * (1 + hard_gaps.count_GC.abs().max().item<double>()));
  }
}

TEST(dropped_tokens_have_a_gradient) {
  Model model(tiny::config());
  shake(model, 6);
  const Rows x = tiny::rows(22, 3, 12);
  const auto keep = coins(5, x.tokens.size());
  const Skeleton skeleton = drop(x, keep);
  const Masked masked = insert(skeleton, std::vector<int32_t>(skeleton.rows.tokens.size() + 3, 1), 3);
  const Tensor keep_N = floats(keep, model.read(x).keep_T).requires_grad_(true);
  model.head().logits(model.fill(x, skeleton, masked, {}, {keep_N, {}}).masks_MD).square().sum().backward();
  for (size_t t = 0; t < keep.size(); ++t) CHECK(keep_N.grad()[static_cast<int64_t>(t)].item<double>() != 0);
}

TEST(conditions_are_read_and_an_empty_one_is_none) {
  at::NoGradGuard no_grad;
  Model model(tiny::config());
  shake(model, 7);
  const Rows x = tiny::rows(23, 3, 10), other = tiny::rows(24, 3, 10);
  Rows empty;
  for (int64_t r = 0; r < 3; ++r) empty.append({});
  const auto bare = model.read(x), with_empty = model.read(x, {empty, {}}), with_other = model.read(x, {other, {}});
  CHECK(at::equal(bare.keep_T, with_empty.keep_T));
  CHECK(worst(bare.gate_B, with_other.gate_B) > 1e-4);
  CHECK(with_other.states.offsets == bare.states.offsets);
  // A row with its condition is the same in any batch.
  Rows one_x, one_condition;
  one_x.append(x.row(1));
  one_condition.append(other.row(1));
  const auto alone = model.read(one_x, {one_condition, {}});
  CHECK(worst(alone.gate_B, with_other.gate_B.narrow(0, 1, 1)) <= 1e-5);
}

TEST(gradients_reach_every_module_in_every_mode_of_the_aligned_profile) {
  for (const std::string encodings : {"one", "two", "three"}) {
    for (const std::string gradient : {"stop", "st", "gumbel"}) {
      for (const std::string deletion : {"hard", "soft"}) {
        Record step = with(tiny::step(), {{"gradient", gradient}, {"deletion", deletion}});
        step.set("window", int64_t{2});
        check_reached(with(tiny::config(), {{"encodings", encodings}}), step,
                      encodings + " " + gradient + " " + deletion);
      }
    }
  }
  for (const std::string source : {"counts", "poisson", "length", "literal", "budget"}) {
    for (const std::string inserter : {"block", "linear", "pointer"}) {
      check_reached(with(tiny::config(), {{"countSource", source}, {"inserter", inserter}}), tiny::step(),
                    source + " " + inserter);
    }
  }
  for (const std::string reconstruction : {"positional", "axe", "oaxe", "ctc"}) {
    check_reached(tiny::config(), with(tiny::step(), {{"reconstruction", reconstruction}}), reconstruction);
  }
}

TEST(gradients_reach_every_module_in_every_mode_of_the_literal_profile) {
  for (const std::string encodings : {"one", "two", "three"}) {
    for (const std::string gradient : {"stop", "st", "gumbel"}) {
      for (const std::string reconstruction : {"positional", "axe", "oaxe", "ctc"}) {
        Record step = with(literal_step(), {{"gradient", gradient}, {"reconstruction", reconstruction}});
        step.set("window", int64_t{2});
        check_reached(with(literal_config(), {{"encodings", encodings}}), step,
                      "literal " + encodings + " " + gradient + " " + reconstruction);
      }
    }
  }
}

TEST(the_fill_reaches_the_deleter_the_gate_and_the_pointer_through_the_samplers) {
  Record step = literal_step();
  for (const char* weight : {"weightCompression", "weightPointer", "weightGate", "weightLength"}) step.set(weight, 0.0);
  step.set("rounds", int64_t{1});
  step.set("editThreshold", 0.0);
  check_reached(literal_config(), step, "reconstruction alone");
}

TEST(a_literal_round_grows_by_the_seeds_law) {
  at::NoGradGuard no_grad;
  Model model(literal_config());
  shake(model, 8);
  const StepOptions options(literal_step());
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Way way{tiny::rows(seed, 1, 12), tiny::rows(seed + 100, 1, 12), {}, {}};
    for (int64_t round = 0; round < 4; ++round) {
      Tally tally;
      const RoundDraw draw{{seed, 0, static_cast<uint64_t>(round)}, round, round == 3};
      const int64_t before = way.x.length(0);
      way = literal_round(model, options, way, draw, 1, tally).next;
      const int64_t inserted = tally.masks, kept = way.x.length(0) - inserted;
      CHECK(inserted == std::min(std::max<int64_t>(1, before - kept), kept + 1));
    }
  }
}

TEST(what_passes_between_rounds_is_a_gradient_and_never_a_value) {
  const TrainBatch batch = tiny::counting_batch(6, 5, 9);
  const auto gradient_of = [&](const char* gradient, int64_t window) {
    Model model(tiny::config());
    shake(model, 9);
    Record step = with(tiny::step(), {{"gradient", gradient}});
    step.set("window", window);
    step.set("rounds", int64_t{3});
    model.parameters().zero_gradients();
    const double total = run_rounds(model, step, batch, true, kGoOn).number("total");
    return std::pair{total, model.parameters().groups()[0].gradients.clone()};
  };
  const auto [stop_total, stop] = gradient_of("stop", 1);
  const auto [wide_total, wide] = gradient_of("stop", 3);
  const auto [short_total, short_window] = gradient_of("st", 1);
  const auto [st_total, straight] = gradient_of("st", 3);
  CHECK_NEAR(stop_total, wide_total, 1e-6);
  CHECK_NEAR(stop_total, st_total, 1e-6);
  CHECK_NEAR(stop_total, short_total, 1e-6);
  CHECK(worst(stop, wide) <= 1e-6);
  CHECK(worst(stop, short_window) <= 1e-6);
  CHECK(worst(stop, straight) > 1e-4);
}

TEST(evaluation_is_the_step_without_its_update) {
  for (const Record& config : {tiny::config(), literal_config()}) {
    const Record step = config.word("profile") == "literal" ? literal_step() : tiny::step();
    const TrainBatch batch = tiny::counting_batch(7, 5, 9);
    Session session(config);
    const double before = session.evaluate(step, batch).number("total");
    CHECK_NEAR(session.train_step(step, batch).number("total"), before, 1e-6);
    CHECK(std::abs(session.evaluate(step, batch).number("total") - before) > 1e-6);
  }
}

TEST(fills_of_a_vocabulary_whose_logits_do_not_fit_at_a_time) {
  at::NoGradGuard no_grad;
  const int64_t vocabulary = 1 << 21, masks = 19;
  CHECK(nn::positions_at_a_time(vocabulary) == 8);
  at::manual_seed(6);
  nn::Parameters parameters(1, nn::Parameters::Start::kBlank);
  const nn::Head head(parameters, nn::HeadKind::kTied, at::randn({vocabulary, 2}), .02, {});
  const Tensor masks_MD = at::randn({masks, 2});
  // The token that mask 7 wants most may not stand at four of them.
  const Tensor logits_MV = head.logits(masks_MD);
  const int64_t wanted = logits_MV[7].argmax().item<int64_t>();
  const FillRules rules{{0, 1, 2, 3, 4}, wanted, {0, 7, 8, 18}};
  const auto choices = likeliest(head, masks_MD, rules);
  const auto [best_M, token_M] = fill_probability(logits_MV, 0, rules).max(1);
  CHECK(static_cast<int64_t>(choices.size()) == masks);
  CHECK(token_M[7].item<int64_t>() != wanted);
  for (int64_t m = 0; m < masks; ++m) {
    CHECK(choices[m].token == token_M[m].item<int64_t>());
    CHECK_NEAR(choices[m].probability, best_M[m].item<float>(), 1e-6);
  }
}
