// Bytes: each loop once, for float32 and bfloat16.
#include "kernels/bytes.h"

#include "kernels/vector.h"

namespace merge::kernels {
namespace {

using Bytes = uint8_t __attribute__((vector_size(kLanes)));

template <typename Element>
MERGE_INLINE void quantize(const Element* x, uint8_t* bytes, float* scales, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r) {
    const Element* row = x + r * width;
    uint8_t* out = bytes + r * width;
    Floats tops{}, zeros{};
    over_row<Floats>(width, [&](int64_t i, auto read, auto) __attribute__((always_inline)) {
      const Floats values = read(row + i), size = values < 0.0f ? -values : values;
      tops = size > tops ? size : tops;
      zeros += values * 0.0f;
    });
    // A number that is not finite reaches the scale, and with it every product of the row.
    const float top = largest(tops), zero = sum(zeros);
    scales[r] = top / 127.0f + zero;
    const float inverse = zero == 0.0f && top > 0 ? 127.0f / top : 0.0f;
    const int64_t whole = width / kLanes * kLanes;
    for (int64_t i = 0; i < whole; i += kLanes) {
      // Positive numbers are cut, so a half more rounds them.
      Floats values;
      load(row + i, values);
      const Floats shifted = values * inverse + (kByteZero + 0.5f);
      const Bytes packed = __builtin_convertvector(__builtin_convertvector(shifted, Ints), Bytes);
      std::memcpy(out + i, &packed, sizeof packed);
    }
    if (whole < width) {
      const Floats shifted = load_few<Floats>(row + whole, width - whole) * inverse + (kByteZero + 0.5f);
      for (int64_t i = whole; i < width; ++i) out[i] = static_cast<uint8_t>(shifted[i - whole]);
    }
  }
}

template <typename Element>
MERGE_INLINE void scale(const float* products, const float* scales, const float* bias, const Element* residual,
                        Element* y, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r) {
    over_row<Numbers<Element>>(width, [&](int64_t i, auto read, auto write) __attribute__((always_inline)) {
      auto values = read(products + r * width + i) * scales[r];
      if (bias != nullptr) values = values + read(bias + i);
      if (residual != nullptr) values = values + read(residual + r * width + i);
      write(values, y + r * width + i);
    });
  }
}

}  // namespace

MERGE_VECTOR void quantize_rows(const float* x, uint8_t* bytes, float* scales, int64_t rows, int64_t width) {
  quantize(x, bytes, scales, rows, width);
}

MERGE_VECTOR void quantize_rows(const Half* x, uint8_t* bytes, float* scales, int64_t rows, int64_t width) {
  quantize(x, bytes, scales, rows, width);
}

MERGE_VECTOR void scale_rows(const float* products, const float* scales, const float* bias, const float* residual,
                             float* y, int64_t rows, int64_t width) {
  scale(products, scales, bias, residual, y, rows, width);
}

MERGE_VECTOR void scale_rows(const float* products, const float* scales, const float* bias, const Half* residual,
                             Half* y, int64_t rows, int64_t width) {
  scale(products, scales, bias, residual, y, rows, width);
}

}  // namespace merge::kernels
