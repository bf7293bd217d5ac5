// The CUDA kernels as teams of host threads run them, against float64, the CPU kernels and the edit oracle: what can be
// known of them without a GPU. Teams of one thread, of fewer than a row has values, and of more.
#define MERGE_CHECK_MAIN
#include <algorithm>
#include <random>

#include "check.h"
#include "host_team.h"
#include "kernels/cpu.h"
#include "kernels/noise.h"
#include "kernels/samplers.h"
#include "kernels/team/align.h"
#include "kernels/team/edit.h"
#include "kernels/team/elements.h"
#include "kernels/team/norm.h"
#include "kernels/team/rows.h"
#include "kernels/team/samplers.h"
#include "merge/edit.h"
#include "merge/oracle.h"
#include "random.h"

using namespace merge;
using namespace merge::kernels;
using check::as_team;

namespace {

const std::vector<int64_t> kSizes{1, 3, 8};

std::vector<float> normal(int64_t count, uint64_t seed, double deviation = 1) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> law(0, deviation);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(law(generator));
  return values;
}

double worst(const std::vector<float>& a, const std::vector<float>& b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(static_cast<double>(a[i]) - b[i]));
  return most;
}

std::vector<int32_t> tokens(uint64_t seed, int64_t length, int32_t symbols) {
  std::mt19937_64 generator(seed);
  std::vector<int32_t> row(static_cast<size_t>(length));
  for (int32_t& token : row) token = static_cast<int32_t>(generator() % static_cast<uint64_t>(symbols));
  return row;
}

}  // namespace

TEST(bfloat16_rounds_to_nearest_even) {
  Bfloat16 place{};
  const auto rounded = [&](float value) { return put(place, value), widened(place); };
  CHECK(rounded(1.0f) == 1.0f);
  CHECK(rounded(1.00390625f) == 1.0f);       // half a step above 1: to the even 1
  CHECK(rounded(1.01171875f) == 1.015625f);  // half a step above an odd one: up
  CHECK(rounded(-1.004f) == -1.0078125f);    // more than half: away
  CHECK(std::isinf(rounded(3.4e38f)));
  CHECK(std::isnan(rounded(std::nanf(""))));
}

TEST(norm_is_that_of_the_cpu) {
  for (const int64_t width : {1, 7, 64, 130}) {
    const auto x = normal(width, 1, 3), weight = normal(width, 2), grad_y = normal(width, 3);
    std::vector<float> exact_y(x.size()), exact_grad(x.size()), exact_weight(x.size(), 0);
    float exact_scale = 0;
    rms_norm_forward(x.data(), weight.data(), exact_y.data(), &exact_scale, 1, width, 1e-5f);
    rms_norm_backward(grad_y.data(), x.data(), weight.data(), &exact_scale, exact_grad.data(), exact_weight.data(), 0,
                      1, width);
    for (const int64_t size : kSizes) {
      std::vector<float> y(x.size()), grad(x.size());
      float scale = 0;
      as_team(size, [&](auto& team) {
        rms_norm_row(team, x.data(), weight.data(), y.data(), &scale, width, 1e-5f);
        team.wait();
        rms_norm_row_backward(team, grad_y.data(), x.data(), weight.data(), scale, grad.data(), width);
      });
      CHECK(worst(y, exact_y) < 2e-6);
      CHECK(worst(grad, exact_grad) < 2e-6);
      CHECK_NEAR(scale, exact_scale, 1e-6);
      for (int64_t c = 0; c < width; ++c) {
        CHECK_NEAR(rms_norm_weight_gradient(grad_y.data(), x.data(), &scale, Row{0, 1}, c, width), exact_weight[c],
                   1e-5);
      }
    }
  }
}

TEST(swiglu_and_rope_are_those_of_the_cpu) {
  const int64_t rows = 5, width = 9;
  const auto gate_up = normal(rows * 2 * width, 4, 3), grad_y = normal(rows * width, 5);
  std::vector<float> y(grad_y.size()), exact_y(y.size()), grad(gate_up.size()), exact_grad(grad.size());
  swiglu_forward(gate_up.data(), exact_y.data(), rows, width);
  swiglu_backward(grad_y.data(), gate_up.data(), exact_grad.data(), 0, rows, width);
  for (int64_t i = 0; i < rows * width; ++i) {
    swiglu_element(gate_up.data(), y.data(), i, width);
    swiglu_element_backward(grad_y.data(), gate_up.data(), grad.data(), i, width);
  }
  CHECK(worst(y, exact_y) < 2e-6);
  CHECK(worst(grad, exact_grad) < 4e-6);

  for (const RopeShape shape : {RopeShape{1, 2, 2}, RopeShape{2, 6, 12}, RopeShape{3, 4, 17}}) {
    const auto x = normal(rows * shape.stride, 6), angles = normal(rows * shape.head_width, 7);
    std::vector<float> turned(x.size(), -9), exact(x.size());
    rope_rotate(x.data(), exact.data(), angles.data(), rows, shape.heads, shape.head_width, shape.stride, -1.0f);
    for (int64_t i = 0; i < rows * shape.places(); ++i)
      rope_place(x.data(), turned.data(), angles.data(), i, shape, -1);
    CHECK(worst(turned, exact) < 1e-6);
  }
}

