// Whole models on a GPU against the same on the CPU: steps, losses, gradients and rounds of every family and profile.
#include <functional>

#include "cuda_device.h"
#include "error.h"
#include "remedi_tiny.h"

using namespace merge;

namespace {

using Words = std::map<std::string, std::string>;

Record with(Record record, const Words& words) {
  for (const auto& [name, word] : words) record.set(name, word);
  return record;
}

Record on(const Record& config, const std::string& device) { return with(config, {{"device", device}}); }

const Words kLiteral{{"profile", "literal"},   {"deleter", "linear"},     {"inserter", "pointer"},
                     {"gateFeatures", "mean"}, {"positions", "relative"}, {"countSource", "literal"}};

Record literal_config() {
  Record config = with(tiny::config("float32", "none"), kLiteral);
  config.set("localMix", int64_t{0});
  return config;
}

Record literal_step(int64_t number) {
  Record step = with(tiny::step(number), {{"firstRound", "gate"}, {"reconstruction", "positional"}});
  step.set("ownFill", 0.0);
  return step;
}

// What every report has in common.
void check_like(const Record& near, const Record& far, const std::string& what, double room) {
  for (const char* name : {"total", "recon", "compression", "pointer", "gate", "length", "gradientNorm"}) {
    const double a = near.number(name), b = far.number(name);
    if (!(std::abs(a - b) <= room * (1 + std::abs(a)))) std::printf("  %s %s: %g and %g\n", what.c_str(), name, a, b);
    CHECK(std::abs(a - b) <= room * (1 + std::abs(a)));
  }
}

// Two steps on both, then what they say of the same rows. In bfloat16 a decision may fall differently, so only the
// first losses are compared, with room.
void check_steps(const Record& config, const std::function<Record(int64_t)>& step, const std::string& what,
                 double room = 2e-3) {
  Session near(on(config, "cpu")), far(on(config, check::device_word()));
  for (int64_t s = 0; s < 2; ++s) {
    const TrainBatch batch = tiny::counting_batch(static_cast<uint64_t>(s) + 1, 6, 9);
    check_like(near.train_step(step(s), batch), far.train_step(step(s), batch), what, room);
    if (room > .01) return;
  }
}

}  // namespace

TEST(aligned_profile) {
  check_steps(tiny::config(), tiny::step, "aligned");
  check_steps(tiny::config("bfloat16"), tiny::step, "aligned in bfloat16", .1);
  for (const char* encodings : {"one", "three"}) {
    check_steps(with(tiny::config(), {{"encodings", encodings}}), tiny::step, encodings);
  }
  for (const Words& words : {Words{{"positions", "relative"}}, Words{{"positions", "absolute"}},
                             Words{{"head", "untied"}}, Words{{"norm", "layer"}, {"biases", "all"}}}) {
    check_steps(with(tiny::config(), words), tiny::step, words.begin()->second);
  }
  Record checkpointed = tiny::config();
  checkpointed.set("activationCheckpointing", true);
  check_steps(checkpointed, tiny::step, "activation checkpointing");
  Record windowed = tiny::config();
  windowed.set("attentionWindow", 3.0);
  windowed.set("globalEvery", 2.0);
  check_steps(windowed, tiny::step, "attention window");
}

TEST(gradients_between_rounds) {
  for (const char* gradient : {"st", "gumbel"}) {
    const auto step = [&](int64_t number) {
      Record record = with(tiny::step(number), {{"gradient", gradient}, {"deletion", "soft"}});
      record.set("window", 2.0);
      return record;
    };
    check_steps(tiny::config(), step, std::string(gradient) + " and soft deletion");
  }
}

TEST(literal_profile) {
  // cuDNN's GRU rounds otherwise than the CPU's.
  check_steps(literal_config(), literal_step, "literal", 5e-3);
}

TEST(rounds_of_refinement) {
  Record options;
  for (const auto& [name, value] : std::map<std::string, double>{{"editThreshold", .5},
                                                                 {"keepThreshold", .5},
                                                                 {"fillThreshold", 0},
                                                                 {"fillShare", 0},
                                                                 {"temperature", 0},
                                                                 {"topK", 0},
                                                                 {"topP", 1},
                                                                 {"seed", 1},
                                                                 {"round", 0},
                                                                 {"shift", -1},
                                                                 {"generation", 1},
                                                                 {"lengthRatio", 1},
                                                                 {"targetLength", 0},
                                                                 {"maxLength", 32}}) {
    options.set(name, value);
  }
  options.set("mode", std::string("edit"));
  options.set("countSource", std::string("counts"));
  RoundInput input;
  input.rows = tiny::rows(3, 5, 12);
  input.locked_N.assign(input.rows.tokens.size(), 0);
  input.open_G.assign(input.rows.tokens.size() + 5, 1);
  Session near(on(tiny::config(), "cpu")), far(on(tiny::config(), check::device_word()));
  const RoundOutput a = near.refine_round(options, input), b = far.refine_round(options, input);
  CHECK(a.rows.tokens == b.rows.tokens && a.source == b.source && a.edited_B == b.edited_B);
  for (size_t i = 0; i < a.keep_N.size(); ++i) CHECK_NEAR(a.keep_N[i], b.keep_N[i], 1e-4);
  for (size_t i = 0; i < a.confidence.size(); ++i) CHECK_NEAR(a.confidence[i], b.confidence[i], 1e-4);
}

TEST(other_families_say_the_same) {
  Record gpt = tiny::remedi_config();
  gpt.set("family", std::string("gpt"));
  const Rows rows = tiny::rows(9, 6, 14);
  for (const Record& config : {tiny::remedi_config(), gpt}) {
    Session near(on(config, "cpu")), far(on(config, check::device_word()));
    for (const auto& [name, array] : near.inspect(rows, {"hidden", "logits"})) {
      const NamedArray other = far.inspect(rows, {name})[name];
      CHECK(other.shape == array.shape);
      for (size_t i = 0; i < array.values.size(); ++i) CHECK_NEAR(other.values[i], array.values[i], 2e-4);
    }
  }
}

TEST(a_device_that_is_not_there_is_refused) {
  try {
    Session session(on(tiny::config(), "cuda:99"));
    CHECK(false);
  } catch (const Error& error) {
    CHECK(error.code == std::string("ERR_DEVICE"));
    CHECK(std::string(error.what()).find("cuda:99") != std::string::npos);
  }
}

int main(int argc, char** argv) { return check::run_on_device(argc, argv); }
