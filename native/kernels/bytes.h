// Rows of numbers as bytes and back, for products of 8-bit matrices: each row by a scale of its own, so that a row
// gives the same beside any others.
#pragma once

#include <cstdint>

#include "kernels/half.h"

namespace merge::kernels {

constexpr int64_t kByteZero = 128;  // the byte that stands for 0

// bytes = round(x / scale) + kByteZero, scale = the row's largest |x| / 127 (0 for a row of zeros).
void quantize_rows(const float* x, uint8_t* bytes, float* scales, int64_t rows, int64_t width);
void quantize_rows(const Half* x, uint8_t* bytes, float* scales, int64_t rows, int64_t width);

// y = products * scale of the row + bias + residual; bias and residual may be null.
void scale_rows(const float* products, const float* scales, const float* bias, const float* residual, float* y,
                int64_t rows, int64_t width);
void scale_rows(const float* products, const float* scales, const float* bias, const Half* residual, Half* y,
                int64_t rows, int64_t width);

}  // namespace merge::kernels
