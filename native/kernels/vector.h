// What the loops of kernels/*.cc share to become vector code.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

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
using Words = uint32_t __attribute__((vector_size(4 * kLanes)));

// Thirty-two numbers, those at even places and those at odd ones: a pair of bfloat16 numbers comes apart into two
// float32 numbers, and goes together, without leaving its 32 bits.
struct Twins {
  Floats even, odd;
};

// What the numbers of a row are computed in.
template <typename Element>
using Numbers = std::conditional_t<std::is_same_v<Element, Half>, Twins, Floats>;

MERGE_INLINE Twins operator+(const Twins& a, const Twins& b) { return {a.even + b.even, a.odd + b.odd}; }
MERGE_INLINE Twins operator-(const Twins& a, const Twins& b) { return {a.even - b.even, a.odd - b.odd}; }
MERGE_INLINE Twins operator*(const Twins& a, const Twins& b) { return {a.even * b.even, a.odd * b.odd}; }
MERGE_INLINE Twins operator*(const Twins& a, float b) { return {a.even * b, a.odd * b}; }

template <typename Lanes, typename Element>
MERGE_INLINE Lanes bits_at(const Element* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

MERGE_INLINE Floats load(const float* from) { return bits_at<Floats>(from); }

MERGE_INLINE void load(const float* from, Floats& to) { to = load(from); }

MERGE_INLINE void load(const Half* from, Floats& to) {
  using Halves = Half __attribute__((vector_size(2 * kLanes)));
  to = std::bit_cast<Floats>(__builtin_convertvector(bits_at<Halves>(from), Ints) << 16);
}

MERGE_INLINE void load(const Half* from, Twins& to) {
  const Words pairs = bits_at<Words>(from);
  to = {std::bit_cast<Floats>(pairs << 16), std::bit_cast<Floats>(pairs & 0xffff0000u)};
}

MERGE_INLINE void load(const float* from, Twins& to) {
  const Floats a = load(from), b = load(from + kLanes);
  to.even = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  to.odd = __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

MERGE_INLINE void store(const Floats& values, float* to) { std::memcpy(to, &values, sizeof values); }

MERGE_INLINE void store(const Twins& values, float* to) {
  const Floats &e = values.even, &o = values.odd;
  store(__builtin_shufflevector(e, o, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23), to);
  store(__builtin_shufflevector(e, o, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31), to + kLanes);
}

// The upper halves are the nearest bfloat16 numbers, ties to even.
MERGE_INLINE Words rounded(const Floats& values) {
  const Words bits = std::bit_cast<Words>(values);
  // The largest NaNs would round to zero.
  return values != values ? 0x7fc00000 + Words{} : bits + 0x7fff + ((bits >> 16) & 1);
}

MERGE_INLINE void store(const Twins& values, Half* to) {
  const Words pairs = (rounded(values.even) >> 16) | (rounded(values.odd) & 0xffff0000u);
  std::memcpy(to, &pairs, sizeof pairs);
}

// The last `count` numbers of a row, fewer than Lanes holds, and zeros.
template <typename Lanes, typename Element>
MERGE_INLINE Lanes load_few(const Element* from, int64_t count) {
  Element row[sizeof(Lanes) / sizeof(float)] = {0};
  for (int64_t i = 0; i < count; ++i) row[i] = from[i];
  Lanes values;
  load(row, values);
  return values;
}

template <typename Lanes, typename Element>
MERGE_INLINE void store_few(const Lanes& values, Element* to, int64_t count) {
  Element row[sizeof(Lanes) / sizeof(float)];
  store(values, row);
  for (int64_t i = 0; i < count; ++i) to[i] = row[i];
}

// body(i, read, write) for the numbers of a row, as many at a time from i as Lanes holds; read(pointer) and
// write(values, pointer) end where the row ends.
template <typename Lanes, typename Body>
MERGE_INLINE void over_row(int64_t width, Body&& body) {
  constexpr int64_t kCount = sizeof(Lanes) / sizeof(float);
  const int64_t whole = width / kCount * kCount;
  for (int64_t i = 0; i < whole; i += kCount) {
    body(
        i,
        [](const auto* from) __attribute__((always_inline)) {
          Lanes values;
          load(from, values);
          return values;
        },
        [](const Lanes& values, auto* to) __attribute__((always_inline)) { store(values, to); });
  }
  if (const int64_t rest = width - whole; rest > 0) {
    body(
        whole, [rest](const auto* from) __attribute__((always_inline)) { return load_few<Lanes>(from, rest); },
        [rest](const Lanes& values, auto* to) __attribute__((always_inline)) { store_few(values, to, rest); });
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

MERGE_INLINE float sum(const Twins& values) { return sum(values.even + values.odd); }

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

// 2^x for what becomes bfloat16, within 5e-5 of it; 0 below 2^-126.5, and so for -inf. x is at most 126.
MERGE_INLINE Floats power_of_two(const Floats& x) {
  // The bits of an exponent of -127 are those of 0.
  const Floats exponent = x < -127.0f ? -127.0f + Floats{} : x;
  // Adding and taking away 1.5 * 2^23 rounds to the nearest whole number.
  const Floats shifted = exponent + 12582912.0f, part = exponent - (shifted - 12582912.0f);
  const Floats power =
      1.0f + part * (0.693147181f + part * (0.240226507f + part * (0.0555041087f + part * 0.00961812911f)));
  return power * std::bit_cast<Floats>((std::bit_cast<Words>(shifted) << 23) + 0x3f800000);
}

MERGE_INLINE Floats silu(const Floats& x) { return x / (1.0f + exp_fast(-x)); }

// For what becomes bfloat16.
MERGE_INLINE Floats coarse_silu(const Floats& x) {
  const Floats power = x * -1.44269504088896341f;
  return x / (1.0f + power_of_two(power > 126.0f ? 126.0f + Floats{} : power));
}

MERGE_INLINE Twins silu(const Twins& x) { return {coarse_silu(x.even), coarse_silu(x.odd)}; }

}  // namespace merge::kernels
