// What attention does beside its products.
#include "kernels/attention.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "kernels/rotation.h"
#include "kernels/vector.h"

namespace merge::kernels {
namespace {

// Of rows that lie `step` apart, the second half of the first and the first half of the second change places, in each
// 2 * step numbers.
template <size_t step, size_t... lane>
MERGE_INLINE void exchange(Ints (&rows)[kLanes], std::index_sequence<lane...>) {
  for (size_t row = 0; row < kLanes; ++row) {
    if ((row & step) != 0) continue;
    const Ints first = rows[row], second = rows[row + step];
    rows[row] = __builtin_shufflevector(first, second, ((lane & step) != 0 ? kLanes + lane - step : lane)...);
    rows[row + step] = __builtin_shufflevector(first, second, ((lane & step) != 0 ? kLanes + lane : lane + step)...);
  }
}

// Sixteen rows of sixteen, mirrored: by ones, twos, fours and eights.
MERGE_INLINE void transpose(Ints (&rows)[kLanes]) {
  exchange<1>(rows, std::make_index_sequence<kLanes>());
  exchange<2>(rows, std::make_index_sequence<kLanes>());
  exchange<4>(rows, std::make_index_sequence<kLanes>());
  exchange<8>(rows, std::make_index_sequence<kLanes>());
}

// Asks for the row of a head that is needed some rows after row i: rows lie too far apart for the processor to guess.
template <typename Element>
MERGE_INLINE void fetch_ahead(const Element* x, int64_t stride, int64_t i, int64_t n, int64_t width) {
  constexpr int64_t kAhead = 16, kLine = 64 / sizeof(Element);
  if (i + kAhead >= n) return;
  for (int64_t k = 0; k < width; k += kLine) __builtin_prefetch(x + (i + kAhead) * stride + k);
}

template <typename Element>
MERGE_INLINE void gather_rows(const Element* x, int64_t stride, const float* cos_sin, int64_t n, int64_t padded,
                              int64_t width, int64_t wide, Element* rows) {
  for (int64_t i = 0; i < n; ++i) {
    Element* row = rows + i * wide;
    fetch_ahead(x, stride, i, n, width);
    if (cos_sin == nullptr) {
      std::memcpy(row, x + i * stride, sizeof(Element) * width);
    } else {
      rotate_head(x + i * stride, row, cos_sin + i * width, width, 1.0f);
    }
    std::memset(row + width, 0, sizeof(Element) * (wide - width));
  }
  std::memset(rows + n * wide, 0, sizeof(Element) * (padded - n) * wide);
}

}  // namespace

MERGE_VECTOR void head_rows(const Half* x, int64_t stride, const float* cos_sin, int64_t n, int64_t padded,
                            int64_t width, int64_t wide, Half* rows) {
  gather_rows(x, stride, cos_sin, n, padded, width, wide, rows);
}

MERGE_VECTOR void head_rows(const float* x, int64_t stride, const float* cos_sin, int64_t n, int64_t padded,
                            int64_t width, int64_t wide, float* rows) {
  gather_rows(x, stride, cos_sin, n, padded, width, wide, rows);
}

MERGE_VECTOR void pack_keys(const Half* keys, int64_t padded, int64_t wide, Half* packed) {
  for (int64_t i = 0; i < padded; i += kLanes) {
    for (int64_t k = 0; k < wide; k += 2 * kLanes) {
      Ints pairs[kLanes];
      for (int64_t row = 0; row < kLanes; ++row) std::memcpy(&pairs[row], keys + (i + row) * wide + k, sizeof(Ints));
      transpose(pairs);
      for (int64_t row = 0; row < kLanes; ++row) {
        std::memcpy(packed + (k + 2 * row) * padded + 2 * i, &pairs[row], sizeof(Ints));
      }
    }
  }
}

MERGE_VECTOR void pack_values(const Half* values, int64_t stride, int64_t n, int64_t padded, int64_t width,
                              int64_t wide, Half* packed) {
  for (int64_t i = 0; i < padded; i += 2 * kLanes) {
    for (int64_t j = i; j < i + kLanes; ++j) {
      Half* out = packed + (i + 2 * (j - i)) * wide;
      // The rows of the next 32.
      fetch_ahead(values, stride, j + kLanes, n, width);
      fetch_ahead(values, stride, j + 2 * kLanes, n, width);
      const int64_t both = j + kLanes < n ? width : 0, one = j < n ? width : 0;
      for (int64_t k = 0; k < both; ++k) {
        out[2 * k] = values[j * stride + k];
        out[2 * k + 1] = values[(j + kLanes) * stride + k];
      }
      for (int64_t k = both; k < one; ++k) {
        out[2 * k] = values[j * stride + k];
        out[2 * k + 1] = 0;
      }
      std::memset(out + 2 * one, 0, 2 * sizeof(Half) * (wide - one));
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
  Floats tops[2] = {load(scores), load(scores + kLanes)};
  for (int64_t i = 2 * kLanes; i < padded; i += 2 * kLanes) {
    for (int64_t part = 0; part < 2; ++part) {
      const Floats next = load(scores + i + part * kLanes);
      tops[part] = next > tops[part] ? next : tops[part];
    }
  }
  const float in_twos = scale * 1.44269504088896341f;
  const float top = largest(tops[1] > tops[0] ? tops[1] : tops[0]);
  for (int64_t i = n; i < padded; ++i) scores[i] = -INFINITY;
  Floats totals[2] = {};
  for (int64_t i = 0; i < padded; i += 2 * kLanes) {
    Words bits[2];
    for (int64_t part = 0; part < 2; ++part) {
      const Floats weight = power_of_two((load(scores + i + part * kLanes) - top) * in_twos);
      totals[part] += weight;
      bits[part] = std::bit_cast<Words>(weight) + 0x8000;  // to the nearest bfloat16: a weight is in 0 .. 1, or NaN
    }
    const Words pairs = (bits[0] >> 16) | (bits[1] & 0xffff0000u);
    std::memcpy(weights + i, &pairs, sizeof pairs);
  }
  return 1.0f / sum(totals[0] + totals[1]);
}

MERGE_VECTOR void narrow_rows(const float* from, int64_t from_stride, const float* factors, Half* to, int64_t to_stride,
                              int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r) {
    over_row<Twins>(width, [&](int64_t i, auto read, auto write) __attribute__((always_inline)) {
      write(read(from + r * from_stride + i) * factors[r], to + r * to_stride + i);
    });
  }
}

}  // namespace merge::kernels
