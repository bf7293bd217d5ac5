// Products of bfloat16 matrices in the processor's tile registers (Intel AMX), for matrices that stay in its caches.
#pragma once

#include <cstdint>

#include "kernels/half.h"

namespace merge::kernels {

constexpr int64_t kTileRows = 32;  // of a product; its other sizes are multiples of it

// Whether the processor has them, and the system lets this process use them.
bool has_tiles();

// Lays out the tile registers of the calling thread, and frees them in the end; where has_tiles() alone.
class TileRegisters {
 public:
  TileRegisters();
  ~TileRegisters();
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
};

// c [32, n] = a [32, k] b, sums in float32; b is [k, n] with pairs of rows together, [k / 2][n][2]. All begin at a
// multiple of 64 bytes, else each line of a tile lies in two lines of the cache.
void multiply_tiles(int64_t n, int64_t k, const Half* a, const Half* b, float* c);

}  // namespace merge::kernels