TEST(mix_and_pool_follow_their_definitions) {
  const std::vector<int64_t> offsets{0, 1, 1, 6, 30};
  const int64_t width = 5, taps = 7, all = offsets.back();
  const auto x = normal(all * width, 8), weight = normal(taps * width, 9), grad_y = normal(all * width, 10);
  std::vector<float> exact_y(x.size(), 0), exact_x(x.size(), 0), exact_weight(weight.size(), 0);
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    mix_forward(x.data(), weight.data(), exact_y.data(), offsets[r], offsets[r + 1], taps, width);
    mix_backward(grad_y.data(), x.data(), weight.data(), exact_x.data(), exact_weight.data(), offsets[r],
                 offsets[r + 1], taps, width);
  }
  for (const int64_t size : kSizes) {
    std::vector<float> y(x.size()), grad_x(x.size()), shares(weight.size()), sum(weight.size(), 0);
    for (size_t r = 0; r + 1 < offsets.size(); ++r) {
      const Row row = row_of(offsets.data(), static_cast<int64_t>(r));
      as_team(size, [&](auto& team) {
        mix_row(team, x.data(), weight.data(), y.data(), row, taps, width, false);
        mix_row(team, grad_y.data(), weight.data(), grad_x.data(), row, taps, width, true);
        mix_row_weight_gradient(team, grad_y.data(), x.data(), shares.data(), row, taps, width);
      });
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += shares[i];
      if (row.length() == 0) continue;

      std::vector<float> pooled(2 * width), grad(static_cast<size_t>(all * width), 0);
      std::vector<int64_t> where(width);
      as_team(size, [&](auto& team) {
        pool_row(team, x.data(), pooled.data(), where.data(), row, width);
        team.wait();
        pool_row_backward(team, pooled.data(), where.data(), grad.data(), row, width);
      });
      for (int64_t c = 0; c < width; ++c) {
        double mean = 0, top = -1e9;
        for (int64_t t = row.begin; t < row.end; ++t)
          mean += x[t * width + c], top = std::max<double>(top, x[t * width + c]);
        CHECK_NEAR(pooled[c], mean / static_cast<double>(row.length()), 1e-6);
        CHECK(pooled[width + c] == static_cast<float>(top) && x[where[c] * width + c] == pooled[width + c]);
        double sum_grad = 0;
        for (int64_t t = row.begin; t < row.end; ++t) sum_grad += grad[t * width + c];
        CHECK_NEAR(sum_grad, pooled[c] + pooled[width + c], 1e-5);
      }
    }
    CHECK(worst(y, exact_y) < 2e-6);
    CHECK(worst(grad_x, exact_x) < 2e-6);
    CHECK(worst(sum, exact_weight) < 1e-5);
  }
}

TEST(samplers_draw_what_the_cpu_draws) {
  const Random random(1, 2, 3, Purpose::kPointerSt);
  for (const double temperature : {.1, 1.0, 2.0}) {
    for (const int64_t gaps : {1, 2, 40}) {
      for (const int64_t k : {int64_t{0}, int64_t{1}, gaps / 2, gaps, gaps + 3}) {
        std::vector<double> scores(static_cast<size_t>(gaps));
        for (int64_t i = 0; i < gaps; ++i) scores[i] = gumbel_noise(random.uniform(static_cast<uint64_t>(gaps), i));
        if (gaps > 4) scores[1] = kClosedGap, scores[3] = scores[2];  // one is closed, two are equal
        const RelaxedTopK exact(scores.data(), gaps, k, temperature);
        const auto grad_relaxed = normal(gaps, 11);
        std::vector<float> exact_sample(scores.size()), exact_grad(scores.size(), 0);
        exact.sample(exact_sample.data());
        exact.backward(grad_relaxed.data(), exact_grad.data());
        const double largest = std::abs(*std::max_element(exact_grad.begin(), exact_grad.end(),
                                                          [](float a, float b) { return std::abs(a) < std::abs(b); }));
        for (const int64_t size : kSizes) {
          std::vector<float> sample(scores.size()), relaxed(scores.size()), grad(scores.size());
          std::vector<double> weights(static_cast<size_t>(std::max<int64_t>(1, k) * gaps)), room(scores.size());
          as_team(size, [&](auto& team) {
            pointer_row(team, scores.data(), sample.data(), relaxed.data(), weights.data(), gaps, k, temperature);
            team.wait();
            pointer_row_backward(team, grad_relaxed.data(), scores.data(), weights.data(), room.data(), grad.data(),
                                 gaps, k, temperature);
          });
          CHECK(sample == exact_sample);
          for (size_t i = 0; i < scores.size(); ++i)
            CHECK_NEAR(relaxed[i], exact.relaxed()[i], 4e-7 * (1 + static_cast<double>(k)));
          CHECK(worst(grad, exact_grad) <= 1e-6 * (1 + largest));
        }
      }
    }
  }
  float sample = 0, relaxed = 0, slope = 0;
  bernoulli_element(.3f, -.5, 2, &sample, &relaxed, &slope);
  CHECK(sample == 0);
  CHECK_NEAR(relaxed, 1 / (1 + std::exp(.1)), 1e-7);
  CHECK_NEAR(slope, relaxed * (1 - relaxed) / 2, 1e-7);
}

