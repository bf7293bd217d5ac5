// LoRA: the base model at step 0, gradients and state for the updates alone, frozen weights that keep their bits, and
// merged weights that say the same.
#define MERGE_CHECK_MAIN
#include "nn/lora.h"

#include <ATen/core/grad_mode.h>
#include <unistd.h>

#include <cstdio>

#include "check.h"
#include "nn/weights.h"
#include "remedi/sft.h"
#include "remedi_tiny.h"

using namespace merge;

namespace {

const std::atomic<bool> kWanted{false};

Record lora_config(const std::string& dtype = "float32", const std::string& targets = "q,k,v,output,gate,up,down") {
  Record config = tiny::remedi_config(dtype);
  config.set("loraRank", int64_t{2});
  config.set("loraAlpha", 3.0);
  config.set("loraTargets", targets);
  return config;
}

double worst(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

// Moves parameters off their zeros; those of a name alone, if one is given.
void disturb(const nn::Parameters& parameters, const std::string& part = "") {
  at::NoGradGuard no_grad;
  at::manual_seed(5);
  for (const auto& entry : parameters.entries()) {
    if (entry.name.find(part) != std::string::npos) entry.tensor.detach().add_(at::randn_like(entry.tensor), .1);
  }
}

Rows rows() {
  Rows made;
  made.append(std::vector<int32_t>{5, 6, 7, 8, 3, 3});
  made.append(std::vector<int32_t>{9, 3, 11});
  return made;
}

struct Said {
  Tensor logits, confidence;
};
Said said(const remedi::Model& model) {
  at::NoGradGuard no_grad;
  const remedi::Streams streams = model.forward(model.sequence(rows()));
  return {model.head().logits(streams.hidden_TD), streams.confidence_T};
}

TrainBatch batch() {
  TrainBatch made;
  made.targets.append(std::vector<int32_t>{5, 6, 7, 8, 9, 10, 11, 12});
  made.drafts.append(std::vector<int32_t>{5, 3, 7, 3, 9, 3, 12, 12});
  made.targets.append(std::vector<int32_t>{14, 6, 7, 8, 9});
  made.drafts.append(std::vector<int32_t>{6, 3, 3, 9});
  return made;
}

Record step() {
  Record record;
  for (const auto& [name, value] : std::map<std::string, double>{{"seed", 5},
                                                                 {"step", 0},
                                                                 {"learningRate", 1e-2},
                                                                 {"secondLearningRate", 1e-2},
                                                                 {"beta1", .9},
                                                                 {"beta2", .999},
                                                                 {"epsilon", 1e-8},
                                                                 {"weightDecay", .1},
                                                                 {"clip", 1},
                                                                 {"accumulation", 1},
                                                                 {"blockLength", 4},
                                                                 {"weightConfidence", 0},
                                                                 {"confidenceSmoothing", .1}}) {
    record.set(name, value);
  }
  record.set("ownMistakes", false);
  return record;
}

// The tensors that a session saves, by name.
std::map<std::string, Tensor> saved(Session& session, const std::string& part) {
  const std::string path = "/tmp/merge-lm-lora-test-" + std::to_string(getpid());
  session.save(path, part);
  std::map<std::string, Tensor> tensors;
  {
    const io::SafetensorsReader reader(path);
    for (const auto& [name, entry] : reader.tensors()) tensors[name] = nn::read_tensor(reader, name);
  }
  std::remove(path.c_str());
  return tensors;
}

}  // namespace

TEST(the_first_model_is_the_base_model) {
  const remedi::Model base(tiny::remedi_config()), tuned(lora_config());
  const Said a = said(base), b = said(tuned);
  CHECK(at::equal(a.logits, b.logits) && at::equal(a.confidence, b.confidence));
  disturb(tuned.parameters(), ".b");
  CHECK(worst(a.logits, said(tuned).logits) > 1e-3);
}

TEST(each_target_updates_its_own_rows) {
  for (const auto& [target, matrix, begin, count] :
       {std::tuple<std::string, std::string, int64_t, int64_t>{"q", "attention.qkv", 0, 32},
        {"k", "attention.qkv", 32, 16},
        {"v", "attention.qkv", 48, 16},
        {"output", "attention.output", 0, 32},
        {"gate", "feed_forward.gate_up", 0, 24},
        {"up", "feed_forward.gate_up", 24, 24},
        {"down", "feed_forward.down", 0, 32}}) {
    remedi::Model tuned(lora_config("float64", target)), base(tiny::remedi_config("float64"));
    disturb(tuned.parameters(), ".lora.");
    // What the updates are worth by hand, put into the base model's rows.
    std::map<std::string, Tensor> of;
    for (const auto& entry : tuned.parameters().entries()) of[entry.name] = entry.tensor.detach();
    int64_t found = 0;
    for (const auto& entry : base.parameters().entries()) {
      if (!entry.name.ends_with(matrix + ".weight")) continue;
      const std::string path = entry.name.substr(0, entry.name.size() - 7) + ".lora." + target;
      entry.tensor.detach().narrow(0, begin, count).add_(at::mm(of.at(path + ".b"), of.at(path + ".a")), 1.5);
      ++found;
    }
    CHECK(found == 7 && of.size() == base.parameters().entries().size() + 14);
    CHECK(worst(said(base).logits, said(tuned).logits) < 1e-12);
    CHECK(worst(said(base).confidence, said(tuned).confidence) < 1e-12);
  }
}

TEST(gradients_are_those_of_finite_differences_and_of_the_updates_alone) {
  remedi::Model model(lora_config("float64"));
  disturb(model.parameters());
  const auto loss = [&] { return remedi::run_sft(model, step(), batch(), false, kWanted).number("total"); };
  model.parameters().zero_gradients();
  remedi::run_sft(model, step(), batch(), true, kWanted);
  int64_t checked = 0;
  for (const auto& entry : model.parameters().entries()) {
    CHECK(entry.tensor.grad().defined() == nn::is_lora(entry.name));
    if (!nn::is_lora(entry.name) || entry.name.starts_with("policy.blocks.2")) continue;  // the third is unused
    const Tensor flat = entry.tensor.detach().view({-1});
    const int64_t at = (11 * checked + 5) % flat.numel();
    const double width = 1e-5, value = flat[at].item<double>();
    at::NoGradGuard no_grad;
    flat[at] = value + width;
    const double above = loss();
    flat[at] = value - width;
    const double below = loss();
    flat[at] = value;
    const double gradient = entry.tensor.grad().view({-1})[at].item<double>();
    CHECK_NEAR(gradient, (above - below) / (2 * width), 1e-7);
    ++checked;
  }
  CHECK(checked == 6 * 14);
}

TEST(training_moves_the_updates_and_no_bit_of_the_base) {
  Session session(lora_config());
  const auto before = saved(session, "model");
  Record record = step();
  record.set("weightConfidence", .3);
  for (int64_t number = 0; number < 3; ++number) session.train_step(record, batch());
  int64_t learned = 0;
  for (const auto& [name, values] : saved(session, "model")) {
    const bool moves = nn::is_lora(name);
    if (moves) learned += values.numel() * 4;
    if (!name.starts_with("policy.blocks.2")) CHECK(at::equal(values, before.at(name)) != moves);  // unused
  }
  const Record memory = session.memory();
  CHECK(memory.integer("gradientBytes") == learned && memory.integer("optimizerBytes") == 2 * learned);
  // A model that goes on from what was saved takes the same step.
  Session again(lora_config());
  const std::string path = "/tmp/merge-lm-lora-test-" + std::to_string(getpid());
  for (const std::string part : {"model", "optimizer"}) {
    session.save(path, part);
    again.load(path, part);
    std::remove(path.c_str());
  }
  session.train_step(record, batch());
  again.train_step(record, batch());
  const auto one = saved(session, "model"), two = saved(again, "model");
  for (const auto& [name, values] : one) CHECK(at::equal(values, two.at(name)));
}

TEST(the_policy_stream_learns_in_whole_where_it_is_to) {
  Record config = lora_config("float32", "q,v");
  config.set("loraPolicy", std::string("whole"));
  Session session(config);
  const auto before = saved(session, "model");
  Record record = step();
  record.set("weightConfidence", .3);
  for (int64_t number = 0; number < 2; ++number) session.train_step(record, batch());
  for (const auto& [name, values] : saved(session, "model")) {
    CHECK(!nn::is_lora(name) || name.starts_with("token."));
    // The third policy block is unused, but its weights decay like any.
    if (name.find(".2.") != std::string::npos && name.starts_with("policy.")) continue;
    CHECK(at::equal(values, before.at(name)) != (nn::is_lora(name) || name.starts_with("policy.")));
  }
}

TEST(a_base_in_half_width_learns_in_full_width) {
  Record config = lora_config("bfloat16");
  config.set("weightDtype", std::string("bfloat16"));
  Session session(config);
  session.train_step(step(), batch());
  for (const auto& [name, values] : saved(session, "model")) {
    const bool is_narrow = values.dim() > 1 && !nn::is_lora(name);
    CHECK(values.scalar_type() == (is_narrow ? at::kBFloat16 : at::kFloat));
  }
}

TEST(merged_weights_say_the_same) {
  const remedi::Model tuned(lora_config());
  const remedi::Model base(tiny::remedi_config());
  disturb(tuned.parameters());
  std::vector<nn::Piece> pieces;
  for (const auto& entry : base.parameters().entries()) {
    // Pieces that cut through the projections, as a file's tensors may.
    const int64_t count = entry.tensor.size(0), half = count > 4 ? count / 2 + 3 : count;
    pieces.push_back({entry.name, entry.name, 0, half});
    if (half < count) pieces.push_back({entry.name + ".rest", entry.name, half, count - half});
  }
  const std::string path = "/tmp/merge-lm-lora-test-" + std::to_string(getpid());
  const auto& given = tuned.parameters();
  nn::write_pieces(path, pieces, "float32", given.entries(), given.adapters());
  nn::read_pieces(path, pieces, base.parameters().entries());
  std::remove(path.c_str());
  CHECK(worst(said(base).logits, said(tuned).logits) <= 1e-5);
  CHECK(worst(said(base).confidence, said(tuned).confidence) <= 1e-5);
}

TEST(what_cannot_be_is_refused) {
  CHECK_THROWS(remedi::Model(lora_config("float32", "")));
  CHECK_THROWS(remedi::Model(lora_config("float32", "q,query")));
}
