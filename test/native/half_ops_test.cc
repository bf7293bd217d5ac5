// bfloat16 on the CPU: every kernel against its reference in float64 on the same rounded numbers, matrices that are
// prepared for inference, and the memory that large tensors share.
#define MERGE_CHECK_MAIN
#include <bit>
#include <functional>
#include <limits>

#include "check.h"
#include "kernels/halves.h"
#include "kernels/tiles.h"
#include "memory_pool.h"
#include "nn/byte_matrix.h"
#include "nn/prepared.h"
#include "nn/product.h"
#include "ops/cached_attention.h"
#include "ops/float_rows.h"
#include "ops/half_attention.h"
#include "ops/ragged_attention.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/row_mix.h"
#include "ops/row_pool.h"
#include "ops/swiglu.h"
#include "tiny.h"

using namespace merge;

namespace {

using Op = std::function<Tensor(const std::vector<Tensor>&)>;

double worst(const Tensor& a, const Tensor& b) {
  return a.numel() == 0 ? 0 : (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

// A bfloat16 number keeps eight bits: rounding moves it by 2^-8 of its size at most.
double room(const Tensor& exact, double roundings) {
  return exact.numel() == 0 ? 0 : roundings * std::exp2(-8.0) * exact.abs().max().item<double>() + 1e-6;
}

// First inputs that are bfloat16 stay so for the kernel; the reference gets all as float64.
void check_half(const char* name, const Op& kernel, const Op& reference, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> leaves, wide;
  for (const Tensor& input : inputs) {
    leaves.push_back(input.detach().clone().requires_grad_(true));
    wide.push_back(input.detach().to(at::kDouble).requires_grad_(true));
  }
  const Tensor got = kernel(leaves), exact = reference(wide);
  CHECK(got.scalar_type() == at::kBFloat16);
  {
    // Without a gradient some ops go another way.
    const at::NoGradGuard no_grad;
    CHECK(worst(kernel(inputs), exact) <= room(exact, 1.1));
  }
  const Tensor weight = at::linspace(-1, 1, exact.numel(), at::kDouble).view(exact.sizes());
  (got.to(at::kDouble) * weight).sum().backward();
  (exact * weight.to(at::kBFloat16).to(at::kDouble)).sum().backward();
  if (worst(got, exact) > room(exact, 1.1)) {
    std::printf("  %s: %g beside %g\n", name, worst(got, exact), room(exact, 1));
    CHECK(false);
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor grad = leaves[i].grad(), want = wide[i].grad();
    if (worst(grad, want) > room(want, 2)) {
      std::printf("  %s, gradient %d: %g beside %g\n", name, static_cast<int>(i), worst(grad, want), room(want, 1));
      CHECK(false);
    }
  }
}

Tensor half(at::IntArrayRef shape, double scale = 1) { return (scale * at::randn(shape)).to(at::kBFloat16); }

}  // namespace

TEST(numbers_round_to_the_nearest_and_nan_stays) {
  at::manual_seed(1);
  Tensor values = at::cat({at::randn({1000}), at::randn({100}) * 1e30, at::randn({100}) * 1e-30});
  values = at::cat({values, at::tensor({1.00390625f, 1.01171875f, INFINITY, -INFINITY})});  // two ties
  const Tensor want = values.to(at::kBFloat16);
  Tensor got = at::empty_like(want), back = at::empty_like(values);
  kernels::narrow(values.const_data_ptr<float>(),
                  reinterpret_cast<kernels::Half*>(got.mutable_data_ptr<at::BFloat16>()), values.numel());
  CHECK(at::equal(got, want));
  kernels::widen(reinterpret_cast<const kernels::Half*>(want.const_data_ptr<at::BFloat16>()),
                 back.mutable_data_ptr<float>(), want.numel());
  CHECK(at::equal(back, want.to(at::kFloat)));
  // The largest NaN would round to zero.
  const float nans[2] = {std::bit_cast<float>(0x7fffffff), std::bit_cast<float>(0x7fffffff)};
  kernels::Half bits[2] = {0, 0};
  kernels::narrow(nans, bits, 2);
  for (const kernels::Half half : bits) CHECK((half & 0x7fff) > 0x7f80);
}

TEST(half_width_rows) {
  at::manual_seed(2);
  for (const int64_t width : {1, 15, 16, 17, 130}) {
    for (const int64_t rows : {1, 3, 70}) {
      check_half(
          "rms_norm", [](const auto& in) { return ops::rms_norm(in[0], in[1].to(at::kFloat), 1e-5); },
          [](const auto& in) { return ops::rms_norm_reference(in[0], in[1], 1e-5); },
          {half({rows, width}), half({width})});
      check_half(
          "swiglu", [](const auto& in) { return ops::swiglu(in[0]); },
          [](const auto& in) { return ops::swiglu_reference(in[0]); }, {half({rows, 2 * width}, 3)});
    }
  }
  for (const int64_t heads : {1, 5}) {
    for (const int64_t head_width : {2, 6, 32, 36}) {
      const Tensor angles = ops::rope_angles(at::arange(70), head_width, 10000, at::kDouble);
      check_half(
          "rope", [&](const auto& in) { return ops::rope(in[0], angles.to(at::kFloat), heads); },
          [&](const auto& in) { return ops::rope_reference(in[0], angles, heads); },
          {half({70, heads * head_width + 3})});
    }
  }
  for (const Offsets& offsets : std::vector<Offsets>{{0, 1}, {0, 31, 31, 64, 65}}) {
    check_half(
        "row_mix", [&](const auto& in) { return ops::row_mix(in[0], in[1].to(at::kFloat), offsets); },
        [&](const auto& in) { return ops::row_mix_reference(in[0], in[1], offsets); },
        {half({offsets.back(), 17}), half({3, 17})});
  }
  check_half(
      "row_mean_max", [&](const auto& in) { return ops::row_mean_max(in[0], {0, 31, 64, 65}); },
      [&](const auto& in) { return ops::row_mean_max_reference(in[0], {0, 31, 64, 65}); }, {half({65, 17})});
}

TEST(half_attention_is_the_reference) {
  const at::NoGradGuard no_grad;
  if (!ops::has_half_attention(half({4, 24}))) std::printf("  in float32: no tile registers here\n");
  at::manual_seed(3);
  const std::vector<Offsets> shapes{{0, 1}, {0, 2, 3}, {0, 31, 31, 64, 65}, {0, 100, 228}, {0, 700}};
  for (const Offsets& offsets : shapes) {
    for (const ops::Heads heads : {ops::Heads{1, 1}, ops::Heads{3, 3}, ops::Heads{6, 2}}) {
      for (const int64_t head_width : {8, 18, 33, 64}) {
        const Tensor qkv = half({offsets.back(), (heads.queries + 2 * heads.keys) * head_width});
        std::vector<Tensor> biases{Tensor()};
        for (const int64_t bias_heads : {int64_t{1}, heads.queries}) {
          biases.push_back(at::randn({bias_heads, ops::square_offsets(offsets).back()}));
        }
        for (const Tensor& bias : biases) {
          const Tensor got = ops::ragged_attention(qkv, offsets, heads, bias);
          const Tensor exact = ops::ragged_attention_reference(qkv.to(at::kDouble), offsets, heads,
                                                               bias.defined() ? bias.to(at::kDouble) : bias);
          CHECK(got.scalar_type() == at::kBFloat16);
          // The weights are rounded, too: errors of many of them cancel, those of few do not.
          CHECK(worst(got, exact) < room(exact, 3));
        }
      }
    }
  }
}

TEST(half_attention_turns_as_rope_does) {
  const at::NoGradGuard no_grad;
  at::manual_seed(8);
  const Offsets offsets{0, 1, 1, 34, 100};
  const Tensor bias = at::randn({1, ops::square_offsets(offsets).back()});
  for (const ops::Heads heads : {ops::Heads{3, 3}, ops::Heads{6, 2}}) {
    for (const int64_t head_width : {6, 32, 66}) {
      const int64_t turning = heads.queries + heads.keys;
      const Tensor qkv = half({offsets.back(), (turning + heads.keys) * head_width});
      const Tensor angles = ops::rope_angles(at::arange(offsets.back()), head_width, 100, at::kFloat);
      const Tensor got = ops::ragged_attention(qkv, offsets, heads, bias, angles);
      const Tensor exact = ops::ragged_attention_reference(ops::rope_reference(qkv.to(at::kDouble), angles, turning),
                                                           offsets, heads, bias.to(at::kDouble));
      CHECK(worst(got, exact) < room(exact, 4));
      if (!ops::has_half_attention(qkv)) continue;
      CHECK(at::equal(got, ops::ragged_attention(ops::rope(qkv, angles, turning), offsets, heads, bias)));
    }
  }
}

TEST(half_attention_of_large_scores) {
  const at::NoGradGuard no_grad;
  // One key has all the weight, whatever its score.
  const Tensor one = at::full({1, 6}, 60500).to(at::kBFloat16);
  CHECK(at::equal(ops::ragged_attention(one, {0, 1}, {1, 1}), one.narrow(1, 4, 2)));
  // All keys far away are as near as each other.
  const Tensor zeros = at::cat({at::zeros({5, 4}), at::arange(10).view({5, 2})}, 1).to(at::kBFloat16);
  const Tensor got = ops::ragged_attention(zeros, {0, 5}, {1, 1}, at::full({1, 25}, -1e30));
  CHECK(worst(got, at::tensor({4., 5.}).expand({5, 2})) < .05);
  // The first of few keys is hidden.
  Tensor bias = at::zeros({1, 25});
  for (int64_t query = 0; query < 5; ++query) bias[0][query * 5] = -INFINITY;
  CHECK(worst(ops::ragged_attention(zeros, {0, 5}, {1, 1}, bias), at::tensor({5., 6.}).expand({5, 2})) < .05);
}

TEST(swiglu_of_large_numbers) {
  const at::NoGradGuard no_grad;
  const Tensor gate = at::tensor({-1e4, -100., -90., -87., 0., 87., 100., 1e4}, at::kDouble);
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const Tensor gate_up = at::cat({gate, at::ones({8}, at::kDouble)}).view({1, 16}).to(dtype);
    const Tensor exact = ops::swiglu_reference(gate_up.to(at::kDouble));
    const Tensor error = (ops::swiglu(gate_up).to(at::kDouble) - exact).abs();
    CHECK((error <= std::exp2(dtype == at::kFloat ? -20 : -8) * exact.abs() + 1e-30).all().item<bool>());
    Tensor broken = gate_up.clone();
    broken[0][3] = std::numeric_limits<float>::quiet_NaN();
    CHECK(ops::swiglu(broken)[0][3].isnan().item<bool>());
  }
}

TEST(products_in_tiles) {
  if (!kernels::has_tiles()) {
    std::printf("  skipped: no tile registers here\n");
    return;
  }
  at::manual_seed(9);
  const kernels::TileRegisters registers;
  for (const auto& [n, k] : std::vector<std::pair<int64_t, int64_t>>{{32, 32}, {32, 96}, {160, 64}}) {
    const Tensor a = half({32, k}), b = half({k, n});
    const Tensor pairs = b.view({k / 2, 2, n}).transpose(1, 2).contiguous();
    Tensor c = at::full({32, n}, NAN);
    kernels::multiply_tiles(n, k, ops::half_data(a), ops::half_data(pairs), c.mutable_data_ptr<float>());
    CHECK(worst(c, at::mm(a.to(at::kDouble), b.to(at::kDouble))) < 1e-4);
  }
}

TEST(half_attention_gives_a_hidden_key_nothing) {
  const at::NoGradGuard no_grad;
  at::manual_seed(4);
  const int64_t n = 40;
  Tensor qkv = half({n, 24});
  Tensor bias = at::zeros({1, n * n});
  for (int64_t q = 0; q < n; ++q) bias[0][q * n + 7] = -INFINITY;
  const Tensor before = ops::ragged_attention(qkv, {0, n}, {1, 1}, bias);
  qkv[7].narrow(0, 8, 16).fill_(1e4);
  const Tensor after = ops::ragged_attention(qkv, {0, n}, {1, 1}, bias);
  CHECK(at::equal(before.narrow(0, 0, 7), after.narrow(0, 0, 7)));
  CHECK(at::equal(before.narrow(0, 8, n - 8), after.narrow(0, 8, n - 8)));
}

TEST(half_attention_shows_what_is_not_finite) {
  const at::NoGradGuard no_grad;
  Tensor qkv = half({40, 24});
  qkv[20][9] = std::numeric_limits<float>::quiet_NaN();  // of a key
  CHECK(ops::ragged_attention(qkv, {0, 40}, {1, 1}).isnan().any(1).all().item<bool>());
}

TEST(half_attention_behind_a_cache) {
  at::manual_seed(5);
  for (const ops::Heads heads : {ops::Heads{3, 3}, ops::Heads{6, 2}}) {
    for (const auto among : {ops::Among::kAll, ops::Among::kEarlier}) {
      const Offsets offsets{0, 1, 1, 33, 36};
      const Tensor qkv = half({36, (heads.queries + 2 * heads.keys) * 8});
      std::vector<Tensor> past, past_wide;
      for (const int64_t length : {0, 5, 1, 70}) {
        past.push_back(half({length + 3, 2 * heads.keys * 8}).narrow(0, 0, length));
        past_wide.push_back(past.back().to(at::kDouble));
      }
      const Tensor got = ops::cached_attention(qkv, offsets, heads, past, among);
      const Tensor exact = ops::cached_attention_reference(qkv.to(at::kDouble), offsets, heads, past_wide, among);
      CHECK(worst(got, exact) < room(exact, 1.1));
    }
  }
}

TEST(prepared_matrices_give_the_products_of_plain_ones) {
  const at::NoGradGuard no_grad;
  at::manual_seed(6);
  nn::Prepared prepared;
  const Tensor weight = at::randn({48, 33}), bias = at::randn({48});
  for (const int64_t rows : {0, 1, 7, 300}) {
    const Tensor x = half({rows, 33}), residual = half({rows, 48});
    const Tensor plain = nn::project(x, weight, bias), sum = nn::add_projected(residual, x, weight, bias);
    const nn::UsePrepared use(prepared);
    CHECK(worst(nn::project(x, weight, bias), plain) <= room(plain, 2));
    CHECK(worst(nn::add_projected(residual, x, weight, bias), sum) <= room(sum, 3));
    CHECK(nn::project(x.to(at::kFloat), weight).scalar_type() == at::kFloat);
  }
  CHECK(prepared.bytes() >= 48 * 33 * 2);
  CHECK(nn::Prepared::current() == nullptr);
  prepared.clear();
  CHECK(prepared.bytes() == 0);
}

TEST(a_weight_that_changed_is_prepared_anew) {
  const std::string model = check::temporary("prepared"), trained = check::temporary("trained");
  Session session(tiny::config("bfloat16")), other(tiny::config("bfloat16", "carry", 99));
  const Rows rows = tiny::rows(5, 4, 12);
  const auto says = [&](Session& of) { return of.inspect(rows, {"logits"}).at("logits").values; };
  const auto first = says(session);
  CHECK(session.memory().number("preparedBytes") > 0);
  session.save(model, "model");
  session.train_step(tiny::step(), tiny::counting_batch(1, 8, 9));
  CHECK(session.memory().number("preparedBytes") == 0);
  const auto second = says(session);
  CHECK(second != first);
  session.save(trained, "model");
  // What was loaded says the same, into a session that had prepared other weights.
  CHECK(says(other) != second);
  other.load(trained, "model");
  CHECK(says(other) == second);
  other.load(model, "model");
  CHECK(says(other) == first);
  std::remove(model.c_str());
  std::remove(trained.c_str());
}

TEST(products_of_bytes_are_near_and_a_row_is_its_own) {
  const at::NoGradGuard no_grad;
  at::manual_seed(7);
  const Tensor bias = at::randn({48});
  Tensor weight = at::randn({48, 33});
  weight[5].zero_();
  const nn::ByteMatrix bytes(weight);
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const int64_t rows : {1, 7, 300}) {
      Tensor x = at::randn({rows, 33});
      x[0].mul_(1000);  // an outlier of a row is nobody else's
      if (rows > 1) x[1].zero_();
      x = x.to(dtype);
      const Tensor residual = at::randn({rows, 48}).to(dtype);
      const Tensor exact = at::linear(x.to(at::kFloat), weight);
      const Tensor got = bytes.product(x, {}, {});
      CHECK(got.scalar_type() == dtype);
      const Tensor error = (got.to(at::kFloat) - exact).norm(2, 1), size = exact.norm(2, 1);
      CHECK((error <= .02 * size).all().item<bool>());
      const Tensor sum = bytes.product(x, bias, residual).to(at::kFloat);
      const Tensor want = got.to(at::kFloat) + bias + residual.to(at::kFloat);
      CHECK(worst(sum, want) <= (dtype == at::kFloat ? 1e-3 : room(want, 3)));
      for (const int64_t row : {int64_t{0}, rows / 2, rows - 1}) {
        CHECK(at::equal(bytes.product(x.narrow(0, row, 1), {}, {}), got.narrow(0, row, 1)));
      }
    }
  }
  Tensor broken = at::randn({2, 33});
  broken[0][4] = std::numeric_limits<float>::quiet_NaN();
  const Tensor shown = bytes.product(broken, {}, {});
  CHECK(shown[0].isnan().all().item<bool>() && shown[1].isfinite().all().item<bool>());
}

