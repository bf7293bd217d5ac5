// What the loops of kernels/*.cc share to become vector code.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "kernels/exp.h"
#include "kernels/half.h"
#include "kernels/inline.h"

// One build serves every x86-64: the loader picks the widest version that the processor has.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define MERGE_VECTOR __attribute__((target_clones("avx512f", "avx2,fma", "default")))
#else
#define MERGE_VECTOR
#endif

namespace merge::kernels {

constexpr int64_t kLanes = 16;

// Sixteen numbers at once, where a loop would not become vector code, such as a sum, whose order the compiler must not
// change; each build lowers them to what its target has.
using Floats = float __attribute__((vector_size(4 * kLanes)));
using Ints = int32_t __attribute__((vector_size(4 * kLanes)));
using Halves = uint16_t __attribute__((vector_size(2 * kLanes)));

MERGE_INLINE Floats load(const float* from) {
  Floats values;
  std::memcpy(&values, from, sizeof values);
  return values;
}

MERGE_INLINE Floats load(const Half* from) {
  Halves bits;
  std::memcpy(&bits, from, sizeof bits);
  return std::bit_cast<Floats>(__builtin_convertvector(bits, Ints) << 16);
}

MERGE_INLINE void store(const Floats& values, float* to) { std::memcpy(to, &values, sizeof values); }

// To the nearest, ties to even; NaN stays NaN.
MERGE_INLINE void store(const Floats& values, Half* to) {
  const Ints bits = std::bit_cast<Ints>(values);
  const Ints nearest = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  // The largest NaNs would round to zero.
  const Halves half = __builtin_convertvector((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 + Ints{} : nearest, Halves);
  std::memcpy(to, &half, sizeof half);
}

// The last `count` numbers of a row, fewer than sixteen, and zeros.
template <typename Element>
MERGE_INLINE Floats load_few(const Element* from, int64_t count) {
  Element row[kLanes] = {0};
  for (int64_t i = 0; i < count; ++i) row[i] = from[i];
  return load(row);
}

template <typename Element>
MERGE_INLINE void store_few(const Floats& values, Element* to, int64_t count) {
  Element row[kLanes];
  store(values, row);
  for (int64_t i = 0; i < count; ++i) to[i] = row[i];
}

// body(i, read, write) for the numbers of a row, sixteen at a time from i; read(pointer) and write(values, pointer) end
// where the row ends.
template <typename Body>
MERGE_INLINE void over_row(int64_t width, Body&& body) {
  const int64_t whole = width / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    body(
        i, [](const auto* from) __attribute__((always_inline)) { return load(from); },
        [](const Floats& values, auto* to) __attribute__((always_inline)) { store(values, to); });
  }
  if (const int64_t rest = width - whole; rest > 0) {
    body(
        whole, [rest](const auto* from) __attribute__((always_inline)) { return load_few(from, rest); },
        [rest](const Floats& values, auto* to) __attribute__((always_inline)) { store_few(values, to, rest); });
  }
}

// One number of all sixteen, by halves.
template <typename Join>
MERGE_INLINE float joined(const Floats& values, Join&& join) {
  using Eight = float __attribute__((vector_size(32)));
  using Four = float __attribute__((vector_size(16)));
  Eight eight[2];
  Four four[2];
  std::memcpy(eight, &values, sizeof eight);
  const Eight half = join(eight[0], eight[1]);
  std::memcpy(four, &half, sizeof four);
  const Four quarter = join(four[0], four[1]);
  return join(join(quarter[0], quarter[2]), join(quarter[1], quarter[3]));
}

MERGE_INLINE float sum(const Floats& values) {
  return joined(values, [](auto a, auto b) __attribute__((always_inline)) { return a + b; });
}

MERGE_INLINE float largest(const Floats& values) {
  return joined(values, [](auto a, auto b) __attribute__((always_inline)) { return a > b ? a : b; });
}

// exp_fast of sixteen at once.
MERGE_INLINE Floats exp_fast(Floats x) {
  x = x < -87.0f ? -87.0f + Floats{} : x;
  x = x > 80.0f ? 80.0f + Floats{} : x;
  const Floats shifted = x * 1.44269504088896341f + 12582912.0f;
  const Floats whole = shifted - 12582912.0f;
  const Floats r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  Floats p = 1.9875691500e-4f * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return p * std::bit_cast<Floats>((__builtin_convertvector(whole, Ints) + 127) << 23);
}

}  // namespace merge::kernels
