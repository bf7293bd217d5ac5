// The straight-through samplers: hard forward, the surrogate's gradient, noise that is always finite, refusals.
#define MERGE_CHECK_MAIN
#include <torch/csrc/autograd/autograd.h>

#include <atomic>
#include <functional>
#include <limits>

#include "check.h"
#include "error.h"
#include "kernels/noise.h"
#include "ops/bernoulli_st.h"
#include "ops/counts_st.h"
#include "ops/pointer_st.h"

using namespace merge;
using ops::StraightThrough;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const std::vector<double> kTemperatures{.1, 1, 2};
const Offsets kRows{0, 1, 1, 9, 40, 297};
const std::vector<int64_t> kDrawn{1, 2, 3, 31, 20};

double worst(const Tensor& a, const Tensor& b) {
  return a.numel() == 0 ? 0 : (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

Tensor leaf(const Tensor& values, at::ScalarType type) { return values.to(type).detach().clone().requires_grad_(true); }

// d(sum of weight * out) / d input; a fixed weighting asks for every element.
Tensor gradient(const Tensor& input, const Tensor& out) {
  const Tensor weight = at::linspace(-1, 2, out.numel(), out.options().requires_grad(false));
  return torch::autograd::grad({(out * weight).sum()}, {input}, {}, /*retain_graph=*/true)[0];
}

// log(1 - softmax) by its definition: the surrogate as the paper writes it, nothing shared with the op.
Tensor paper_top_k(const Tensor& scores, int64_t k, double temperature) {
  Tensor alpha = scores, z = at::zeros_like(scores);
  for (int64_t t = 0; t < k; ++t) {
    const Tensor p = (alpha / temperature).softmax(0);
    z = z + p;
    alpha = alpha + (1 - p).log();
  }
  return z;
}

}  // namespace

TEST(bernoulli_gradient_is_the_surrogates) {
  at::manual_seed(1);
  const Tensor logits = 2 * at::randn({297}, at::kDouble);
  const Tensor noise = ops::logistic_noise(kRows, Random(1, 2, 3, Purpose::kBernoulliSt));
  for (const double temperature : kTemperatures) {
    const Tensor input = leaf(logits, at::kDouble), other = leaf(logits, at::kDouble);
    const StraightThrough drawn = ops::bernoulli_st(input, noise, temperature);
    const Tensor surrogate = 1 / (1 + (-(other + noise) / temperature).exp());
    CHECK(at::equal(drawn.sample, (logits + noise).gt(0).to(at::kDouble)));
    CHECK(at::equal(gradient(input, drawn.sample), gradient(input, drawn.relaxed)));
    CHECK(worst(drawn.relaxed, surrogate) < 1e-15);
    CHECK(worst(gradient(input, drawn.sample), gradient(other, surrogate)) < 1e-14);

    // The kernel computes in double and rounds once.
    const Tensor narrow = leaf(logits, at::kFloat), wide = leaf(narrow, at::kDouble);
    const StraightThrough fast = ops::bernoulli_st(narrow, noise, temperature);
    const StraightThrough slow = ops::bernoulli_st_reference(wide, noise, temperature);
    CHECK(at::equal(fast.sample.to(at::kDouble), slow.sample));
    CHECK(worst(fast.relaxed, slow.relaxed) < 1e-7);
    CHECK(at::equal(gradient(narrow, fast.sample), gradient(narrow, fast.relaxed)));
    CHECK(worst(gradient(narrow, fast.sample), gradient(wide, slow.sample)) < 2e-7 / temperature);
  }
}

TEST(pointer_gradient_is_the_surrogates) {
  at::manual_seed(2);
  const Tensor scores = at::randn({297}, at::kDouble);
  const Tensor noise = ops::gumbel_noise(kRows, Random(1, 2, 3, Purpose::kPointerSt));
  for (const double temperature : kTemperatures) {
    const Tensor input = leaf(scores, at::kDouble), other = leaf(scores, at::kDouble);
    const StraightThrough drawn = ops::pointer_st(input, noise, kRows, kDrawn, temperature);
    std::vector<Tensor> rows;
    for (size_t r = 0; r < kDrawn.size(); ++r) {
      const int64_t length = kRows[r + 1] - kRows[r];
      const Tensor row = other.narrow(0, kRows[r], length) + noise.narrow(0, kRows[r], length);
      rows.push_back(paper_top_k(row, std::min(kDrawn[r], length), temperature));
    }
    const Tensor surrogate = at::cat(rows);
    CHECK(at::equal(gradient(input, drawn.sample), gradient(input, drawn.relaxed)));
    // The definition loses digits where p is close to 1, the op does not; at .1 that is most of the first rows.
    const double room = temperature < 1 ? 1e-6 : 1e-12;
    CHECK(worst(drawn.relaxed, surrogate) < room);
    CHECK(worst(gradient(input, drawn.sample), gradient(other, surrogate)) < 10 * room);

    const Tensor narrow = leaf(scores, at::kFloat), wide = leaf(narrow, at::kDouble);
    const StraightThrough fast = ops::pointer_st(narrow, noise, kRows, kDrawn, temperature);
    const StraightThrough slow = ops::pointer_st_reference(wide, noise, kRows, kDrawn, temperature);
    CHECK(at::equal(fast.sample.to(at::kDouble), slow.sample));
    CHECK(worst(fast.relaxed, slow.relaxed) < 2e-7);
    CHECK(at::equal(gradient(narrow, fast.sample), gradient(narrow, fast.relaxed)));
    const Tensor exact = gradient(wide, slow.sample);
    CHECK(worst(gradient(narrow, fast.sample), exact) < 1e-6 * (1 + exact.abs().max().item<double>()));
  }
}

TEST(relaxed_gradients_agree_with_central_differences) {
  at::manual_seed(3);
  const Offsets offsets{0, 1, 7, 20};
  const std::vector<int64_t> k{1, 6, 5};
  const Tensor scores = at::randn({20}, at::kDouble), weight = at::randn({20}, at::kDouble);
  const Tensor noise = ops::gumbel_noise(offsets, Random(4, 0, 0, Purpose::kPointerSt));
  for (const double temperature : {.5, 1., 2.}) {
    const auto value = [&](const Tensor& at) {
      return (ops::pointer_st(at, noise, offsets, k, temperature).relaxed * weight).sum();
    };
    const Tensor input = leaf(scores, at::kDouble);
    const Tensor exact = torch::autograd::grad({value(input)}, {input})[0];
    for (int64_t i = 0; i < 20; ++i) {
      const Tensor step = at::zeros({20}, at::kDouble).index_fill(0, at::tensor({i}), 1e-6);
      const double difference = (value(scores + step) - value(scores - step)).item<double>() / 2e-6;
      CHECK_NEAR(exact[i].item<double>(), difference, 1e-7);
    }
  }
}

TEST(a_set_has_k_members_and_the_relaxed_one_their_weight) {
  const Tensor scores = at::zeros({297});
  const StraightThrough drawn = ops::pointer_st(scores, kRows, kDrawn, 1, Random(5, 0, 0, Purpose::kPointerSt));
  for (size_t r = 0; r < kDrawn.size(); ++r) {
    const int64_t length = kRows[r + 1] - kRows[r];
    const auto expected = static_cast<double>(std::min(kDrawn[r], length));
    CHECK(drawn.sample.narrow(0, kRows[r], length).sum().item<double>() == expected);
    CHECK_NEAR(drawn.relaxed.narrow(0, kRows[r], length).sum().item<double>(), expected, 1e-4);
  }
  CHECK(drawn.sample.eq(0).logical_or(drawn.sample.eq(1)).all().item<bool>());
}

TEST(ties_go_to_the_lowest_index) {
  const Tensor zero = at::zeros({6}, at::kDouble);
  for (const auto type : {at::kFloat, at::kDouble}) {
    const Tensor scores = at::tensor({1., 3., 3., 0., 3., 1.}).to(type);
    const auto set = ops::pointer_st(scores, zero, {0, 6}, {2}, 1).sample;
    CHECK(at::equal(set.to(at::kDouble), at::tensor({0., 1., 1., 0., 0., 0.}, at::kDouble)));
    CHECK(ops::bernoulli_st(zero.to(type), zero, 1).sample.sum().item<double>() == 0);
    const auto counts = ops::counts_st(at::tensor({.5, 1.5, .5, 0., 1.5, .5}).to(type), {0, 3, 6}).sample;
    CHECK(at::equal(counts.to(at::kDouble), at::tensor({1., 2., 0., 0., 2., 0.}, at::kDouble)));
  }
}

TEST(closed_gaps_are_never_drawn_and_get_no_gradient) {
  const Tensor scores = at::tensor({-kInfinity, 1., -kInfinity, 2., -kInfinity, -kInfinity}, at::kDouble);
  const Offsets offsets{0, 4, 6};
  const Tensor noise = ops::gumbel_noise(offsets, Random(6, 0, 0, Purpose::kPointerSt));
  for (const auto type : {at::kFloat, at::kDouble}) {
    const Tensor input = leaf(scores, type);
    const auto drawn = ops::pointer_st(input, noise, offsets, {5, 5}, .5);
    CHECK(at::equal(drawn.sample.to(at::kDouble), at::tensor({0., 1., 0., 1., 0., 0.}, at::kDouble)));
    const Tensor grad = gradient(input, drawn.sample);
    CHECK(grad.isfinite().all().item<bool>());
    CHECK(grad[0].item<double>() == 0 && grad[2].item<double>() == 0 && grad[4].item<double>() == 0);
    const auto counted = ops::pointer_counts_st(input, noise, offsets, {5, 5}, .5);
    CHECK(counted.sample.sum().item<double>() == 5 && counted.sample[0].item<double>() == 0);
    CHECK(gradient(input, counted.sample).isfinite().all().item<bool>());
  }
}

TEST(scores_far_apart_stay_finite) {
  for (const auto type : {at::kFloat, at::kDouble}) {
    const Tensor input = leaf(at::tensor({3e4, 0., -3e4, 1., 2e4}), type), zero = at::zeros({5}, at::kDouble);
    for (const int64_t k : {0, 1, 2, 5, 9}) {
      const auto drawn = ops::pointer_st(input, zero, {0, 5}, {k}, .1);
      CHECK(drawn.relaxed.isfinite().all().item<bool>());
      CHECK(gradient(input, drawn.sample).isfinite().all().item<bool>());
    }
    CHECK(gradient(input, ops::bernoulli_st(input, zero, .1).sample).isfinite().all().item<bool>());
  }
}

TEST(counts_sum_to_the_rounded_total_and_pass_gradients_through) {
  at::manual_seed(7);
  const Tensor expected = 3 * at::rand({297});
  for (const auto type : {at::kFloat, at::kDouble}) {
    const Tensor input = leaf(expected, type);
    const auto drawn = ops::counts_st(input, kRows);
    const auto slow = ops::counts_st_reference(input, kRows);
    CHECK(at::equal(drawn.sample, slow.sample));
    for (size_t r = 0; r + 1 < kRows.size(); ++r) {
      const int64_t length = kRows[r + 1] - kRows[r];
      const double total = input.narrow(0, kRows[r], length).sum(at::kDouble).item<double>();
      CHECK(drawn.sample.narrow(0, kRows[r], length).sum().item<double>() == std::floor(total + .5));
    }
    CHECK(worst(drawn.sample, input) < 1);
    CHECK(at::equal(gradient(input, drawn.sample), at::linspace(-1, 2, 297, at::TensorOptions(type))));
  }
}

TEST(a_row_draws_the_same_whatever_stands_beside_it) {
  at::manual_seed(8);
  const Random random(9, 0, 0, Purpose::kPointerSt);
  const Tensor scores = at::randn({12});
  const auto together = ops::pointer_st(scores, {0, 5, 12}, {2, 3}, 1, random);
  const auto alone = ops::pointer_st(scores.narrow(0, 0, 5), {0, 5}, {2}, 1, random);
  CHECK(at::equal(together.relaxed.narrow(0, 0, 5), alone.relaxed));
  const Tensor other = at::cat({at::randn({9}), scores.narrow(0, 5, 7)});
  CHECK(at::equal(ops::pointer_st(other, {0, 9, 16}, {4, 3}, 1, random).relaxed.narrow(0, 9, 7),
                  together.relaxed.narrow(0, 5, 7)));
  CHECK(at::equal(ops::bernoulli_st(other, {0, 9, 16}, 1, random).relaxed.narrow(0, 9, 7),
                  ops::bernoulli_st(scores, {0, 5, 12}, 1, random).relaxed.narrow(0, 5, 7)));
}

// Chi-square of 10^6 draws against the probabilities that the logits and scores say.
TEST(frequencies_are_those_of_the_distribution) {
  constexpr int64_t kDraws = 250000;
  const Tensor scores = at::tensor({-1., 0., .5, 2.}, at::kDouble), coins = scores.sigmoid();
  std::vector<double> ones(4), firsts(4);
  Offsets offsets;
  for (int64_t r = 0; r <= kDraws; ++r) offsets.push_back(4 * r);
  const Random random(10, 0, 0, Purpose::kSample);
  const Tensor many = scores.repeat({kDraws});
  const Tensor flipped = ops::bernoulli_st(many, offsets, 1, random).sample.view({kDraws, 4}).sum(0);
  const Tensor pointed = ops::pointer_st(many.to(at::kFloat), offsets, std::vector<int64_t>(kDraws, 1), 1, random)
                             .sample.view({kDraws, 4})
                             .sum(0, false, at::kDouble);
  const Tensor wanted = scores.softmax(0) * static_cast<double>(kDraws);
  const double spread = (pointed - wanted).square().div(wanted).sum().item<double>();
  CHECK(spread < 21.1);  // p = 1e-4 with 3 degrees of freedom
  const Tensor deviation =
      (flipped - coins * static_cast<double>(kDraws)).square() / (coins * (1 - coins) * static_cast<double>(kDraws));
  CHECK(deviation.sum().item<double>() < 23.5);  // 4 degrees
}

TEST(noise_is_finite_at_the_ends) {
  for (const double uniform : {0., 0x1p-53, 0x1p-24, .5, 1 - 0x1p-24, 1 - 0x1p-53, 1.}) {
    CHECK(std::isfinite(kernels::logistic_noise(uniform)) && std::isfinite(kernels::gumbel_noise(uniform)));
  }
  CHECK(std::abs(kernels::logistic_noise(0)) < 37 && std::abs(kernels::logistic_noise(1)) < 37);
  CHECK(kernels::gumbel_noise(0) > -4 && kernels::gumbel_noise(1) < 37);
}

TEST(of_1e9_noise_draws_none_is_without_bounds) {
  const Random random(11, 0, 0, Purpose::kPointerSt);
  constexpr int64_t kDraws = 1000000000;
  std::atomic<int64_t> bad{0};
  at::parallel_for(0, kDraws, kDraws / 64, [&](int64_t begin, int64_t end) {
    int64_t wrong = 0;
    for (int64_t i = begin; i < end; ++i) {
      // Gumbel is logistic's own logarithm once more, so both come from one uniform number.
      const double uniform = random.uniform(static_cast<uint64_t>(i));
      const double noise = i % 2 == 0 ? kernels::logistic_noise(uniform) : kernels::gumbel_noise(uniform);
      wrong += !(std::abs(noise) < 37);
    }
    bad += wrong;
  });
  CHECK(bad == 0);
}

TEST(bad_arguments_are_refused) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const auto type : {at::kFloat, at::kDouble}) {
    const Tensor three = at::zeros({3}, type), noise = at::zeros({3}, at::kDouble);
    const Offsets row{0, 3};
    for (const double temperature : {0., -1., nan, kInfinity}) {
      CHECK(check::code_of([&] { ops::bernoulli_st(three, noise, temperature); }) == "ERR_CONFIG");
      CHECK(check::code_of([&] { ops::pointer_st(three, noise, row, {1}, temperature); }) == "ERR_CONFIG");
      CHECK(check::code_of([&] { ops::pointer_counts_st(three, noise, row, {1}, temperature); }) == "ERR_CONFIG");
    }
    CHECK(check::code_of([&] { ops::pointer_st(three, noise, row, {-1}, 1); }) == "ERR_CONFIG");
    CHECK(check::code_of([&] { ops::pointer_st(three, noise, row, {1, 1}, 1); }) == "ERR_SHAPE");
    CHECK(check::code_of([&] { ops::pointer_st(three, noise, {0, 2}, {1}, 1); }) == "ERR_SHAPE");
    CHECK(check::code_of([&] { ops::pointer_st(three, noise, {0, 3, 2, 3}, {1, 1, 1}, 1); }) == "ERR_SHAPE");
    CHECK(check::code_of([&] { ops::bernoulli_st(three, at::zeros({2}, at::kDouble), 1); }) == "ERR_SHAPE");
    CHECK(check::code_of([&] { ops::counts_st(three - 1, row); }) == "ERR_INPUT");
    for (const double value : {nan, kInfinity}) {
      const Tensor bad = at::tensor({0., value, 0.}).to(type);
      CHECK(check::code_of([&] { ops::bernoulli_st(bad, noise, 1); }) == "ERR_NONFINITE");
      CHECK(check::code_of([&] { ops::pointer_st(bad, noise, row, {1}, 1); }) == "ERR_NONFINITE");
      CHECK(check::code_of([&] { ops::counts_st(bad, row); }) == "ERR_NONFINITE");
    }
    CHECK(check::code_of([&] { ops::bernoulli_st(at::full({3}, -kInfinity).to(type), noise, 1); }) == "ERR_NONFINITE");
  }
}

TEST(no_rows_and_empty_rows_give_nothing) {
  for (const auto type : {at::kFloat, at::kDouble}) {
    const Tensor none = leaf(at::zeros({0}), type), noise = at::zeros({0}, at::kDouble);
    CHECK(ops::bernoulli_st(none, noise, 1).sample.numel() == 0);
    CHECK(ops::pointer_st(none, noise, {0}, {}, 1).sample.numel() == 0);
    CHECK(ops::pointer_st(none, noise, {0, 0}, {3}, 1).sample.numel() == 0);
    CHECK(ops::counts_st(none, {0, 0}).sample.numel() == 0);
    CHECK(gradient(none, ops::pointer_st(none, noise, {0, 0}, {3}, 1).sample).numel() == 0);
  }
}
