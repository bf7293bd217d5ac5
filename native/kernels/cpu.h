// CPU kernels: plain loops over contiguous rows, no torch; one thread's share of the work.
#pragma once

#include <cstdint>

#include "kernels/half.h"

namespace merge::kernels {

// y = x * scale * weight, scale = 1 / sqrt(mean(x^2) + epsilon), per row of `width`; scale_T is kept for the backward.
void rms_norm_forward(const float* x, const float* weight, float* y, float* scale, int64_t rows, int64_t width,
                      float epsilon);
void rms_norm_forward(const Half* x, const float* weight, Half* y, float* scale, int64_t rows, int64_t width,
                      float epsilon);
// grad_weight is this thread's own sum, added to.
void rms_norm_backward(const float* grad_y, const float* x, const float* weight, const float* scale, float* grad_x,
                       float* grad_weight, int64_t begin, int64_t end, int64_t width);

// y = silu(gate) * up; gate_up rows are [gate | up], 2 * width wide.
void swiglu_forward(const float* gate_up, float* y, int64_t rows, int64_t width);
void swiglu_forward(const Half* gate_up, Half* y, int64_t rows, int64_t width);
void swiglu_backward(const float* grad_y, const float* gate_up, float* grad_gate_up, int64_t begin, int64_t end,
                     int64_t width);

// Rotates the first `heads` heads of each row of `stride` numbers by its angle (half-split layout, as in LLaMA
// checkpoints); cos_sin holds [cos | sin] per row, `head_width` wide. `sign` -1 rotates back.
void rope_rotate(const float* x, float* y, const float* cos_sin, int64_t rows, int64_t heads, int64_t head_width,
                 int64_t stride, float sign);
void rope_rotate(const Half* x, Half* y, const float* cos_sin, int64_t rows, int64_t heads, int64_t head_width,
                 int64_t stride, float sign);

// One row, positions [begin, end): y[t] += sum_k weight[k] * x[t + k - taps / 2]; see ops/row_mix.h. All are added to.
void mix_forward(const float* x, const float* weight, float* y, int64_t begin, int64_t end, int64_t taps,
                 int64_t width);
void mix_backward(const float* grad_y, const float* x, const float* weight, float* grad_x, float* grad_weight,
                  int64_t begin, int64_t end, int64_t taps, int64_t width);

// Softmax of each of `rows` rows of `width` scores, in place.
void softmax_rows(float* scores, int64_t rows, int64_t width);
// dS = P * (dP - rowsum(dP * P)), in place over dP.
void softmax_rows_backward(const float* probability, float* grad, int64_t rows, int64_t width);

}  // namespace merge::kernels
