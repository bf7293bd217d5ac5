// What attention without a gradient does beside its products. What lies beyond n rows, up to `padded`, and beyond the
// width of a head, up to `wide`, is zero; for products in tiles (kernels/tiles.h) both are multiples of 32.
#pragma once

#include <cstdint>

#include "kernels/half.h"

namespace merge::kernels {

// The rows of a head, `stride` from one to the next, side by side: [padded][wide]. Each turns by its [cos | sin] in
// cos_sin [n, width], unless that is null.
void head_rows(const Half* x, int64_t stride, const float* cos_sin, int64_t n, int64_t padded, int64_t width,
               int64_t wide, Half* rows);
void head_rows(const float* x, int64_t stride, const float* cos_sin, int64_t n, int64_t padded, int64_t width,
               int64_t wide, float* rows);
// Keys [padded][wide] as the right side of queries x keys^T: [wide / 2][padded][2].
void pack_keys(const Half* keys, int64_t padded, int64_t wide, Half* packed);
// Values as the right side of weights x values, [padded / 2][wide][2]: of each 32 rows, j beside j + 16.
void pack_values(const Half* values, int64_t stride, int64_t n, int64_t padded, int64_t width, int64_t wide,
                 Half* packed);

// The softmax of a row of n scores without its division: the weight of a key is exp(scale * score + bias - largest),
// and zero from n to padded; of each 32 keys, the weight of j stands beside that of j + 16. Returns 1 / their sum.
// scale is positive, bias may be null. The scores, as many as weights, are scratch afterwards.
float soft_weights(float* scores, const float* bias, float scale, int64_t n, int64_t padded, Half* weights);

// Rows of `width` sums, each times its factor, to the nearest bfloat16 numbers.
void narrow_rows(const float* from, int64_t from_stride, const float* factors, Half* to, int64_t to_stride,
                 int64_t rows, int64_t width);

}  // namespace merge::kernels
