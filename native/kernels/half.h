// Half: the bits of a bfloat16 number, which are the upper half of those of a float32.
#pragma once

#include <cstdint>

namespace merge::kernels {

using Half = uint16_t;

}  // namespace merge::kernels
