// Every op on a GPU, in float32 and bfloat16, forward and backward, against its reference in float64 on the CPU: the
// error is at most twice that of the reference in the same width. With our kernels and (MERGE_LM_CUDA_KERNELS=off)
// without them.
#include <functional>
#include <random>

#include "cuda_device.h"
#include "merge/oracle.h"
#include "ops/bernoulli_st.h"
#include "ops/cached_attention.h"
#include "ops/counts_st.h"
#include "ops/cuda.h"
#include "ops/edit_distance.h"
#include "ops/edit_rows.h"
#include "ops/pointer_st.h"
#include "ops/ragged_attention.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/row_mix.h"
#include "ops/row_pool.h"
#include "ops/swiglu.h"

using namespace merge;

namespace {

using Op = std::function<Tensor(const std::vector<Tensor>&)>;

const std::vector<at::ScalarType> kWidths{at::kFloat, at::kBFloat16};
const std::vector<Offsets> kRows{{0, 1}, {0, 2, 5}, {0, 31, 31, 64, 65}, {0, 257, 300, 812}};

struct Result {
  Tensor out;
  std::vector<Tensor> grads;
};

// Runs op on inputs of a width and device; the gradient is asked for every element.
Result run(const Op& op, const std::vector<Tensor>& inputs, at::ScalarType type, at::Device device) {
  std::vector<Tensor> leaves;
  for (const Tensor& input : inputs) leaves.push_back(input.to(device, type).detach().clone().requires_grad_(true));
  Result result{op(leaves), {}};
  // Made in float64 and rounded, so that all widths are asked for the same.
  const Tensor weight = at::linspace(-1, 1, result.out.numel(), at::kDouble).view(result.out.sizes());
  (result.out * weight.to(device, result.out.scalar_type())).sum().backward();
  for (const Tensor& leaf : leaves) result.grads.push_back(leaf.grad());
  return result;
}

double worst(const Tensor& got, const Tensor& exact) {
  return exact.numel() == 0 ? 0 : (got.to(at::kCPU, at::kDouble) - exact).abs().max().item<double>();
}

void check_op(const char* name, const Op& op, const Op& reference, const std::vector<Tensor>& inputs) {
  for (const at::ScalarType type : kWidths) {
    std::vector<Tensor> rounded;  // what a narrow op reads is what the exact one reads
    for (const Tensor& input : inputs) rounded.push_back(input.to(type).to(at::kDouble));
    const Result exact = run(reference, rounded, at::kDouble, at::kCPU);
    const Result narrow = run(reference, rounded, type, at::kCPU), got = run(op, rounded, type, check::device());
    const double step = type == at::kFloat ? 2e-6 : 8e-3;
    const auto judge = [&](const char* part, const Tensor& of, const Tensor& twin, const Tensor& truth) {
      if (truth.numel() == 0) return;
      const double room = 2 * worst(twin, truth) + step * (1 + truth.abs().max().item<double>());
      const double error = worst(of, truth);
      if (!(error <= room))
        std::printf("  %s %s %s: error %g, allowed %g\n", name, part, c10::toString(type), error, room);
      CHECK(error <= room);
      CHECK(of.device() == check::device() && of.scalar_type() == type);
    };
    judge("out", got.out, narrow.out, exact.out);
    for (size_t i = 0; i < inputs.size(); ++i) judge("gradient", got.grads[i], narrow.grads[i], exact.grads[i]);
  }
}

Tensor placed(const Tensor& tensor) { return tensor.to(check::device()); }

}  // namespace

TEST(blocks_norm_swiglu_rope) {
  at::manual_seed(1);
  for (const int64_t rows : {1, 65, 1000}) {
    for (const int64_t width : {1, 33, 64, 768}) {
      check_op(
          "rms_norm", [](const auto& in) { return ops::rms_norm(in[0], in[1], 1e-5); },
          [](const auto& in) { return ops::rms_norm_reference(in[0], in[1], 1e-5); },
          {at::randn({rows, width}), at::randn({width})});
      check_op(
          "swiglu", [](const auto& in) { return ops::swiglu(in[0]); },
          [](const auto& in) { return ops::swiglu_reference(in[0]); }, {3 * at::randn({rows, 2 * width})});
    }
    const Tensor angles = ops::rope_angles(at::arange(rows), 8, 10000, at::kDouble);
    check_op(
        "rope", [&](const auto& in) { return ops::rope(in[0], angles.to(in[0].device(), at::kFloat), 3); },
        [&](const auto& in) { return ops::rope_reference(in[0], angles, 3); }, {at::randn({rows, 3 * 8 + 5})});
  }
}

