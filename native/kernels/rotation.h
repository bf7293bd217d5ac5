// What rope and attention do to a head: its first half and its second are the two coordinates that turn.
#pragma once

#include "kernels/vector.h"

namespace merge::kernels {

// cos_sin: [cos | sin], `width` numbers; sign -1 turns back. out may be in.
template <typename Element>
MERGE_INLINE void rotate_head(const Element* in, Element* out, const float* cos_sin, int64_t width, float sign) {
  const int64_t half = width / 2;
  over_row<Numbers<Element>>(half, [&](int64_t i, auto read, auto write) __attribute__((always_inline)) {
    const auto a = read(in + i), b = read(in + half + i);
    const auto c = read(cos_sin + i), s = read(cos_sin + half + i) * sign;
    write(a * c - b * s, out + i);
    write(b * c + a * s, out + half + i);
  });
}

}  // namespace merge::kernels
