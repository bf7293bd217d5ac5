// Tiles: four sums of 16 x 16, two tiles of each operand.
#include "kernels/tiles.h"

#if defined(__x86_64__) && defined(__linux__)
#define MERGE_HAS_TILES 1
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace merge::kernels {

#ifdef MERGE_HAS_TILES

namespace {

constexpr long kRequestPermission = 0x1023,
               kTileData = 18;  // arch_prctl: the kernel keeps tiles for who asked for them

// What ldtilecfg reads: every register has 16 lines of 64 bytes.
struct alignas(64) Layout {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t line_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t lines[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
const Layout
    kLayout;  // in memory: compilers take the instruction to read eight bytes and drop the others of a local one

bool find_tiles() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  const bool has_bfloat16 = (d >> 22 & 1) != 0, has_registers = (d >> 24 & 1) != 0;
  return has_bfloat16 && has_registers && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

__attribute__((target("amx-tile"))) void lay_out() { _tile_loadconfig(&kLayout); }
__attribute__((target("amx-tile"))) void release() { _tile_release(); }

}  // namespace

bool has_tiles() {
  static const bool found = find_tiles();
  return found;
}

TileRegisters::TileRegisters() { lay_out(); }
TileRegisters::~TileRegisters() { release(); }

__attribute__((target("amx-tile,amx-bf16"))) void multiply_tiles(int64_t n, int64_t k, const Half* a, const Half* b,
                                                                 float* c) {
  const auto a_line = static_cast<size_t>(k) * sizeof(Half), line = static_cast<size_t>(n) * sizeof(float);
  for (int64_t j = 0; j < n; j += 32) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t i = 0; i < k; i += 32) {
      _tile_loadd(4, a + i, a_line);
      _tile_loadd(5, a + 16 * k + i, a_line);
      _tile_loadd(6, b + i * n + 2 * j, line);
      _tile_loadd(7, b + i * n + 2 * j + 32, line);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c + j, line);
    _tile_stored(1, c + j + 16, line);
    _tile_stored(2, c + 16 * n + j, line);
    _tile_stored(3, c + 16 * n + j + 16, line);
  }
}

#else

bool has_tiles() { return false; }
TileRegisters::TileRegisters() = default;
TileRegisters::~TileRegisters() = default;
void multiply_tiles(int64_t, int64_t, const Half*, const Half*, float*) {}

#endif

}  // namespace merge::kernels