TEST(counts_are_those_of_the_cpu) {
  for (const int64_t length : {0, 1, 5, 50}) {
    auto expected = normal(length, 12, 2);
    for (float& value : expected) value = std::abs(value);
    if (length > 3) expected[2] = expected[3] = .5f;
    std::vector<float> exact(expected.size());
    largest_remainder(expected.data(), exact.data(), length);
    for (const int64_t size : kSizes) {
      std::vector<float> counts(expected.size()), room(expected.size());
      as_team(size, [&](auto& team) { remainder_row(team, expected.data(), counts.data(), room.data(), length); });
      CHECK(counts == exact);
    }
  }
}

TEST(drop_and_insert_are_those_of_the_round) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    std::mt19937_64 generator(seed);
    Rows x;
    for (int64_t r = 0; r < 4; ++r) x.append(tokens(seed * 10 + r, static_cast<int64_t>(generator() % 20), 9));
    std::vector<uint8_t> keep(x.tokens.size());
    for (auto& flag : keep) flag = generator() % 3 != 0;
    const Skeleton skeleton = drop(x, keep);
    std::vector<int32_t> counts(skeleton.rows.tokens.size() + 4);
    for (auto& count : counts) count = static_cast<int32_t>(generator() % 4);
    const Masked masked = insert(skeleton, counts, 77);
    for (const int64_t size : kSizes) {
      std::vector<int32_t> kept(skeleton.rows.tokens.size()), source(kept.size());
      std::vector<int32_t> filled(masked.rows.tokens.size()), filled_source(filled.size());
      std::vector<int64_t> masks(masked.masks.size()), gaps(masks.size());
      int64_t mask = 0, gap = 0;
      for (int64_t r = 0; r < x.count(); ++r) {
        const int32_t begin = skeleton.rows.offsets[r];
        as_team(size, [&](auto& team) {
          drop_row(team, &x.tokens[x.offsets[r]], &keep[x.offsets[r]], x.length(r), kept.data(), source.data(), begin);
          team.wait();
          insert_row(team, &kept[begin], &source[begin], &counts[gap], skeleton.rows.length(r),
                     Inserted{filled.data(), filled_source.data(), masks.data(), gaps.data()}, masked.rows.offsets[r],
                     mask, gap, 77);
        });
        for (int64_t g = 0; g <= skeleton.rows.length(r); ++g) mask += counts[gap + g];
        gap += skeleton.rows.length(r) + 1;
      }
      CHECK(kept == skeleton.rows.tokens && source == skeleton.source);
      CHECK(filled == masked.rows.tokens && filled_source == masked.source);
      CHECK(masks == masked.masks && gaps == masked.gaps);
    }
  }
}

TEST(alignments_are_those_of_the_oracle) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    std::mt19937_64 generator(seed);
    const int64_t n = static_cast<int64_t>(generator() % 14), m = static_cast<int64_t>(generator() % 14);
    const auto x = tokens(seed + 1000, n, 3), y = tokens(seed + 2000, m, 3);
    std::vector<int32_t> expected(static_cast<size_t>(n), -1);
    for (const auto& [i, j] : align(x, y)) expected[i] = j;
    std::vector<std::vector<int32_t>> table(n + 1, std::vector<int32_t>(m + 1));
    for (int32_t i = 0; i <= n; ++i) {
      for (int32_t j = 0; j <= m; ++j) {
        table[i][j] =
            i == 0 ? j
            : j == 0
                ? i
                : std::min({table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (x[i - 1] != y[j - 1])});
      }
    }
    const int64_t size = kSizes[seed % kSizes.size()], cells = (n + 1) * (m + 1);
    std::vector<int32_t> apart(cells), joined(cells), partner(static_cast<size_t>(n)), diagonals(3 * (n + 1));
    int32_t distance = -1;
    as_team(size, [&](auto& team) {
      const Pair pair{x.data(), y.data(), n, m};
      align_pair(team, pair, Suffixes{apart.data(), joined.data()}, partner.data());
      const int32_t found = distance_pair(team, pair, diagonals.data());
      if (team.rank() == 0) distance = found;
    });
    CHECK(partner == expected);
    CHECK(distance == table[n][m]);
  }
}
