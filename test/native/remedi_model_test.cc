// The RemeDi model in C++: visibility against brute force, the zero start, gradients against finite differences.
#define MERGE_CHECK_MAIN
#include <ATen/core/grad_mode.h>

#include "check.h"
#include "nn/product.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "remedi/model.h"
#include "remedi_tiny.h"

using namespace merge;
using merge::remedi::Place;

namespace {

double worst(const Tensor& a, const Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

Tensor parameter(const nn::Parameters& parameters, const std::string& name) {
  for (const auto& entry : parameters.entries()) {
    if (entry.name == name) return entry.tensor;
  }
  throw std::runtime_error("no parameter " + name);
}

void disturb(nn::Parameters& parameters, const std::string& part, double deviation) {
  at::NoGradGuard no_grad;
  for (const auto& entry : parameters.entries()) {
    if (entry.name.find(part) != std::string::npos)
      entry.tensor.detach().add_(at::randn_like(entry.tensor) * deviation);
  }
}

// prompt of 5, two clean blocks of 3, their noisy copies, one padding position.
std::vector<Place> training_row() {
  std::vector<Place> places(5, Place{Place::kPrompt});
  for (const bool noisy : {false, true}) {
    for (const int32_t block : {1, 2}) places.insert(places.end(), 3, Place{block, noisy});
  }
  places.push_back({Place::kPadding});
  return places;
}

}  // namespace

TEST(visibility_is_the_rule_written_out) {
  const auto places = training_row();
  const int64_t n = static_cast<int64_t>(places.size());
  const Tensor bias = remedi::visibility_bias(places, {0, n}, at::kCPU).view({n, n});
  // Which positions see which, in words of ranges: prompt 0-4, clean 5-7 and 8-10, noisy 11-13 and 14-16, padding 17.
  const auto between = [](int64_t x, int64_t low, int64_t high) { return low <= x && x <= high; };
  for (int64_t q = 0; q < n; ++q) {
    for (int64_t k = 0; k < n; ++k) {
      bool seen = q == k;
      if (between(q, 0, 4)) seen = between(k, 0, 4);
      if (between(q, 5, 7)) seen = between(k, 0, 7);
      if (between(q, 8, 10)) seen = between(k, 0, 10);
      if (between(q, 11, 13)) seen = between(k, 0, 4) || between(k, 11, 13);
      if (between(q, 14, 16)) seen = between(k, 0, 7) || between(k, 14, 16);
      CHECK((bias[q][k].item<double>() == 0) == seen);
      CHECK(seen || bias[q][k].item<double>() == -INFINITY);
    }
  }
  CHECK(!remedi::visibility_bias(std::vector<Place>(4, Place{1}), {0, 4}, at::kCPU).defined());
}

TEST(zero_back_projections_leave_the_token_stream_alone) {
  remedi::Model model(tiny::remedi_config("float64"));
  at::manual_seed(1);
  disturb(model.parameters(), "norm", .1);
  disturb(model.parameters(), "policy.blocks", .3);
  const Rows rows = tiny::rows(4, 3, 20);
  const remedi::Sequence sequence = model.sequence(rows);
  at::NoGradGuard no_grad;
  const Tensor logits = model.head().logits(model.forward(sequence).hidden_TD);
  // The base model, from the same weights: embedding, blocks, norm, head.
  const auto& options = model.options();
  nn::Parameters others(0);
  Tensor x = at::embedding(parameter(model.parameters(), "embedding.weight"), sequence.tokens_T);
  nn::View view;
  view.offsets = sequence.offsets;
  view.angles_TK = ops::rope_angles(sequence.positions_T, 8, 10000, at::kDouble);
  for (int64_t b = 0; b < options.layers; ++b) {
    const std::string name = "token.blocks." + std::to_string(b);
    const nn::Block block(others, name, options.block);
    for (const auto& entry : others.entries()) {
      if (entry.name.rfind(name, 0) == 0) entry.tensor.set_data(parameter(model.parameters(), entry.name).detach());
    }
    x = block.forward(x, view);
  }
  x = ops::rms_norm(x, parameter(model.parameters(), "token.norm.weight"), 1e-5);
  const Tensor base = nn::project(x, parameter(model.parameters(), "head.weight"));
  CHECK(at::equal(logits, base));
  // The test can fail: with a back-projection the streams meet.
  disturb(model.parameters(), "policy.back", .1);
  CHECK(worst(model.head().logits(model.forward(sequence).hidden_TD), base) > 1e-3);
}

TEST(a_block_sees_nothing_behind_it) {
  remedi::Model model(tiny::remedi_config("float64"));
  at::manual_seed(2);
  disturb(model.parameters(), "policy", .2);
  at::NoGradGuard no_grad;
  Rows rows;
  rows.append(std::vector<int32_t>{5, 6, 7, 8, 9, 10, 11, 12, 13});
  std::vector<Place> places(3, Place{Place::kPrompt});
  places.insert(places.end(), 3, Place{1});
  places.insert(places.end(), 3, Place{2});
  const Tensor bias = remedi::visibility_bias(places, {0, 9}, at::kCPU);
  const auto before = model.forward(model.sequence(rows), bias);
  rows.tokens[7] = 19;
  const auto after = model.forward(model.sequence(rows), bias);
  CHECK(worst(before.hidden_TD.narrow(0, 0, 6), after.hidden_TD.narrow(0, 0, 6)) < 1e-12);
  CHECK(worst(before.confidence_T.narrow(0, 0, 6), after.confidence_T.narrow(0, 0, 6)) < 1e-12);
  CHECK(worst(before.hidden_TD[6], after.hidden_TD[6]) > 1e-4);
}

TEST(gradients_of_both_streams_are_those_of_finite_differences) {
  remedi::Model model(tiny::remedi_config("float64"));
  at::manual_seed(3);
  disturb(model.parameters(), "policy", .2);
  const Rows rows = tiny::rows(4, 2, 9);
  const remedi::Sequence sequence = model.sequence(rows);
  const auto loss = [&] {
    const auto streams = model.forward(sequence);
    return at::log_softmax(model.head().logits(streams.hidden_TD), 1).select(1, 7).sum() +
           streams.confidence_T.square().sum();
  };
  model.parameters().zero_gradients();
  loss().backward();
  int64_t checked = 0;
  for (const auto& entry : model.parameters().entries()) {
    if (entry.name.find("policy.blocks.2") == 0) continue;  // held, not used
    Tensor flat = entry.tensor.detach().view({-1});
    const int64_t at = (7 * checked + 3) % flat.numel();
    const double step = 1e-5, value = flat[at].item<double>();
    at::NoGradGuard no_grad;
    flat[at] = value + step;
    const double above = loss().item<double>();
    flat[at] = value - step;
    const double below = loss().item<double>();
    flat[at] = value;
    const double slope = (above - below) / (2 * step), found = entry.tensor.grad().view({-1})[at].item<double>();
    if (std::abs(slope - found) > 1e-5 * (1 + std::abs(slope)))
      std::printf("  %s: %g, expected %g\n", entry.name.c_str(), found, slope);
    CHECK_NEAR(found, slope, 1e-5 * (1 + std::abs(slope)));
    ++checked;
  }
  CHECK(checked > 40);
}

TEST(a_blank_model_holds_zeros_until_it_is_drawn) {
  Record config = tiny::remedi_config("float32");
  remedi::Model drawn(config);
  config.set("start", Record::Value(std::string("blank")));
  remedi::Model blank(config);
  for (size_t i = 0; i < blank.parameters().entries().size(); ++i) {
    const auto& entry = blank.parameters().entries()[i];
    CHECK(entry.tensor.count_nonzero().item<int64_t>() == 0);
    blank.parameters().draw(entry);
    CHECK(at::equal(entry.tensor, drawn.parameters().entries()[i].tensor));
  }
}

TEST(bfloat16_weights_take_half_the_bytes_and_give_nearly_the_numbers) {
  Record config = tiny::remedi_config("bfloat16");
  config.set("weightDtype", Record::Value(std::string("bfloat16")));
  remedi::Model half(config), whole(tiny::remedi_config("float32"));
  CHECK(half.parameters().groups()[0].values.nbytes() * 2 == whole.parameters().groups()[0].values.nbytes());
  CHECK(half.parameters().groups()[1].values.scalar_type() == at::kFloat);
  at::NoGradGuard no_grad;
  const Rows rows = tiny::rows(4, 3, 20);
  const Tensor a = half.head().logits(half.forward(half.sequence(rows)).hidden_TD);
  const Tensor b = whole.head().logits(whole.forward(whole.sequence(rows)).hidden_TD);
  CHECK(a.scalar_type() == at::kFloat);
  CHECK(worst(a, b) < .1);
}

TEST(bad_configurations_are_refused) {
  const auto with = [](const char* name, Record::Value value) {
    Record config = tiny::remedi_config("float32");
    config.set(name, std::move(value));
    return config;
  };
  for (const char* positions : {"", "0,0", "1,0", "4", "x", "0,,2", "-1"}) {
    CHECK_THROWS(remedi::Model(with("policyPositions", std::string(positions))));
  }
  CHECK_THROWS(remedi::Model(with("keyHeads", 3.0)));
  CHECK_THROWS(remedi::Model(with("heads", 3.0)));
  CHECK_THROWS(remedi::Model(with("policyBlocks", 1.0)));
  CHECK_THROWS(remedi::Model(with("mask", 99.0)));
}
