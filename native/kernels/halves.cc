// Widening and narrowing: one loop each.
#include "kernels/halves.h"

#include "kernels/vector.h"

namespace merge::kernels {

MERGE_VECTOR void widen(const Half* from, float* to, int64_t count) {
  over_row<Twins>(
      count, [&](int64_t i, auto read, auto write) __attribute__((always_inline)) { write(read(from + i), to + i); });
}

MERGE_VECTOR void narrow(const float* from, Half* to, int64_t count) {
  over_row<Twins>(
      count, [&](int64_t i, auto read, auto write) __attribute__((always_inline)) { write(read(from + i), to + i); });
}

}  // namespace merge::kernels
