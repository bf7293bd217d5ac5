// The encoder: softly deleted tokens against removed ones, and where T5's buckets begin.
#define MERGE_CHECK_MAIN
#include "nn/encoder.h"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "check.h"
#include "ops/relative_bias.h"

using namespace merge;

namespace {

nn::EncoderOptions options(nn::Positions positions) {
  const nn::BlockOptions block{.width = 16,
                               .heads = 4,
                               .key_heads = 2,
                               .feed_forward = 24,
                               .norm_epsilon = 1e-5,
                               .deviation = .5,
                               .output_deviation = .5};
  return {.vocabulary = 20,
          .layers = 2,
          .local_mix = 0,
          .rope_base = 100,
          .block = block,
          .positions = positions,
          .max_positions = 32};
}

double worst(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

}  // namespace

TEST(hidden_keys_that_share_a_position_are_as_if_removed) {
  at::NoGradGuard no_grad;
  for (const auto positions : {nn::Positions::kRope, nn::Positions::kRelative, nn::Positions::kAbsolute}) {
    nn::Parameters parameters(1);
    const nn::Encoder encoder(parameters, options(positions));
    // Row 0 loses its tokens 2, 3 and 5; row 1 loses none.
    const std::vector<int64_t> tokens{1, 7, 9, 4, 8, 6, 11, 1, 5, 5}, kept{0, 1, 4, 6, 7, 8, 9};
    nn::Packed whole, removed;
    whole.tokens_T = nn::index_tensor(tokens, at::kCPU);
    removed.tokens_T = whole.tokens_T.index_select(0, nn::index_tensor(kept, at::kCPU));
    const Offsets offsets{0, 7, 10}, shorter{0, 4, 7};
    Tensor hidden_T = at::zeros({10});
    for (const int64_t t : {2, 3, 5}) hidden_T[t] = -std::numeric_limits<float>::infinity();
    const Tensor shared_T = nn::index_tensor({0, 1, 1, 1, 2, 2, 3, 0, 1, 2}, at::kCPU);

    const Tensor soft_TD =
        encoder.forward(encoder.embed(whole, at::kFloat), encoder.view(shared_T, offsets, at::kFloat, hidden_T));
    const Tensor hard_TD = encoder.forward(encoder.embed(removed, at::kFloat),
                                           encoder.view(nn::row_positions(shorter, at::kCPU), shorter, at::kFloat));
    CHECK(worst(soft_TD.index_select(0, nn::index_tensor(kept, at::kCPU)), hard_TD) <= 1e-5);
  }
}

TEST(buckets_are_those_of_t5) {
  // Each distance at which T5's formula, floor(8 + 8 log(n / 8) / log(16)), starts another bucket.
  const std::vector<int64_t> begins{0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91};
  for (size_t bucket = 0; bucket < begins.size(); ++bucket) {
    const int64_t last = bucket + 1 < begins.size() ? begins[bucket + 1] - 1 : 100000;
    for (const int64_t n : {begins[bucket], last}) {
      CHECK(ops::relative_bucket(-n) == static_cast<int64_t>(bucket));
      CHECK(n == 0 || ops::relative_bucket(n) == static_cast<int64_t>(bucket) + 16);
    }
  }
}
