// head_loss: parts of the positions against libtorch's cross-entropy of all logits at once, and its gradients.
#define MERGE_CHECK_MAIN
#include "nn/head_loss.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "check.h"

using at::Tensor;
using merge::nn::head_loss;
using merge::nn::HeadLoss;
using merge::nn::HeadLossOptions;
using merge::nn::HeadWeights;

namespace {

constexpr int64_t kPositions = 23, kVocabulary = 37, kWidth = 16;

struct Case {
  at::ScalarType states, weights;
  bool bias, matrix_learns;
  double smoothing, scale;
  double temperature = 1;
  std::vector<int64_t> forbidden = {};
};

// Gradients of the positions' losses, each times a factor of its own.
struct Found {
  Tensor loss_M, best_M;
  std::vector<Tensor> gradients;
};

Found found(const Case& of, int64_t positions) {
  at::manual_seed(3);
  const auto leaf = [](at::IntArrayRef shape, at::ScalarType type, bool learns) {
    return at::randn(shape, at::kDouble).to(type).requires_grad_(learns);
  };
  const Tensor states_MD = leaf({kPositions, kWidth}, of.states, true);
  const Tensor matrix_VD = leaf({kVocabulary, kWidth}, of.weights, of.matrix_learns);
  const Tensor bias_V = of.bias ? leaf({kVocabulary}, of.weights, true) : Tensor();
  const Tensor targets_M = at::randint(1, kVocabulary - 1, {kPositions}, at::kLong);
  const Tensor factor_M = at::rand({kPositions}, at::kDouble) - .3;
  const HeadLoss said = head_loss({matrix_VD, bias_V, of.scale}, states_MD, targets_M,
                                  {.smoothing = of.smoothing,
                                   .temperature = of.temperature,
                                   .forbidden_F = of.forbidden.empty() ? Tensor() : at::tensor(of.forbidden),
                                   .positions = positions});
  torch::autograd::backward({(said.loss_M * factor_M.to(said.loss_M.scalar_type())).sum()}, {});
  Found result{said.loss_M.detach(), said.best_M, {states_MD.grad()}};
  if (of.matrix_learns) result.gradients.push_back(matrix_VD.grad());
  if (of.bias) result.gradients.push_back(bias_V.grad());
  CHECK(of.matrix_learns || !matrix_VD.grad().defined());
  return result;
}

double worst(const Tensor& a, const Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>() / (1 + b.abs().max().item<double>());
}

void check_parts(const Case& of) {
  const Found whole = found(of, kPositions);
  for (const int64_t positions : {1, 5, 22}) {
    const Found parts = found(of, positions);
    CHECK(worst(parts.loss_M, whole.loss_M) < 1e-13);
    CHECK(parts.best_M.equal(whole.best_M));
    CHECK(parts.gradients.size() == whole.gradients.size());
    for (size_t i = 0; i < whole.gradients.size(); ++i) {
      CHECK(parts.gradients[i].scalar_type() == whole.gradients[i].scalar_type());
      CHECK(worst(parts.gradients[i], whole.gradients[i]) < 1e-13);
    }
  }
}

}  // namespace

TEST(parts_say_what_the_whole_says) {
  for (const double smoothing : {0., .1}) {
    for (const bool bias : {false, true}) {
      for (const double scale : {1., .25}) {
        check_parts({at::kDouble, at::kDouble, bias, true, smoothing, scale});
      }
    }
  }
}

TEST(a_forbidden_target_has_no_gradient_of_its_own) {
  Case of{at::kDouble, at::kDouble, true, true, 0, 1};
  for (int64_t word = 0; word < kVocabulary; word += 3) of.forbidden.push_back(word);
  const Found whole = found(of, kPositions), parts = found(of, 5);
  CHECK(worst(parts.loss_M, whole.loss_M) < 1e-13 && whole.loss_M.max().item<double>() > 1e29);
  for (size_t i = 0; i < whole.gradients.size(); ++i) CHECK(worst(parts.gradients[i], whole.gradients[i]) < 1e-13);
}