TEST(large_tensors_take_the_memory_of_earlier_ones) {
  use_memory_pool();
  const int64_t before = pooled_bytes();
  const void* address = nullptr;
  {
    const Tensor large = at::empty({1 << 20});
    address = large.const_data_ptr();
  }
#ifndef __SANITIZE_ADDRESS__
  CHECK(pooled_bytes() - before == 4 << 20);
  const Tensor next = at::empty({(1 << 20) - 1000});  // of nearly that size
  CHECK(next.const_data_ptr() == address);
  CHECK(pooled_bytes() == before);
#endif
  // Small ones are malloc's.
  {
    const Tensor small = at::empty({100});
  }
  const int64_t kept = pooled_bytes();
  {
    const Tensor small = at::empty({100});
  }
  CHECK(pooled_bytes() == kept);
#ifndef __SANITIZE_ADDRESS__
  // Full of sizes that nobody asks for any more: those that wait the longest go.
  const void* last = nullptr;
  for (int64_t mebibytes : {50, 60, 70, 80, 90, 100}) {
    std::vector<Tensor> blocks;  // two, so that the earlier sizes do not serve; the first is given back last
    for (int64_t i = 0; i < 2; ++i) blocks.push_back(at::empty({mebibytes << 18}));
    last = blocks.front().const_data_ptr();
    blocks.pop_back();
    blocks.clear();
    CHECK(pooled_bytes() <= int64_t{256} << 20);
  }
  CHECK(at::empty({100 << 18}).const_data_ptr() == last);
  // What is a little smaller takes it, too; what is much smaller does not.
  CHECK(at::empty({60 << 18}).const_data_ptr() == last);
  CHECK(at::empty({40 << 18}).const_data_ptr() != last);
#endif
  // What oneDNN takes and gives back by its address alone
  const at::NoGradGuard no_grad;
  const Tensor product = at::linear(half({2000, 300}), half({500, 300}));
  CHECK(product.isfinite().all().item<bool>());
  empty_memory_pool();
  CHECK(pooled_bytes() == 0);
}