TEST(rows_mix_and_pool) {
  at::manual_seed(2);
  for (const Offsets& offsets : kRows) {
    check_op(
        "row_mix", [&](const auto& in) { return ops::row_mix(in[0], in[1], offsets); },
        [&](const auto& in) { return ops::row_mix_reference(in[0], in[1], offsets); },
        {at::randn({offsets.back(), 48}), at::randn({7, 48})});
    if (std::adjacent_find(offsets.begin(), offsets.end()) != offsets.end()) continue;  // pooled rows are not empty
    check_op(
        "row_mean_max", [&](const auto& in) { return ops::row_mean_max(in[0], offsets); },
        [&](const auto& in) { return ops::row_mean_max_reference(in[0], offsets); },
        {at::randperm(offsets.back() * 6, at::kDouble).view({-1, 6}) / 8});  // no ties, also after rounding
  }
}

TEST(attention_ragged_biased_cached) {
  at::manual_seed(3);
  for (const Offsets& offsets : kRows) {
    for (const ops::Heads heads : {ops::Heads{3, 3}, ops::Heads{6, 2}}) {
      for (const int64_t head : {8, 64, 6}) {
        const Tensor qkv = at::randn({offsets.back(), (heads.queries + 2 * heads.keys) * head});
        check_op(
            "attention", [&](const auto& in) { return ops::ragged_attention(in[0], offsets, heads); },
            [&](const auto& in) { return ops::ragged_attention_reference(in[0], offsets, heads); }, {qkv});
        const Tensor bias = at::randn({heads.queries, ops::square_offsets(offsets).back()});
        if (head != 8 || offsets.back() > 100) continue;
        check_op(
            "attention with a bias",
            [&](const auto& in) { return ops::ragged_attention(in[0], offsets, heads, in[1]); },
            [&](const auto& in) { return ops::ragged_attention_reference(in[0], offsets, heads, in[1]); }, {qkv, bias});
      }
    }
  }
  const ops::Heads heads{6, 2};
  const Tensor qkv = at::randn({36, 80}, at::kDouble);
  std::vector<Tensor> past, near;
  for (const int64_t length : {0, 5, 70}) {
    past.push_back(at::randn({length, 32}, at::kDouble));
    near.push_back(placed(past.back()).to(at::kFloat));
  }
  const Offsets offsets{0, 1, 33, 36};
  for (const auto among : {ops::Among::kAll, ops::Among::kEarlier}) {
    const Tensor got = ops::cached_attention(placed(qkv).to(at::kFloat), offsets, heads, near, among);
    CHECK(worst(got, ops::cached_attention_reference(qkv, offsets, heads, past, among)) < 4e-6);
  }
}

TEST(noise_is_that_of_the_cpu) {
  const Random random(7, 1, 2, Purpose::kBernoulliSt);
  const Offsets offsets{0, 3, 3, 1000, 5000};
  CHECK(worst(ops::logistic_noise(offsets, random, check::device()), ops::logistic_noise(offsets, random)) < 1e-13);
  CHECK(worst(ops::gumbel_noise(offsets, random, check::device()), ops::gumbel_noise(offsets, random)) < 1e-13);
}

TEST(samplers_draw_what_the_cpu_draws) {
  at::manual_seed(4);
  const Offsets offsets{0, 1, 1, 9, 40, 297};
  const std::vector<int64_t> k{1, 2, 3, 31, 20};
  const Random random(1, 2, 3, Purpose::kPointerSt);
  Tensor scores = 2 * at::randn({297});
  scores[12] = -INFINITY;
  for (const double temperature : {.1, 1.0, 2.0}) {
    const auto drawn = [&](at::Device device, bool pointer) {
      const Tensor input = scores.nan_to_num(0, 0, pointer ? -INFINITY : 0).to(device).detach().requires_grad_(true);
      const auto pair = pointer ? ops::pointer_st(input, offsets, k, temperature, random)
                                : ops::bernoulli_st(input, offsets, temperature, random);
      (pair.sample * at::linspace(-1, 2, 297).to(device)).sum().backward();
      return std::vector<Tensor>{pair.sample.detach(), pair.relaxed.detach(), input.grad()};
    };
    for (const bool pointer : {false, true}) {
      const auto near = drawn(at::kCPU, pointer), far = drawn(check::device(), pointer);
      CHECK(at::equal(near[0], far[0].to(at::kCPU)));
      CHECK(worst(far[1], near[1].to(at::kDouble)) < 2e-6);
      CHECK(worst(far[2], near[2].to(at::kDouble)) < 1e-5 * (1 + near[2].abs().max().item<double>()));
    }
  }
  const Tensor expected = at::rand({297}) * 3;
  CHECK(at::equal(ops::counts_st(expected, offsets).sample,
                  ops::counts_st(placed(expected), offsets).sample.to(at::kCPU)));
}

