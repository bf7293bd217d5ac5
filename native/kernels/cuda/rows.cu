// Convolution along rows and pooling of rows: a block for each row.
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/row_blocks.cuh"
#include "kernels/team/rows.h"

namespace merge::kernels {
namespace {

template <typename Value>
int row_mix(Launch launch, ConstValues x, const float* weight, Values y, PackedRows rows, int64_t taps, int64_t width,
            bool flipped) {
  const auto* in = static_cast<const Value*>(x);
  auto* out = static_cast<Value*>(y);
  return each_row(launch, rows, [=] __device__(BlockTeam& team, int64_t, Row row) {
    mix_row(team, in, weight, out, row, taps, width, flipped);
  });
}

template <typename Value>
int row_mix_weight_gradient(Launch launch, ConstValues grad_y, ConstValues x, float* shares, PackedRows rows,
                            int64_t taps, int64_t width) {
  const auto* g = static_cast<const Value*>(grad_y);
  const auto* in = static_cast<const Value*>(x);
  return each_row(launch, rows, [=] __device__(BlockTeam& team, int64_t r, Row row) {
    mix_row_weight_gradient(team, g, in, shares + r * taps * width, row, taps, width);
  });
}

template <typename Value>
int row_mean_max(Launch launch, ConstValues x, Values pooled, int64_t* where, PackedRows rows, int64_t width) {
  const auto* in = static_cast<const Value*>(x);
  auto* out = static_cast<Value*>(pooled);
  return each_row(launch, rows, [=] __device__(BlockTeam& team, int64_t r, Row row) {
    pool_row(team, in, out + r * 2 * width, where + r * width, row, width);
  });
}

template <typename Value>
int row_mean_max_backward(Launch launch, ConstValues grad, const int64_t* where, Values grad_x, PackedRows rows,
                          int64_t width) {
  const auto* g = static_cast<const Value*>(grad);
  auto* out = static_cast<Value*>(grad_x);
  return each_row(launch, rows, [=] __device__(BlockTeam& team, int64_t r, Row row) {
    pool_row_backward(team, g + r * 2 * width, where + r * width, out, row, width);
  });
}

}  // namespace

int launch_row_mix(Launch launch, ConstValues x, const float* weight, Values y, PackedRows rows, int64_t taps,
                   int64_t width, bool flipped) {
  return is_wide(launch) ? row_mix<float>(launch, x, weight, y, rows, taps, width, flipped)
                         : row_mix<Bfloat16>(launch, x, weight, y, rows, taps, width, flipped);
}

int launch_row_mix_weight_gradient(Launch launch, ConstValues grad_y, ConstValues x, float* shares, PackedRows rows,
                                   int64_t taps, int64_t width) {
  return is_wide(launch) ? row_mix_weight_gradient<float>(launch, grad_y, x, shares, rows, taps, width)
                         : row_mix_weight_gradient<Bfloat16>(launch, grad_y, x, shares, rows, taps, width);
}

int launch_row_mean_max(Launch launch, ConstValues x, Values pooled, int64_t* where, PackedRows rows, int64_t width) {
  return is_wide(launch) ? row_mean_max<float>(launch, x, pooled, where, rows, width)
                         : row_mean_max<Bfloat16>(launch, x, pooled, where, rows, width);
}

int launch_row_mean_max_backward(Launch launch, ConstValues grad, const int64_t* where, Values grad_x, PackedRows rows,
                                 int64_t width) {
  return is_wide(launch) ? row_mean_max_backward<float>(launch, grad, where, grad_x, rows, width)
                         : row_mean_max_backward<Bfloat16>(launch, grad, where, grad_x, rows, width);
}

}  // namespace merge::kernels
