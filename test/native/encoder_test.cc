// The encoder: softly deleted tokens against removed ones, its variants against finite differences, frozen layers,
// activations that are computed again.
#define MERGE_CHECK_MAIN
#include "nn/encoder.h"

#include <ATen/core/grad_mode.h>

#include <cmath>
#include <limits>

#include "check.h"
#include "nn/position_bias.h"
#include "nn/rotary.h"
#include "ops/rope.h"

using namespace merge;

namespace {

nn::EncoderOptions options(nn::Positions positions = nn::Positions::kRope) {
  const nn::BlockOptions block{.width = 16,
                               .heads = 4,
                               .key_heads = 2,
                               .feed_forward = 24,
                               .norm_epsilon = 1e-5,
                               .deviation = .5,
                               .output_deviation = .5};
  return {.vocabulary = 20,
          .layers = 3,
          .local_mix = 0,
          .rope_base = 100,
          .block = block,
          .positions = positions,
          .max_positions = 32};
}

nn::EncoderOptions bert() {
  nn::EncoderOptions all = options(nn::Positions::kAbsolute);
  all.block.norm = nn::NormKind::kLayer;
  all.block.norm_place = nn::NormPlace::kAfter;
  all.block.biases = nn::Biases::kAll;
  all.block.activation = nn::Activation::kGelu;
  all.embedding_norm = true;
  all.head = nn::HeadKind::kTransform;
  return all;
}

nn::EncoderOptions modern_bert() {
  nn::EncoderOptions all = options();
  all.block.norm = nn::NormKind::kLayer;
  all.block.activation = nn::Activation::kGeglu;
  all.embedding_norm = true;
  all.head = nn::HeadKind::kTransform;
  all.window = 2;
  all.global_every = 2;
  all.window_rope_base = 10;
  return all;
}

nn::EncoderOptions qwen() {
  nn::EncoderOptions all = options(nn::Positions::kRelative);
  all.block.biases = nn::Biases::kQueries;
  all.head = nn::HeadKind::kUntied;
  return all;
}

const Offsets kOffsets{0, 7, 10};
const std::vector<int64_t> kTokens{1, 7, 9, 4, 8, 6, 11, 1, 5, 5};

nn::Packed packed() {
  nn::Packed rows;
  rows.offsets = kOffsets;
  rows.tokens_T = nn::index_tensor(kTokens, at::kCPU);
  rows.positions_T = nn::row_positions(kOffsets, at::kCPU);
  return rows;
}

// A number that every logit has its own part in.
Tensor loss(const nn::Encoder& encoder, at::ScalarType dtype) {
  const nn::Packed rows = packed();
  const Tensor logits = encoder.head().logits(
      encoder.forward(encoder.embed(rows, dtype), encoder.view(rows.positions_T, rows.offsets, dtype)));
  return (logits * at::linspace(-1, 1, logits.numel(), logits.options()).view(logits.sizes())).sum();
}

double worst(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

}  // namespace

TEST(hidden_keys_that_share_a_position_are_as_if_removed) {
  at::NoGradGuard no_grad;
  for (const auto positions : {nn::Positions::kRope, nn::Positions::kRelative, nn::Positions::kAbsolute}) {
    nn::Parameters parameters(1);
    const nn::Encoder encoder(parameters, options(positions));
    // Row 0 loses its tokens 2, 3 and 5; row 1 loses none.
    const std::vector<int64_t> kept{0, 1, 4, 6, 7, 8, 9};
    nn::Packed removed;
    removed.tokens_T = packed().tokens_T.index_select(0, nn::index_tensor(kept, at::kCPU));
    const Offsets shorter{0, 4, 7};
    Tensor hidden_T = at::zeros({10});
    for (const int64_t t : {2, 3, 5}) hidden_T[t] = -std::numeric_limits<float>::infinity();
    const Tensor shared_T = nn::index_tensor({0, 1, 1, 1, 2, 2, 3, 0, 1, 2}, at::kCPU);

    const Tensor soft_TD =
        encoder.forward(encoder.embed(packed(), at::kFloat), encoder.view(shared_T, kOffsets, at::kFloat, hidden_T));
    const Tensor hard_TD = encoder.forward(encoder.embed(removed, at::kFloat),
                                           encoder.view(nn::row_positions(shorter, at::kCPU), shorter, at::kFloat));
    CHECK(worst(soft_TD.index_select(0, nn::index_tensor(kept, at::kCPU)), hard_TD) <= 1e-5);
  }
}

TEST(gradients_of_every_variant_agree_with_central_differences_in_float64) {
  for (const auto& variant : {options(), bert(), modern_bert(), qwen()}) {
    nn::Parameters parameters(1);
    const nn::Encoder encoder(parameters, variant);
    parameters.flatten(at::kDouble, at::kCPU);
    parameters.zero_gradients();
    loss(encoder, at::kDouble).backward();
    at::NoGradGuard no_grad;
    double off = 0;
    for (const auto& entry : parameters.entries()) {
      double* values = entry.tensor.mutable_data_ptr<double>();
      const int64_t stride = std::max<int64_t>(1, entry.tensor.numel() / 5);
      for (int64_t i = 0; i < entry.tensor.numel(); i += stride) {
        const double before = values[i], step = 1e-5;
        values[i] = before + step;
        const double up = loss(encoder, at::kDouble).item<double>();
        values[i] = before - step;
        const double down = loss(encoder, at::kDouble).item<double>();
        values[i] = before;
        const double difference = (up - down) / (2 * step);
        const double gradient = entry.tensor.grad().const_data_ptr<double>()[i];
        off = std::max(off, std::abs(difference - gradient) / std::max(1e-2, std::abs(difference)));
      }
    }
    CHECK(off <= 1e-5);
  }
}

TEST(activations_computed_again_give_the_same_gradients) {
  for (auto variant : {options(), options(nn::Positions::kRelative), bert(), modern_bert()}) {
    nn::Parameters kept(1), again(1);
    const nn::Encoder once(kept, variant);
    variant.recompute = true;
    const nn::Encoder twice(again, variant);
    for (nn::Parameters* parameters : {&kept, &again}) {
      parameters->flatten(at::kFloat, at::kCPU);
      parameters->zero_gradients();
    }
    for (const auto dtype : {at::kFloat, at::kBFloat16}) {
      loss(once, dtype).backward();
      loss(twice, dtype).backward();
      for (size_t e = 0; e < kept.entries().size(); ++e) {
        CHECK(at::equal(kept.entries()[e].tensor.grad(), again.entries()[e].tensor.grad()));
        CHECK(kept.entries()[e].tensor.grad().abs().sum().item<double>() > 0);
      }
    }
  }
}

TEST(frozen_layers_get_no_gradient_and_the_others_the_same) {
  for (auto variant : {options(), bert()}) {
    for (const bool recompute : {false, true}) {
      variant.recompute = recompute;
      nn::Parameters free(1), bound(1);
      const nn::Encoder moving(free, variant), frozen(bound, variant);
      for (nn::Parameters* parameters : {&free, &bound}) {
        parameters->flatten(at::kFloat, at::kCPU);
        parameters->zero_gradients();
      }
      frozen.freeze(2);
      loss(moving, at::kFloat).backward();
      loss(frozen, at::kFloat).backward();
      for (size_t e = 0; e < free.entries().size(); ++e) {
        const std::string& name = free.entries()[e].name;
        const bool early = name.rfind("embedding.", 0) == 0 || name.rfind("encoder.blocks.0", 0) == 0 ||
                           name.rfind("encoder.blocks.1", 0) == 0 || name == "encoder.positions.weight";
        const Tensor grad = bound.entries()[e].tensor.grad();
        CHECK(early ? grad.abs().max().item<double>() == 0 : at::equal(grad, free.entries()[e].tensor.grad()));
        CHECK(bound.entries()[e].tensor.requires_grad() == !early);
      }
      frozen.freeze(0);
      for (const auto& entry : bound.entries()) CHECK(entry.tensor.requires_grad());
    }
  }
}

TEST(buckets_are_those_of_t5) {
  // Each distance at which T5's formula, floor(8 + 8 log(n / 8) / log(16)), starts another bucket.
  const std::vector<int64_t> begins{0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91};
  for (size_t bucket = 0; bucket < begins.size(); ++bucket) {
    const int64_t last = bucket + 1 < begins.size() ? begins[bucket + 1] - 1 : 100000;
    for (const int64_t n : {begins[bucket], last}) {
      CHECK(nn::relative_bucket(-n) == static_cast<int64_t>(bucket));
      CHECK(n == 0 || nn::relative_bucket(n) == static_cast<int64_t>(bucket) + 16);
    }
  }
}

TEST(a_table_of_angles_grows) {
  const nn::Rotary rotary(6, 100);
  for (const std::vector<int64_t>& positions : std::vector<std::vector<int64_t>>{{2, 0, 1}, {}, {7, 3, 7}, {40}, {5}}) {
    const Tensor positions_T = at::tensor(positions, at::kLong);
    for (const auto dtype : {at::kFloat, at::kDouble, at::kBFloat16}) {
      const auto wide = dtype == at::kDouble ? at::kDouble : at::kFloat;
      CHECK(at::equal(rotary.angles(positions_T, dtype), ops::rope_angles(positions_T, 6, 100, wide)));
    }
  }
}
