// Each CPU kernel against its op's reference in float64, forward and backward; awkward sizes included.
#define MERGE_CHECK_MAIN
#include <functional>
#include <limits>

#include "check.h"
#include "kernels/exp.h"
#include "ops/cached_attention.h"
#include "ops/device_attention.h"
#include "ops/edit_distance.h"
#include "ops/edit_rows.h"
#include "ops/ragged_attention.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/row_mix.h"
#include "ops/row_pool.h"
#include "ops/swiglu.h"

using namespace merge;

namespace {

using Op = std::function<Tensor(const std::vector<Tensor>&)>;

std::vector<Tensor> gradients(const Op& op, const std::vector<Tensor>& inputs, Tensor& out) {
  std::vector<Tensor> leaves;
  for (const Tensor& input : inputs) leaves.push_back(input.detach().clone().requires_grad_(true));
  out = op(leaves);
  // A fixed weighting, so that every element of the gradient is asked for.
  const Tensor weight = at::linspace(-1, 1, out.numel(), out.options()).view(out.sizes()).detach();
  (out * weight).sum().backward();
  std::vector<Tensor> grads;
  for (const Tensor& leaf : leaves) grads.push_back(leaf.grad());
  return grads;
}

double worst(const Tensor& a, const Tensor& b) {
  return a.numel() == 0 ? 0 : (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

// Error of the kernel against float64 at most twice that of the float32 reference, plus 1e-6 of the largest value.
void check_kernel(const char* name, const Op& kernel, const Op& reference, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> wide;
  for (const Tensor& input : inputs) wide.push_back(input.to(at::kDouble));
  Tensor out_kernel, out_narrow, out_wide;
  const auto of_kernel = gradients(kernel, inputs, out_kernel);
  const auto of_narrow = gradients(reference, inputs, out_narrow);
  const auto of_wide = gradients(reference, wide, out_wide);
  const auto within = [&](const Tensor& got, const Tensor& narrow, const Tensor& exact) {
    if (exact.numel() == 0) return true;
    const double room = 2 * worst(narrow, exact) + 2e-6 * (1 + exact.abs().max().item<double>());
    if (worst(got, exact) <= room) return true;
    std::printf("  %s: error %g, allowed %g\n", name, worst(got, exact), room);
    return false;
  };
  CHECK(within(out_kernel, out_narrow, out_wide));
  // Without a gradient some ops go another way.
  const at::NoGradGuard no_grad;
  CHECK(within(kernel(inputs), out_narrow, out_wide));
  for (size_t i = 0; i < inputs.size(); ++i) CHECK(within(of_kernel[i], of_narrow[i], of_wide[i]));
}

const std::vector<int64_t> kWidths{1, 2, 15, 16, 17, 31, 33, 128, 130};
const std::vector<int64_t> kRows{1, 2, 63, 64, 65, 200};

}  // namespace

TEST(exp_is_within_two_ulp) {
  double worst_relative = 0;
  for (float x = -86.5f; x < 79.5f; x += 0.00713f) {
    const double exact = std::exp(static_cast<double>(x));
    worst_relative = std::max(worst_relative, std::abs(kernels::exp_fast(x) - exact) / exact);
  }
  CHECK(worst_relative < 2.5e-7);
}

TEST(exp_saturates_where_a_sigmoid_of_it_is_still_normal) {
  for (const float x : {80.0f, 88.0f, 1e30f, std::numeric_limits<float>::infinity()}) {
    CHECK(kernels::exp_fast(x) == kernels::exp_fast(80.0f));
    CHECK(std::isnormal(1.0f / (1.0f + kernels::exp_fast(x))));
  }
  CHECK(std::isnormal(kernels::exp_fast(-1e30f)));
}

TEST(rms_norm_kernel) {
  at::manual_seed(1);
  for (const int64_t width : kWidths) {
    for (const int64_t rows : kRows) {
      check_kernel(
          "rms_norm", [](const auto& in) { return ops::rms_norm(in[0], in[1], 1e-5); },
          [](const auto& in) { return ops::rms_norm_reference(in[0], in[1], 1e-5); },
          {at::randn({rows, width}), at::randn({width})});
    }
  }
}

TEST(swiglu_kernel) {
  at::manual_seed(2);
  for (const int64_t width : kWidths) {
    for (const int64_t rows : kRows) {
      check_kernel(
          "swiglu", [](const auto& in) { return ops::swiglu(in[0]); },
          [](const auto& in) { return ops::swiglu_reference(in[0]); }, {3 * at::randn({rows, 2 * width})});
    }
  }
}

TEST(rope_kernel) {
  at::manual_seed(3);
  for (const int64_t heads : {1, 2, 5}) {
    for (const int64_t head_width : {2, 6, 32}) {
      const Tensor positions = at::arange(70), angles = ops::rope_angles(positions, head_width, 10000, at::kDouble);
      check_kernel(
          "rope", [&](const auto& in) { return ops::rope(in[0], angles.to(in[0].scalar_type()), heads); },
          [&](const auto& in) { return ops::rope_reference(in[0], angles, heads); },
          {at::randn({70, heads * head_width + 3})});
    }
  }
}

TEST(ragged_attention_kernel) {
  at::manual_seed(4);
  const std::vector<Offsets> shapes{{0, 1}, {0, 2, 3}, {0, 31, 31, 64, 65}, {0, 100, 228}};
  for (const Offsets& offsets : shapes) {
    for (const ops::Heads heads : {ops::Heads{1, 1}, ops::Heads{3, 3}, ops::Heads{6, 2}}) {
      const Tensor qkv = at::randn({offsets.back(), (heads.queries + 2 * heads.keys) * 8});
      check_kernel(
          "ragged_attention", [&](const auto& in) { return ops::ragged_attention(in[0], offsets, heads); },
          [&](const auto& in) { return ops::ragged_attention_reference(in[0], offsets, heads); }, {qkv});
      for (const int64_t bias_heads : {int64_t{1}, heads.queries}) {
        check_kernel(
            "ragged_attention with a bias",
            [&](const auto& in) { return ops::ragged_attention(in[0], offsets, heads, in[1]); },
            [&](const auto& in) { return ops::ragged_attention_reference(in[0], offsets, heads, in[1]); },
            {qkv, at::randn({bias_heads, ops::square_offsets(offsets).back()})});
      }
    }
  }
}

TEST(attention_without_a_gradient) {
  const at::NoGradGuard no_grad;
  at::manual_seed(11);
  // The last row has more scores than a thread holds at a time, and as few queries at a time as there are at least.
  const Offsets offsets{0, 1, 1, 34, 1134};
  for (const ops::Heads heads : {ops::Heads{3, 3}, ops::Heads{4, 2}}) {
    const Tensor qkv = at::randn({offsets.back(), (heads.queries + 2 * heads.keys) * 7});
    std::vector<Tensor> biases{Tensor()};
    for (const int64_t bias_heads : {int64_t{1}, heads.queries}) {
      biases.push_back(at::randn({bias_heads, ops::square_offsets(offsets).back()}));
    }
    for (const Tensor& bias : biases) {
      const Tensor exact = ops::ragged_attention_reference(qkv.to(at::kDouble), offsets, heads,
                                                           bias.defined() ? bias.to(at::kDouble) : bias);
      CHECK(worst(ops::ragged_attention(qkv, offsets, heads, bias), exact) < 2e-6);
    }
  }
}

TEST(attention_turns_queries_and_keys) {
  at::manual_seed(12);
  const Offsets offsets{0, 1, 1, 34, 40};
  const ops::Heads heads{6, 2};
  const Tensor angles = ops::rope_angles(at::arange(offsets.back()), 8, 100, at::kDouble);
  check_kernel(
      "ragged_attention with angles and a bias",
      [&](const auto& in) {
        return ops::ragged_attention(in[0], offsets, heads, in[1], angles.to(in[0].scalar_type()));
      },
      [&](const auto& in) {
        return ops::ragged_attention_reference(ops::rope_reference(in[0], angles, 8), offsets, heads, in[1]);
      },
      {at::randn({offsets.back(), 10 * 8}), at::randn({1, ops::square_offsets(offsets).back()})});
}

TEST(padded_attention_is_the_reference) {
  at::manual_seed(10);
  for (const Offsets& offsets : std::vector<Offsets>{{0, 1}, {0, 2, 2, 5}, {0, 31, 31, 64, 65}}) {
    for (const ops::Heads heads : {ops::Heads{3, 3}, ops::Heads{6, 2}}) {
      const Tensor qkv = at::randn({offsets.back(), (heads.queries + 2 * heads.keys) * 8});
      check_kernel(
          "padded_attention", [&](const auto& in) { return ops::padded_attention(in[0], offsets, heads); },
          [&](const auto& in) { return ops::ragged_attention_reference(in[0], offsets, heads); }, {qkv});
      for (const int64_t bias_heads : {int64_t{1}, heads.queries}) {
        check_kernel(
            "padded_attention with a bias",
            [&](const auto& in) { return ops::padded_attention(in[0], offsets, heads, in[1]); },
            [&](const auto& in) { return ops::ragged_attention_reference(in[0], offsets, heads, in[1]); },
            {qkv, at::randn({bias_heads, ops::square_offsets(offsets).back()})});
      }
    }
  }
  CHECK(!ops::has_flash_attention(at::zeros({4, 48}, at::kBFloat16), {2, 2}, {}));  // none on the CPU
}

TEST(edits_and_distances_of_tensors) {
  // Two rows and an empty one between them; 9 is the mask.
  const Tensor tokens = at::tensor({1, 2, 3, 4, 5}, at::kInt), offsets = at::tensor({0, 3, 3, 5}, at::kLong);
  const auto skeleton = ops::drop_rows_reference(tokens, at::tensor({1, 0, 1, 0, 1}, at::kByte), offsets);
  CHECK(at::equal(skeleton.tokens_N, at::tensor({1, 3, 5}, at::kInt)));
  CHECK(at::equal(skeleton.source_N, at::tensor({0, 2, 1}, at::kInt)));
  CHECK(at::equal(skeleton.offsets_B1, at::tensor({0, 2, 2, 3}, at::kLong)));
  const auto masked = ops::insert_masks_reference(skeleton, at::tensor({0, 2, 1, 1, 0, 3}, at::kInt), 7, 9);
  CHECK(at::equal(masked.rows.tokens_N, at::tensor({1, 9, 9, 3, 9, 9, 5, 9, 9, 9}, at::kInt)));
  CHECK(at::equal(masked.rows.source_N, at::tensor({0, -1, -1, 2, -1, -1, 1, -1, -1, -1}, at::kInt)));
  CHECK(at::equal(masked.rows.offsets_B1, at::tensor({0, 5, 6, 10}, at::kLong)));
  CHECK(at::equal(masked.masks_M, at::tensor({1, 2, 4, 5, 7, 8, 9}, at::kLong)));
  CHECK(at::equal(masked.gaps_M, at::tensor({1, 1, 2, 3, 5, 5, 5}, at::kLong)));

  const ops::RowPairs pairs{tokens, at::tensor({1, 3, 7, 5}, at::kInt), {0, 3, 3, 5}, {0, 2, 3, 4}};
  CHECK(at::equal(ops::edit_distances_reference(pairs), at::tensor({1, 1, 1}, at::kInt)));
  CHECK_THROWS(ops::drop_rows(tokens.to(at::kLong), tokens, offsets));
  CHECK_THROWS(ops::edit_distances({tokens, tokens, {0, 5}, {0, 4}}));
  CHECK_THROWS(ops::aligned_rows(pairs));  // on a GPU alone
}

TEST(an_infinite_bias_hides_a_key) {
  at::manual_seed(7);
  const ops::Heads heads{2, 1};
  Tensor qkv = at::randn({5, 4 * 4});
  const Tensor bias = at::zeros({1, 25});
  for (int64_t query = 0; query < 5; ++query) bias[0][query * 5 + 3] = -INFINITY;
  const Tensor before = ops::ragged_attention(qkv, {0, 5}, heads, bias).clone();
  qkv[3].narrow(0, 8, 8).fill_(1e6);  // its key and value
  const Tensor after = ops::ragged_attention(qkv, {0, 5}, heads, bias);
  CHECK(worst(before, after) < 1e-6);
}

TEST(cached_attention_kernel) {
  at::manual_seed(8);
  for (const ops::Heads heads : {ops::Heads{1, 1}, ops::Heads{3, 3}, ops::Heads{6, 2}}) {
    for (const auto among : {ops::Among::kAll, ops::Among::kEarlier}) {
      const Offsets offsets{0, 1, 1, 33, 36};
      const Tensor qkv = at::randn({36, (heads.queries + 2 * heads.keys) * 8});
      std::vector<Tensor> past, past_wide;
      for (const int64_t length : {0, 5, 1, 70}) {
        // A part of a larger buffer, as the cache hands it over.
        past.push_back(at::randn({length + 3, 2 * heads.keys * 8}).narrow(0, 0, length));
        past_wide.push_back(past.back().to(at::kDouble));
      }
      const Tensor got = ops::cached_attention(qkv, offsets, heads, past, among);
      const Tensor exact = ops::cached_attention_reference(qkv.to(at::kDouble), offsets, heads, past_wide, among);
      CHECK(worst(got, exact) < 2e-6);
      CHECK(!got.requires_grad());
    }
  }
}

TEST(a_cache_gives_what_the_whole_row_gives) {
  at::manual_seed(9);
  const ops::Heads heads{4, 2};
  const int64_t width = 8 * 8, past = 7, now = 5;
  const Tensor qkv = at::randn({past + now, width});
  Tensor bias = at::zeros({1, (past + now) * (past + now)});
  for (int64_t q = 0; q < past; ++q) bias[0].narrow(0, q * (past + now) + past, now).fill_(-INFINITY);
  const Tensor whole = ops::ragged_attention(qkv, {0, past + now}, heads, bias);
  const Tensor cache = qkv.narrow(0, 0, past).narrow(1, 32, 32).contiguous();
  const Tensor part = ops::cached_attention(qkv.narrow(0, past, now), {0, now}, heads, {cache}, ops::Among::kAll);
  CHECK(worst(whole.narrow(0, past, now), part) < 1e-6);
}

TEST(row_mean_max_kernel) {
  at::manual_seed(5);
  for (const Offsets& offsets : std::vector<Offsets>{{0, 1}, {0, 2, 5}, {0, 31, 64, 65}}) {
    check_kernel(
        "row_mean_max", [&](const auto& in) { return ops::row_mean_max(in[0], offsets); },
        [&](const auto& in) { return ops::row_mean_max_reference(in[0], offsets); }, {at::randn({offsets.back(), 17})});
  }
}

TEST(row_mix_kernel) {
  at::manual_seed(6);
  for (const Offsets& offsets : std::vector<Offsets>{{0, 1}, {0, 2, 5}, {0, 31, 31, 64, 65}}) {
    for (const int64_t taps : {1, 3, 7}) {
      check_kernel(
          "row_mix", [&](const auto& in) { return ops::row_mix(in[0], in[1], offsets); },
          [&](const auto& in) { return ops::row_mix_reference(in[0], in[1], offsets); },
          {at::randn({offsets.back(), 17}), at::randn({taps, 17})});
    }
  }
}

TEST(bad_shapes_are_refused) {
  CHECK_THROWS(ops::rms_norm(at::randn({2, 3}), at::randn({4}), 1e-5));
  CHECK_THROWS(ops::swiglu(at::randn({2, 3})));
  CHECK_THROWS(ops::ragged_attention(at::randn({4, 12}), {0, 3}, {2, 2}));
  CHECK_THROWS(ops::ragged_attention(at::randn({4, 10}), {0, 4}, {2, 2}));
  CHECK_THROWS(ops::ragged_attention(at::randn({4, 12}), {0, 4}, {2, 2}, {}, at::randn({3, 2})));
  CHECK_THROWS(ops::ragged_attention(at::randn({4, 12}), {0, 4}, {2, 2}, {}, at::randn({4, 4})));
  CHECK_THROWS(ops::cached_attention(at::randn({4, 12}), {0, 4}, {2, 2}, {at::randn({3, 6})}, ops::Among::kAll));
  CHECK_THROWS(ops::cached_attention(at::randn({4, 12}), {0, 4}, {2, 2}, {}, ops::Among::kAll));
}

TEST(a_hidden_key_weighs_nothing_at_all) {
  const int64_t n = 9, heads = 2, width = 4;
  at::manual_seed(3);
  const Tensor plain = at::randn({n, 3 * heads * width});
  Tensor bias = at::zeros({1, n * n});
  // Key 4 is hidden from all others.
  for (int64_t q = 0; q < n; ++q) {
    if (q != 4) bias[0][q * n + 4] = -INFINITY;
  }
  Tensor changed = plain.clone();
  changed.select(0, 4).narrow(0, 2 * heads * width, heads * width).fill_(1e30);
  const ops::Heads same{heads, heads};
  const Tensor before = ops::ragged_attention(plain, {0, n}, same, bias);
  const Tensor after = ops::ragged_attention(changed, {0, n}, same, bias);
  for (int64_t q = 0; q < n; ++q) CHECK((q == 4) != at::equal(before[q], after[q]));
}
