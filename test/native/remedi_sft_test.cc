// Remask-SFT: the copies show what generation sees, gradients are those of finite differences, labels carry none, two
// learning rates, and a small task is learned.
#define MERGE_CHECK_MAIN
#include <ATen/core/grad_mode.h>

#include "check.h"
#include "nn/weights.h"
#include "remedi/copies.h"
#include "remedi/sft.h"
#include "remedi_tiny.h"

using namespace merge;
using remedi::Place;

namespace {

constexpr int64_t kBlock = 4;
constexpr int32_t kMask = 3;

double worst(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

// Moves parameters off their zeros, so that the policy stream says something.
void disturb(nn::Parameters& parameters) {
  at::NoGradGuard no_grad;
  at::manual_seed(5);
  for (const auto& entry : parameters.entries()) entry.tensor.detach().add_(at::randn_like(entry.tensor), .1);
}

// Prompts of 0, 3, 1 tokens, answers of 2, 1, 3 blocks; about half masked, some wrong, each block with a mask.
TrainBatch batch(uint64_t seed = 1) {
  const Random random(seed, 0, 0, Purpose::kSample);
  TrainBatch made;
  for (const auto [r, prompt, blocks] : {std::array<int64_t, 3>{0, 0, 2}, {1, 3, 1}, {2, 1, 3}}) {
    std::vector<int32_t> whole, noisy;
    for (int64_t i = 0; i < prompt + blocks * kBlock; ++i) {
      whole.push_back(5 + static_cast<int32_t>(random.uniform(r, i) * 15));
    }
    for (int64_t i = 0; i < blocks * kBlock; ++i) {
      const int32_t token = whole[prompt + i];
      const double draw = random.uniform(r, 100 + i);
      noisy.push_back(i % kBlock == 1 || draw < .4 ? kMask : draw < .6 ? (token - 5 + 1) % 15 + 5 : token);
    }
    made.targets.append(whole);
    made.drafts.append(noisy);
  }
  return made;
}

Record step(double weight_confidence, double smoothing = .1) {
  Record record;
  for (const auto& [name, value] : std::map<std::string, double>{{"seed", 5},
                                                                 {"step", 0},
                                                                 {"learningRate", 1e-2},
                                                                 {"secondLearningRate", 1e-2},
                                                                 {"beta1", .9},
                                                                 {"beta2", .999},
                                                                 {"epsilon", 1e-8},
                                                                 {"weightDecay", 0},
                                                                 {"clip", 1},
                                                                 {"accumulation", 1},
                                                                 {"blockLength", kBlock},
                                                                 {"weightConfidence", weight_confidence},
                                                                 {"confidenceSmoothing", smoothing}}) {
    record.set(name, value);
  }
  record.set("ownMistakes", false);
  return record;
}

const std::atomic<bool> kWanted{false};

}  // namespace

TEST(a_noisy_block_sees_what_it_sees_in_generation) {
  remedi::Model model(tiny::remedi_config("float64"));
  disturb(model.parameters());
  at::NoGradGuard no_grad;
  const TrainBatch rows = batch();
  const remedi::Copies all = remedi::copies(model, rows.targets, rows.drafts, kBlock);
  const remedi::Streams streams = model.forward(all.sequence, all.bias);
  int64_t at = 0;
  for (int64_t r = 0; r < rows.drafts.count(); ++r) {
    const auto whole = rows.targets.row(r), noisy = rows.drafts.row(r);
    const int64_t prompt = rows.targets.length(r) - rows.drafts.length(r);
    for (int64_t block = 0; block * kBlock < rows.drafts.length(r); ++block) {
      // What generation runs: prompt, finished blocks, and the block in its noisy state.
      const int64_t past = prompt + block * kBlock;
      Rows one;
      std::vector<int32_t> tokens(whole.begin(), whole.begin() + past);
      tokens.insert(tokens.end(), noisy.begin() + block * kBlock, noisy.begin() + (block + 1) * kBlock);
      one.append(tokens);
      std::vector<Place> places;
      for (int64_t i = 0; i < past + kBlock; ++i) {
        places.push_back({i < prompt ? Place::kPrompt : static_cast<int32_t>(1 + (i - prompt) / kBlock)});
      }
      const remedi::Sequence sequence = model.sequence(one);
      const auto seen = model.forward(sequence, remedi::visibility_bias(places, sequence.offsets, at::kCPU));
      const Tensor noisy_at = all.noisy_A.narrow(0, at, kBlock);
      CHECK(worst(streams.hidden_TD.index_select(0, noisy_at), seen.hidden_TD.narrow(0, past, kBlock)) < 1e-12);
      CHECK(worst(streams.confidence_T.index_select(0, noisy_at), seen.confidence_T.narrow(0, past, kBlock)) < 1e-12);
      at += kBlock;
    }
  }
  CHECK(at == static_cast<int64_t>(rows.drafts.tokens.size()));
}

TEST(gradients_are_those_of_finite_differences) {
  const TrainBatch rows = batch(2);
  for (const bool of_confidence : {false, true}) {
    remedi::Model model(tiny::remedi_config("float64"));
    disturb(model.parameters());
    // The labels of masked tokens are constants for the gradient but not for a difference, so the weight of the
    // confidence is only tried on parameters that move no probability.
    const Record record = step(of_confidence ? .7 : 0);
    const auto loss = [&] { return remedi::run_sft(model, record, rows, false, kWanted).number("total"); };
    model.parameters().zero_gradients();
    remedi::run_sft(model, record, rows, true, kWanted);
    int64_t checked = 0;
    for (const auto& entry : model.parameters().entries()) {
      const bool moves_nothing_else = entry.name == "policy.norm.weight" || entry.name.starts_with("policy.confidence");
      if (entry.name.starts_with("policy.blocks.2") || entry.name.starts_with("policy.back.2")) continue;  // unused
      if (of_confidence != moves_nothing_else) continue;
      Tensor flat = entry.tensor.detach().view({-1});
      const int64_t at = (11 * checked + 5) % flat.numel();
      const double width = 1e-5, value = flat[at].item<double>();
      at::NoGradGuard no_grad;
      flat[at] = value + width;
      const double above = loss();
      flat[at] = value - width;
      const double below = loss();
      flat[at] = value;
      CHECK_NEAR(entry.tensor.grad().view({-1})[at].item<double>(), (above - below) / (2 * width), 1e-7);
      ++checked;
    }
    CHECK(checked >= (of_confidence ? 3 : 35));
  }
}

TEST(the_labels_carry_no_gradient) {
  remedi::Model model(tiny::remedi_config("float64"));
  disturb(model.parameters());
  const TrainBatch rows = batch(3);
  const auto head_gradient = [&](double weight) {
    model.parameters().zero_gradients();
    remedi::run_sft(model, step(weight), rows, true, kWanted);
    for (const auto& entry : model.parameters().entries()) {
      if (entry.name == "head.weight") return entry.tensor.grad().clone();
    }
    return Tensor();
  };
  // The head moves p(x0), the label of masked tokens, and nothing else that the confidence loss reads.
  CHECK(worst(head_gradient(0), head_gradient(3)) == 0);
}

TEST(micro_batches_add_up_to_the_whole) {
  remedi::Model model(tiny::remedi_config("float64"));
  disturb(model.parameters());
  const auto gradient = [&](double parts) {
    Record record = step(.3);
    record.set("accumulation", parts);
    // Equal masked shares, so that the mean of the confidence is one over positions either way.
    model.parameters().zero_gradients();
    const double total = remedi::run_sft(model, record, batch(4), true, kWanted).number("total");
    return std::pair{total, model.parameters().groups()[0].gradients.clone()};
  };
  const auto [whole, whole_gradient] = gradient(1);
  const auto [parts, parts_gradient] = gradient(3);
  CHECK_NEAR(whole, parts, 1e-12);
  CHECK(worst(whole_gradient, parts_gradient) < 1e-12);
}

TEST(a_batch_without_masks_or_without_wrong_tokens_is_no_special_case) {
  remedi::Model model(tiny::remedi_config("float64"));
  TrainBatch rows;
  rows.targets.append(std::vector<int32_t>{5, 6, 7, 8});
  rows.drafts.append(std::vector<int32_t>{5, 6, 7, 8});
  const Record clean = remedi::run_sft(model, step(.3), rows, false, kWanted);
  CHECK(clean.number("token") == 0 && clean.number("masks") == 0 && std::isfinite(clean.number("total")));
  rows.drafts.tokens = {kMask, kMask, kMask, kMask};
  CHECK(remedi::run_sft(model, step(.3), rows, false, kWanted).number("wrongs") == 0);
}

TEST(own_mistakes_replace_wrong_tokens_alone) {
  remedi::Model model(tiny::remedi_config("float64"));
  disturb(model.parameters());
  Record record = step(.3);
  const auto given = remedi::run_sft(model, record, batch(6), false, kWanted);
  record.set("ownMistakes", true);
  const auto own = remedi::run_sft(model, record, batch(6), false, kWanted);
  CHECK(given.number("wrongs") > 0);
  CHECK(own.number("wrongs") == given.number("wrongs") && own.number("masks") == given.number("masks"));
  CHECK(own.number("token") != given.number("token"));
  CHECK(remedi::run_sft(model, record, batch(6), false, kWanted).number("token") == own.number("token"));
}

TEST(each_stream_has_its_learning_rate) {
  for (const bool policy_learns : {false, true}) {
    Session session(tiny::remedi_config("float32"));
    remedi::Model before(tiny::remedi_config("float32"));
    Record record = step(.3);
    record.set(policy_learns ? "learningRate" : "secondLearningRate", 0.0);
    session.train_step(record, batch());
    const std::string path = check::temporary("streams.safetensors");
    std::remove(path.c_str());
    session.save(path, "model");
    remedi::Model after(tiny::remedi_config("float32"));
    nn::load_tensors(path, after.parameters().entries());
    std::remove(path.c_str());
    for (size_t i = 0; i < before.parameters().entries().size(); ++i) {
      const auto& entry = before.parameters().entries()[i];
      if (entry.name.starts_with("policy.blocks") || entry.name.starts_with("policy.back.2")) continue;
      const bool moved = !at::equal(entry.tensor, after.parameters().entries()[i].tensor);
      // The norm inside the zero-initialised way back gets no gradient in the first step.
      if (remedi::Model::is_policy(entry.name) && entry.name.find(".norm.weight") != std::string::npos && !moved)
        continue;
      CHECK(moved == (remedi::Model::is_policy(entry.name) == policy_learns));
    }
  }
}

TEST(wrong_rows_are_refused) {
  Session session(tiny::remedi_config("float32"));
  TrainBatch rows = batch();
  rows.drafts.tokens.pop_back();
  --rows.drafts.offsets.back();
  CHECK_THROWS(session.train_step(step(.3), rows));
  rows = batch();
  rows.drafts.tokens[0] = 20;
  CHECK_THROWS(session.train_step(step(.3), rows));
  Record record = step(.3);
  record.set("blockLength", 0.0);
  CHECK_THROWS(session.train_step(record, batch()));
}

TEST(a_small_batch_is_learned_and_wrong_tokens_are_found) {
  Session session(tiny::remedi_config("float32"));
  Record last;
  for (int64_t s = 0; s < 150; ++s) {
    Record record = step(.5, 0);
    record.set("step", s);
    last = session.train_step(record, batch(7));
  }
  CHECK(last.number("token") < .05);
  CHECK(last.number("fillAccuracy") == 1);
  CHECK(last.number("wrongConfidence") < .2);
  CHECK(last.number("cleanConfidence") > .8);
}
