// Every loss, aligned, literal and unaligned: gradients against central differences on every input, brute force over
// alignments, rows that do not touch each other, empty sets, refusals.
#define MERGE_CHECK_MAIN
#include "merge/losses.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

#include "check.h"
#include "error.h"
#include "merge/alignment_losses.h"
#include "merge/literal_losses.h"
#include "nn/head_loss.h"

using namespace merge;

namespace {

using Loss = std::function<Tensor(const std::vector<Tensor>&)>;

Tensor longs(const std::vector<int64_t>& values) { return at::tensor(at::ArrayRef<int64_t>(values), at::kLong); }
Tensor normal(at::IntArrayRef shape, double scale = 1.5) { return scale * at::randn(shape, at::kDouble); }

Rows rows_of(const std::vector<std::vector<int32_t>>& rows) {
  Rows all;
  for (const auto& row : rows) all.append(row);
  return all;
}

// Five rows: more positions than tokens, as many, fewer, none of either.
const Offsets kPositions{0, 6, 10, 12, 15, 15};
const Rows kTargets = rows_of({{1, 2, 2, 4}, {3, 1, 4, 2}, {2, 3, 1}, {}, {}});
constexpr int64_t kVocabulary = 5;
const Tensor kRowsN = longs({0, 0, 0, 2, 2, 2, 2, 3});  // row 1 is empty

struct Named {
  const char* name;
  std::vector<Tensor> inputs;
  Loss loss;
};

std::vector<Named> all_losses() {
  const Tensor keep_N = at::tensor({1., 0., 1., 1., 0., 0., 1., 1.}, at::kDouble);
  const Tensor needs_B = at::tensor({1., 0., 1., 0.}, at::kDouble), counts_N = longs({0, 2, 1, 0, 0, 1, 2, 0});
  const Tensor targets_M = longs({4, 0, 1, 2, 2, 3});
  return {
      {"recon",
       {normal({6, 5})},
       [=](const auto& in) { return recon_loss(merge::nn::logits_loss(in[0], targets_M, .1).loss_M); }},
      {"compression",
       {normal({8})},
       [=](const auto& in) {
         return compression_loss(in[0], keep_N, kRowsN, at::tensor({.2, .5, .9, 0.}, at::kDouble), .2, .1);
       }},
      {"pointer",
       {normal({8, 3}), normal({8})},
       [=](const auto& in) { return count_loss(in[0], counts_N, .01) - .3 * score_entropy(in[1], kRowsN, 4); }},
      {"poisson", {normal({8})}, [=](const auto& in) { return poisson_loss(in[0], counts_N); }},
      {"allotment", {normal({8})}, [=](const auto& in) { return allotment_loss(in[0], counts_N, kRowsN, 4); }},
      {"gate", {normal({4})}, [=](const auto& in) { return gate_loss(in[0], needs_B, .05); }},
      {"length", {normal({8})}, [=](const auto& in) { return length_loss(in[0], keep_N, kRowsN, 4); }},
      {"literal recon", {normal({15, 5})}, [=](const auto& in) { return literal_recon(in[0], kPositions, kTargets); }},
      {"literal compression",
       {normal({8}), at::rand({4}, at::kDouble)},
       [=](const auto& in) { return literal_compression(in[0], kRowsN, in[1], .2); }},
      {"literal pointer", {normal({8})}, [=](const auto& in) { return literal_pointer(in[0], kRowsN, 4); }},
      {"literal gate", {normal({4})}, [=](const auto& in) { return literal_gate(in[0], .05); }},
      {"literal length", {normal({8})}, [=](const auto& in) { return literal_length(in[0], kRowsN, 4); }},
      {"axe", {normal({15, 5})}, [=](const auto& in) { return axe(in[0], kPositions, kTargets, 0, 1.5); }},
      {"oaxe", {normal({15, 5})}, [=](const auto& in) { return oaxe(in[0], kPositions, kTargets, 0); }},
      {"ctc", {normal({15, 5})}, [=](const auto& in) { return ctc(in[0], kPositions, kTargets, 0); }},
  };
}

std::vector<double> probabilities(const Tensor& logits_MV) {
  const Tensor p = logits_MV.softmax(1).contiguous();
  return {p.const_data_ptr<double>(), p.const_data_ptr<double>() + p.numel()};
}

// Tiny rows for brute force: m positions and n tokens over 4 symbols, 0 the blank.
struct Tiny {
  Tensor logits;
  std::vector<int32_t> y;
  std::vector<double> p;
  int64_t m;
  double cost(int64_t j, int64_t token) const { return -std::log(p[j * 4 + token]); }
};

std::vector<Tiny> tiny_rows() {
  at::manual_seed(20);
  std::vector<Tiny> all;
  for (int64_t m = 0; m <= 4; ++m) {
    for (int64_t n = 0; n <= 4; ++n) {
      for (int repeat = 0; repeat < 6; ++repeat) {
        Tiny tiny{normal({m, 4}), {}, {}, m};
        for (int64_t i = 0; i < n; ++i) tiny.y.push_back(static_cast<int32_t>(1 + at::randint(3, {1}).item<int64_t>()));
        tiny.p = probabilities(tiny.logits);
        all.push_back(tiny);
      }
    }
  }
  return all;
}

// The cheapest of all monotone alignments, one after the other.
double every_alignment(const Tiny& tiny, size_t i, int64_t j, double penalty) {
  if (i == tiny.y.size() && j == tiny.m) return 0;
  double best = std::numeric_limits<double>::infinity();
  if (i < tiny.y.size() && j < tiny.m) {
    best = std::min(best, tiny.cost(j, tiny.y[i]) + every_alignment(tiny, i + 1, j + 1, penalty));
  }
  if (j < tiny.m) best = std::min(best, tiny.cost(j, 0) + every_alignment(tiny, i, j + 1, penalty));
  if (i < tiny.y.size()) {
    const double price = tiny.m == 0 ? std::log(4.) : tiny.cost(std::max<int64_t>(0, j - 1), tiny.y[i]);
    best = std::min(best, penalty * price + every_alignment(tiny, i + 1, j, penalty));
  }
  return best;
}

// The cheapest of all permutations of tokens, blanks (-1) and places where a token is left over.
double every_order(const Tiny& tiny) {
  const auto size = std::max<int64_t>(tiny.m, static_cast<int64_t>(tiny.y.size()));
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  double best = std::numeric_limits<double>::infinity();
  do {
    double cost = 0;
    for (int64_t j = 0; j < size; ++j) {
      const bool is_token = order[j] < static_cast<int64_t>(tiny.y.size());
      cost += j >= tiny.m ? std::log(4.) : tiny.cost(j, is_token ? tiny.y[order[j]] : 0);
    }
    best = std::min(best, cost);
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

// -log of the sum over all paths that collapse to y; infinity where none does.
double every_path(const Tiny& tiny) {
  double sum = 0;
  const auto paths = static_cast<int64_t>(std::pow(4, tiny.m));
  for (int64_t path = 0; path < paths; ++path) {
    double p = 1;
    std::vector<int32_t> collapsed;
    int64_t before = 0;
    for (int64_t j = 0, rest = path; j < tiny.m; ++j, rest /= 4) {
      const int64_t token = rest % 4;
      p *= tiny.p[j * 4 + token];
      if (token != 0 && token != before) collapsed.push_back(static_cast<int32_t>(token));
      before = token;
    }
    if (collapsed == tiny.y) sum += p;
  }
  return -std::log(sum);
}

}  // namespace

TEST(gradients_agree_with_central_differences_on_every_element) {
  for (const int64_t seed : {1, 2, 3}) {
    at::manual_seed(static_cast<uint64_t>(seed));
    for (const Named& named : all_losses()) {
      std::vector<Tensor> inputs;
      for (const Tensor& input : named.inputs) inputs.push_back(input.detach().clone().requires_grad_(true));
      named.loss(inputs).backward();
      double off = 0, largest = 0;
      for (size_t k = 0; k < inputs.size(); ++k) {
        const Tensor exact = inputs[k].grad().contiguous();
        std::vector<Tensor> moved = named.inputs;
        moved[k] = moved[k].clone();
        for (int64_t e = 0; e < exact.numel(); ++e) {
          double& value = moved[k].mutable_data_ptr<double>()[e];
          const double before = value, step = 1e-5;
          value = before + step;
          const double up = named.loss(moved).item<double>();
          value = before - step;
          const double down = named.loss(moved).item<double>();
          value = before;
          const double difference = (up - down) / (2 * step), gradient = exact.const_data_ptr<double>()[e];
          off = std::max(off, std::abs(difference - gradient) / std::max(1e-4, std::abs(difference)));
          largest = std::max(largest, std::abs(gradient));
        }
      }
      if (off > 1e-5) std::printf("  %s seed %d: relative error %g\n", named.name, static_cast<int>(seed), off);
      CHECK(off <= 1e-5);
      CHECK(largest > 1e-4);
    }
  }
}

TEST(axe_is_the_cheapest_of_all_monotone_alignments) {
  for (const Tiny& tiny : tiny_rows()) {
    for (const double penalty : {.4, 1., 3.}) {
      const double expected =
          every_alignment(tiny, 0, 0, penalty) / static_cast<double>(std::max<size_t>(1, tiny.y.size()));
      CHECK_NEAR(axe(tiny.logits, {0, tiny.m}, rows_of({tiny.y}), 0, penalty).item<double>(), expected, 1e-12);
    }
  }
}

TEST(oaxe_is_the_cheapest_of_all_orders) {
  for (const Tiny& tiny : tiny_rows()) {
    const double expected = every_order(tiny) / static_cast<double>(std::max<size_t>(1, tiny.y.size()));
    CHECK_NEAR(oaxe(tiny.logits, {0, tiny.m}, rows_of({tiny.y}), 0).item<double>(), expected, 1e-12);
  }
}

TEST(ctc_is_the_sum_over_all_paths) {
  for (const Tiny& tiny : tiny_rows()) {
    const double paths = every_path(tiny), length = static_cast<double>(std::max<size_t>(1, tiny.y.size()));
    const double expected = tiny.m == 0 || std::isinf(paths) ? 0 : paths / length;
    CHECK_NEAR(ctc(tiny.logits, {0, tiny.m}, rows_of({tiny.y}), 0).item<double>(), expected, 1e-12);
  }
}

TEST(literal_readings_by_hand) {
  // Two rows: one is cut to its target, one lacks a position, which costs log V.
  const Tensor logits = at::tensor({.5, .25, .25, .1, .2, .7, .6, .3, .1}, at::kDouble).log().view({3, 3});
  const double recon = literal_recon(logits, {0, 2, 3}, rows_of({{1}, {0, 2}})).item<double>();
  CHECK_NEAR(recon, (-std::log(.25) + (-std::log(.6) + std::log(3.)) / 2) / 2, 1e-12);
  const Tensor keep = at::tensor({.9, .5}, at::kDouble).logit(), rows = longs({0, 1});
  const double kl = .9 * std::log(.9 / .8) + .1 * std::log(.1 / .2);
  const double saturated = .5 * std::log(.5 / (1 - 1e-4)) + .5 * std::log(.5 / 1e-4);
  const Tensor gate = at::tensor({1., 0.}, at::kDouble);
  CHECK_NEAR(literal_compression(keep, rows, gate, .2).item<double>(), (kl + saturated) / 2, 1e-12);
  const Tensor score = at::tensor({.5, .25, .25, 1.}, at::kDouble).log();
  const double pointer = .5 * std::log(1.5) + .5 * std::log(.75);
  CHECK_NEAR(literal_pointer(score, longs({0, 0, 0, 2}), 3).item<double>(), pointer / 2, 1e-12);
  CHECK_NEAR(literal_gate(at::tensor({.8, .4}, at::kDouble).logit(), .05).item<double>(), .03, 1e-12);
  CHECK_NEAR(literal_length(at::tensor({.9, .5, .2}, at::kDouble).logit(), longs({0, 0, 2}), 3).item<double>(), .45,
             1e-12);
}

TEST(no_row_changes_anothers_number) {
  at::manual_seed(30);
  const Tensor logits = normal({15, kVocabulary});
  const std::vector<std::function<Tensor(const Tensor&, const Offsets&, const Rows&)>> losses{
      [](const auto& x, const auto& o, const auto& y) { return literal_recon(x, o, y); },
      [](const auto& x, const auto& o, const auto& y) { return axe(x, o, y, 0, 1); },
      [](const auto& x, const auto& o, const auto& y) { return oaxe(x, o, y, 0); },
      [](const auto& x, const auto& o, const auto& y) { return ctc(x, o, y, 0); }};
  for (size_t which = 0; which < losses.size(); ++which) {
    double sum = 0, rows = 0;
    for (int64_t r = 0; r < kTargets.count(); ++r) {
      const int64_t length = kPositions[r + 1] - kPositions[r];
      Rows own;
      own.append(kTargets.row(r));
      sum += losses[which](logits.narrow(0, kPositions[r], length), {0, length}, own).item<double>();
      // Row 3 has positions but no tokens; row 2 of ctc has no path.
      const bool is_in = which == 0 ? kTargets.length(r) > 0 : length > 0;
      rows += is_in ? 1 : 0;
    }
    CHECK_NEAR(losses[which](logits, kPositions, kTargets).item<double>(), sum / (which == 3 ? rows - 1 : rows), 1e-12);
    // The gradient of a row that stays the same is the same, whatever another one says.
    Tensor input = logits.clone().requires_grad_(true), other = logits.clone();
    other.narrow(0, 6, 4).normal_();
    other.requires_grad_(true);
    const auto grad = [&](const Tensor& x) {
      return torch::autograd::grad({losses[which](x, kPositions, kTargets)}, {x})[0];
    };
    const Tensor a = grad(input), b = grad(other);
    CHECK(at::equal(a.narrow(0, 0, 6), b.narrow(0, 0, 6)) && at::equal(a.narrow(0, 10, 5), b.narrow(0, 10, 5)));
    CHECK(!at::equal(a, b));
  }
}

TEST(over_an_empty_set_each_is_0_and_has_a_gradient) {
  const Rows none = rows_of({}), empty = rows_of({{}, {}});
  for (const int64_t positions : {0, 2}) {
    const Tensor logits = normal({positions, kVocabulary}).requires_grad_(true);
    const Offsets offsets{0, 0, positions};
    std::vector<Tensor> losses{literal_recon(logits, offsets, empty)};
    if (positions == 0) {
      losses.push_back(axe(logits, offsets, empty, 0, 1));
      losses.push_back(oaxe(logits, offsets, empty, 0));
      losses.push_back(ctc(logits, offsets, empty, 0));
      for (const Tensor& loss : {literal_recon(logits, {0}, none), axe(logits, {0}, none, 0, 1),
                                 oaxe(logits, {0}, none, 0), ctc(logits, {0}, none, 0)}) {
        losses.push_back(loss);
      }
    }
    for (const Tensor& loss : losses) {
      CHECK(loss.item<double>() == 0);
      loss.backward();
    }
    CHECK(logits.grad().abs().sum().item<double>() == 0);
  }
  const Tensor nothing = normal({0}).requires_grad_(true), rows = longs({});
  for (const Tensor& loss :
       {literal_compression(nothing, rows, at::zeros({2}, at::kDouble), .2), literal_pointer(nothing, rows, 2),
        literal_gate(nothing, .05), literal_length(nothing, rows, 2)}) {
    CHECK(loss.item<double>() == 0);
    loss.backward();
  }
}

TEST(saturated_numbers_stay_finite) {
  const Tensor extreme = at::tensor({-1e4, 1e4, 0., 1e4, -1e4, 0., 300., -300.}, at::kDouble).requires_grad_(true);
  const Tensor wide = (1e4 * at::randn({15, kVocabulary}, at::kDouble)).requires_grad_(true);
  for (const Tensor& loss : {literal_compression(extreme, kRowsN, at::tensor({0., 1., 1., 0.}, at::kDouble), 1),
                             literal_pointer(extreme, kRowsN, 4), literal_length(extreme, kRowsN, 4),
                             axe(wide, kPositions, kTargets, 0, 1), oaxe(wide, kPositions, kTargets, 0),
                             ctc(wide, kPositions, kTargets, 0), literal_recon(wide, kPositions, kTargets)}) {
    CHECK(loss.isfinite().item<bool>());
    loss.backward();
  }
  CHECK(extreme.grad().isfinite().all().item<bool>() && wide.grad().isfinite().all().item<bool>());
}

TEST(bad_arguments_are_refused) {
  const Tensor logits = normal({2, 4});
  const Rows y = rows_of({{1}});
  CHECK(check::code_of([&] { axe(logits, {0, 3}, y, 0, 1); }) == "ERR_SHAPE");
  CHECK(check::code_of([&] { oaxe(logits, {0, 1, 2}, y, 0); }) == "ERR_SHAPE");
  CHECK(check::code_of([&] { axe(logits, {0, 2}, y, 4, 1); }) == "ERR_CONFIG");
  CHECK(check::code_of([&] { axe(logits, {0, 2}, y, 0, 0); }) == "ERR_CONFIG");
  CHECK(check::code_of([&] { ctc(logits, {0, 2}, rows_of({{4}}), 0); }) == "ERR_INPUT");
  CHECK(check::code_of([&] { ctc(logits, {0, 2}, rows_of({{0}}), 0); }) == "ERR_INPUT");
  CHECK(check::code_of([&] { literal_recon(logits, {0, 3}, y); }) == "ERR_SHAPE");
  CHECK(check::code_of([&] { literal_recon(logits, {0, 2}, rows_of({{4}})); }) == "ERR_INPUT");
}
