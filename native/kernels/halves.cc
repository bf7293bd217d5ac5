// bfloat16 rows: in and out of float32, and what attention makes of them.
#include "kernels/halves.h"

#include <cmath>

#include "kernels/vector.h"

namespace merge::kernels {
namespace {

// 2^x of numbers <= 0 for weights of bfloat16, within 5e-5 of it; 0 below 2^-126.5, and so for -inf.
MERGE_INLINE Floats power_of_two(const Floats& x) {
  // The bits of an exponent of -127 are those of 0.
  const Floats exponent = x < -127.0f ? -127.0f + Floats{} : x;
  // Adding and taking away 1.5 * 2^23 rounds to the nearest whole number.
  const Floats shifted = exponent + 12582912.0f, part = exponent - (shifted - 12582912.0f);
  const Floats power =
      1.0f + part * (0.693147181f + part * (0.240226507f + part * (0.0555041087f + part * 0.00961812911f)));
  return power * std::bit_cast<Floats>((std::bit_cast<Ints>(shifted) << 23) + 0x3f800000);
}

}  // namespace

MERGE_VECTOR void widen(const Half* from, float* to, int64_t count) {
  over_row(count,
           [&](int64_t i, auto read, auto write) __attribute__((always_inline)) { write(read(from + i), to + i); });
}

MERGE_VECTOR void narrow(const float* from, Half* to, int64_t count) {
  over_row(count,
           [&](int64_t i, auto read, auto write) __attribute__((always_inline)) { write(read(from + i), to + i); });
}

MERGE_VECTOR void narrow_rows(const float* from, const float* factors, Half* to, int64_t stride, int64_t rows,
                              int64_t width) {
  for (int64_t r = 0; r < rows; ++r) {
    over_row(width, [&](int64_t i, auto read, auto write) __attribute__((always_inline)) {
      write(read(from + r * width + i) * factors[r], to + r * stride + i);
    });
  }
}

// Row by row: rows lie a power of two apart often enough that a column of them would fall into few sets of the cache.
MERGE_VECTOR void pack_keys(const Half* keys, int64_t stride, int64_t n, int64_t padded, int64_t width, Half* packed) {
  for (int64_t i = 0; i < padded; ++i) {
    for (int64_t k = 0; k < width; k += 2) {
      packed[k * padded + 2 * i] = i < n ? keys[i * stride + k] : Half{0};
      packed[k * padded + 2 * i + 1] = i < n ? keys[i * stride + k + 1] : Half{0};
    }
  }
}

MERGE_VECTOR void pack_values(const Half* values, int64_t stride, int64_t n, int64_t padded, int64_t width,
                              Half* packed) {
  for (int64_t i = 0; i < padded; i += 2) {
    Half* out = packed + i * width;
    const Half* even = values + i * stride;
    if (i + 1 < n) {
      for (int64_t k = 0; k < width; ++k) {
        out[2 * k] = even[k];
        out[2 * k + 1] = even[stride + k];
      }
    } else {
      for (int64_t k = 0; k < width; ++k) {
        out[2 * k] = i < n ? even[k] : Half{0};
        out[2 * k + 1] = 0;
      }
    }
  }
}

MERGE_VECTOR float soft_weights(float* scores, const float* bias, float scale, int64_t n, int64_t padded,
                                Half* weights) {
  if (bias != nullptr) {
    for (int64_t i = 0; i < n; ++i) scores[i] = scores[i] * scale + bias[i];
    scale = 1.0f;
  }
  // The padding begins as the first score, so that whole vectors can be compared, and weighs nothing.
  for (int64_t i = n; i < padded; ++i) scores[i] = scores[0];
  Floats tops = load(scores);
  for (int64_t i = kLanes; i < padded; i += kLanes) {
    const Floats next = load(scores + i);
    tops = next > tops ? next : tops;
  }
  const float top = largest(tops), in_twos = scale * 1.44269504088896341f;
  for (int64_t i = n; i < padded; ++i) scores[i] = -INFINITY;
  Floats total{};
  for (int64_t i = 0; i < padded; i += kLanes) {
    const Floats weight = power_of_two((load(scores + i) - top) * in_twos);
    total += weight;
    store(weight, weights + i);
  }
  return 1.0f / sum(total);
}

}  // namespace merge::kernels
