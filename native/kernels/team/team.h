// Teams: threads that work on one row together. A kernel is a function of a team, written once: on a device the team is
// a block or a warp, on the host it is a few threads, and there tests compare the kernel with its reference.
//
// A Team has rank() from 0 to size() - 1 and wait(), which returns when all have come. sum, most and least give every
// thread the result over one value from each; before gives a thread the sum of those of lower rank. Every thread of a
// team calls the same of these in the same order.
#pragma once

#include <bit>
#include <cstdint>

#ifdef __CUDACC__
#define MERGE_KERNEL __device__ __forceinline__
#else
#define MERGE_KERNEL inline
#endif

namespace merge::kernels {

// The upper half of a float32.
struct Bfloat16 {
  uint16_t bits;
};

MERGE_KERNEL float widened(float value) { return value; }
MERGE_KERNEL float widened(Bfloat16 value) { return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16); }

MERGE_KERNEL void put(float& place, float value) { place = value; }
// To the nearest, to the even one of two equally near; what is no number stays none.
MERGE_KERNEL void put(Bfloat16& place, float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  place.bits = value != value ? 0x7fc0 : static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// Row r of packed values is places begin .. end.
struct Row {
  int64_t begin, end;
  MERGE_KERNEL int64_t length() const { return end - begin; }
};

MERGE_KERNEL Row row_of(const int64_t* offsets, int64_t r) { return {offsets[r], offsets[r + 1]}; }

}  // namespace merge::kernels
