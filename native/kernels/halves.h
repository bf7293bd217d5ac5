// bfloat16 numbers for kernels that compute in float32: widened and narrowed where they lie in a cache, and laid out
// for products of bfloat16 matrices.
#pragma once

#include <cstdint>

#include "kernels/half.h"

namespace merge::kernels {

void widen(const Half* from, float* to, int64_t count);
// To the nearest, ties to even; NaN stays NaN.
void narrow(const float* from, Half* to, int64_t count);
// The same of rows of `width`, each times its factor, `stride` from one to the next where they are written.
void narrow_rows(const float* from, const float* factors, Half* to, int64_t stride, int64_t rows, int64_t width);

// Keys, n rows of `width` (even) numbers with `stride` from one to the next, as the right side of queries x keys^T:
// pairs of neighbours of a row together, [width / 2][padded][2]. Columns from n to padded are zero.
void pack_keys(const Half* keys, int64_t stride, int64_t n, int64_t padded, int64_t width, Half* packed);
// Values, as the right side of weights x values: pairs of rows together, [padded / 2][width][2]. Rows from n to padded
// (even) are zero.
void pack_values(const Half* values, int64_t stride, int64_t n, int64_t padded, int64_t width, Half* packed);

// The softmax of a row of n scores without its division: weights[i] = exp(scale * scores[i] + bias[i] - largest), zero
// from n to padded (a multiple of 16); returns 1 / their sum. scale is positive, bias may be null. The scores, as many
// as weights, are scratch afterwards.
float soft_weights(float* scores, const float* bias, float scale, int64_t n, int64_t padded, Half* weights);

}  // namespace merge::kernels