TEST(forbidden_words_have_no_probability_at_any_temperature) {
  const std::vector<int64_t> forbidden{0, kVocabulary - 1};
  for (const double temperature : {.5, 1., 2.}) {
    const Case of{at::kDouble, at::kDouble, true, true, 0, .25, temperature, forbidden};
    check_parts(of);
    // The definition: a softmax over the other words.
    at::manual_seed(3);
    const auto drawn = [](at::IntArrayRef shape) { return at::randn(shape, at::kDouble); };
    const Tensor states_MD = drawn({kPositions, kWidth}), matrix_VD = drawn({kVocabulary, kWidth});
    const Tensor bias_V = drawn({kVocabulary}), targets_M = at::randint(1, kVocabulary - 1, {kPositions}, at::kLong);
    const Tensor logits_MV = (at::mm(states_MD, matrix_VD.t()) + bias_V) * .25 / temperature;
    const Tensor log_p = at::log_softmax(logits_MV.narrow(1, 1, kVocabulary - 2), 1);
    CHECK(worst(found(of, 5).loss_M, -log_p.gather(1, targets_M.unsqueeze(1) - 1).squeeze(1)) < 1e-13);
    for (const Tensor& gradient : {found(of, 5).gradients[1], found(of, 5).gradients[2]}) {
      for (const int64_t word : forbidden) CHECK(gradient[word].abs().max().item<double>() == 0);
    }
  }
}

TEST(a_head_that_is_frozen_has_no_gradient) {
  const Case of{at::kFloat, at::kFloat, false, false, .1, 1};
  const Found whole = found(of, kPositions), parts = found(of, 5);
  CHECK(worst(parts.gradients[0], whole.gradients[0]) < 1e-6);
}

TEST(half_width_states_of_float32_weights) {
  const Case of{at::kBFloat16, at::kFloat, false, true, .1, 1};
  const Found whole = found(of, kPositions), parts = found(of, 5);
  CHECK(parts.loss_M.scalar_type() == at::kFloat);
  CHECK(worst(parts.loss_M, whole.loss_M) < 1e-6);
  CHECK(parts.gradients[0].scalar_type() == at::kBFloat16 && parts.gradients[1].scalar_type() == at::kFloat);
  // Parts are added in float32, the whole is rounded once.
  CHECK(worst(parts.gradients[0], whole.gradients[0]) < 1e-2);
  CHECK(worst(parts.gradients[1], whole.gradients[1]) < 1e-2);
}

TEST(without_gradients_and_every_position_is_seen_once) {
  const at::NoGradGuard no_grad;
  at::manual_seed(4);
  const Tensor states_MD = at::randn({kPositions, kWidth}), matrix_VD = at::randn({kVocabulary, kWidth});
  const Tensor targets_M = at::randint(kVocabulary, {kPositions}, at::kLong),
               logits_MV = at::mm(states_MD, matrix_VD.t());
  const Tensor wanted_M = logits_MV.logsumexp(1) - logits_MV.gather(1, targets_M.unsqueeze(1)).squeeze(1);
  for (const int64_t positions : {4, 100}) {
    std::vector<Tensor> seen;
    int64_t next = 0;
    HeadLossOptions options{.positions = positions};
    options.look = [&](int64_t begin, const Tensor& logits_mV) {
      CHECK(begin == next);
      next += logits_mV.size(0);
      seen.push_back(logits_mV);
    };
    const HeadLoss said = head_loss({matrix_VD, {}}, states_MD, targets_M, options);
    CHECK(worst(said.loss_M, wanted_M) < 1e-6);
    CHECK(worst(at::cat(seen), logits_MV) < 1e-6);
  }
}

TEST(best_words_of_more_positions_than_fit_at_a_time) {
  at::manual_seed(5);
  const int64_t vocabulary = 1 << 21, positions = 19;
  CHECK(merge::nn::positions_at_a_time(vocabulary) == 8);
  const Tensor states_MD = at::randn({positions, 2}), matrix_VD = at::randn({vocabulary, 2});
  CHECK(merge::nn::best_words({matrix_VD, {}}, states_MD).equal(at::mm(states_MD, matrix_VD.t()).argmax(1)));
  CHECK(merge::nn::best_words({matrix_VD, {}}, states_MD.narrow(0, 0, 0)).numel() == 0);
}
