// counts_st: reference by sorted remainders, and the CPU and CUDA paths in parallel over rows.
#include "ops/counts_st.h"

#include <limits>

#include "error.h"
#include "kernels/samplers.h"
#include "ops/cuda.h"
#include "ops/upload.h"

namespace merge::ops {
namespace {

constexpr double kMost = 16777216;  // float32 counts every whole number up to here

void check(const Tensor& expected_G, const Offsets& offsets) {
  check_rows("counts_st", expected_G, offsets);
  check_finite("counts_st expected", expected_G);
  if (expected_G.numel() == 0) return;
  // sync: a negative count must not become a sample.
  const double least = expected_G.min().item<double>(), most = expected_G.max().item<double>();
  if (least >= 0 && most <= kMost) return;
  throw Error("ERR_INPUT",
              "counts_st expected: expected 0..2^24, received " + std::to_string(least < 0 ? least : most));
}

}  // namespace

StraightThrough counts_st_reference(const Tensor& expected_G, const Offsets& offsets) {
  check(expected_G, offsets);
  const Tensor wide_G = full_width(expected_G);
  std::vector<Tensor> rows{wide_G.detach().narrow(0, 0, 0)};
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    const Tensor row_G = wide_G.detach().narrow(0, offsets[r], offsets[r + 1] - offsets[r]), whole_G = row_G.floor();
    const double total = std::floor(row_G.sum(at::kDouble).item<double>() + .5);
    const auto missing = static_cast<int64_t>(total - whole_G.sum(at::kDouble).item<double>());
    const Tensor order = std::get<1>(at::sort(row_G - whole_G, /*stable=*/true, 0, /*descending=*/true));
    rows.push_back(whole_G.index_add(0, order.narrow(0, 0, missing), at::ones({missing}, row_G.options())));
  }
  return straight_through(at::cat(rows), wide_G);
}

StraightThrough counts_st(const Tensor& expected_G, const Offsets& offsets) {
  const bool on_cuda = has_float_cuda_kernel(expected_G);
  if (!has_cpu_kernel(expected_G) && !on_cuda) return counts_st_reference(expected_G, offsets);
  check(expected_G, offsets);
  const Tensor given_G = expected_G.detach().contiguous();
  Tensor counts_G = at::empty_like(given_G);
  if (on_cuda) {
    const Tensor rows = upload(offsets, given_G.device()), room_G = at::empty_like(given_G);
    launch(cuda_table().largest_remainder, given_G, given_G.const_data_ptr<float>(), counts_G.mutable_data_ptr<float>(),
           room_G.mutable_data_ptr<float>(), packed_rows(rows));
    return straight_through(counts_G, expected_G);
  }
  at::parallel_for(0, static_cast<int64_t>(offsets.size()) - 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      kernels::largest_remainder(given_G.const_data_ptr<float>() + offsets[r],
                                 counts_G.mutable_data_ptr<float>() + offsets[r], offsets[r + 1] - offsets[r]);
    }
  });
  return straight_through(counts_G, expected_G);
}

StraightThrough pointer_counts_st(const Tensor& scores_G, const Tensor& noise_G, const Offsets& offsets,
                                  const std::vector<int64_t>& k_B, double temperature) {
  check_draw("pointer_counts_st", {scores_G, noise_G, offsets, k_B, temperature});
  constexpr double kClosed = -std::numeric_limits<double>::infinity();
  const Tensor wide_G = full_width(scores_G), weight_G = (wide_G + noise_G.to(wide_G.options())) / temperature;
  std::vector<Tensor> rows{weight_G.narrow(0, 0, 0)};
  for (size_t r = 0; r < k_B.size(); ++r) {
    const Tensor row_G = weight_G.narrow(0, offsets[r], offsets[r + 1] - offsets[r]);
    const Tensor open = row_G.detach().gt(kClosed).nonzero().squeeze(1);
    const Tensor share_G = row_G.index_select(0, open).softmax(0) * static_cast<double>(k_B[r]);
    rows.push_back(at::zeros_like(row_G.detach()).index_copy(0, open, share_G));
  }
  return counts_st(at::cat(rows), offsets);
}

}  // namespace merge::ops