TEST(edits_of_rows) {
  std::mt19937_64 generator(5);
  Offsets offsets{0};
  for (const int64_t length : {5, 0, 300, 1, 77}) offsets.push_back(offsets.back() + length);
  const Tensor tokens = at::randint(5, 30, {offsets.back()}, at::kInt),
               keep = at::randint(0, 2, {offsets.back()}, at::kByte);
  const Tensor starts = at::tensor(offsets);
  const auto near = ops::drop_rows_reference(tokens, keep, starts);
  const auto far = ops::drop_rows(placed(tokens), placed(keep), placed(starts));
  const int64_t kept = near.tokens_N.size(0);
  CHECK(at::equal(near.offsets_B1, far.offsets_B1.to(at::kCPU)));
  CHECK(at::equal(near.tokens_N, far.tokens_N.narrow(0, 0, kept).to(at::kCPU)));
  CHECK(at::equal(near.source_N, far.source_N.narrow(0, 0, kept).to(at::kCPU)));

  const Tensor counts = at::randint(0, 3, {kept + 5}, at::kInt);
  const int64_t masks = counts.sum().item<int64_t>();
  const auto near_masked = ops::insert_masks_reference(near, counts, masks, 3);
  const auto far_masked = ops::insert_masks(far, placed(counts), masks, 3);
  CHECK(at::equal(near_masked.rows.offsets_B1, far_masked.rows.offsets_B1.to(at::kCPU)));
  CHECK(at::equal(near_masked.rows.tokens_N, far_masked.rows.tokens_N.narrow(0, 0, kept + masks).to(at::kCPU)));
  CHECK(at::equal(near_masked.rows.source_N, far_masked.rows.source_N.narrow(0, 0, kept + masks).to(at::kCPU)));
  CHECK(at::equal(near_masked.masks_M, far_masked.masks_M.to(at::kCPU)));
  CHECK(at::equal(near_masked.gaps_M, far_masked.gaps_M.to(at::kCPU)));
}

TEST(distances_and_alignments) {
  std::mt19937_64 generator(6);
  std::vector<std::vector<int32_t>> x, y;
  ops::RowPairs pairs{{}, {}, {0}, {0}};
  std::vector<int32_t> all_x, all_y, expected;
  for (int64_t r = 0; r < 60; ++r) {
    std::vector<int32_t> row_x(generator() % (r < 50 ? 12 : 260)), row_y(generator() % (r < 50 ? 12 : 260));
    for (auto& token : row_x) token = static_cast<int32_t>(generator() % 4);
    for (auto& token : row_y) token = static_cast<int32_t>(generator() % 4);
    all_x.insert(all_x.end(), row_x.begin(), row_x.end());
    all_y.insert(all_y.end(), row_y.begin(), row_y.end());
    pairs.offsets_x.push_back(static_cast<int64_t>(all_x.size()));
    pairs.offsets_y.push_back(static_cast<int64_t>(all_y.size()));
    std::vector<int32_t> partner(row_x.size(), -1);
    for (const auto& [i, j] : align(row_x, row_y)) partner[i] = j;
    expected.insert(expected.end(), partner.begin(), partner.end());
  }
  pairs.x_N = at::tensor(all_x, at::kInt);
  pairs.y_N = at::tensor(all_y, at::kInt);
  const Tensor near = ops::edit_distances_reference(pairs);
  pairs.x_N = placed(pairs.x_N);
  pairs.y_N = placed(pairs.y_N);
  CHECK(at::equal(near, ops::edit_distances(pairs).to(at::kCPU)));
  if (check::has_kernels()) CHECK(at::equal(at::tensor(expected, at::kInt), ops::aligned_rows(pairs).to(at::kCPU)));
}

int main(int argc, char** argv) { return check::run_on_device(argc, argv); }
