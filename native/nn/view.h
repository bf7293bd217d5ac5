// View: what a stack of blocks must know about packed rows: where they begin and how their positions see each other.
#pragma once

#include "ops/tensor.h"

namespace merge::nn {

struct View {
  Offsets offsets;
  Tensor angles_TK;  // rotary angles of ops::rope_angles; undefined: positions do not turn
  Tensor bias;       // [1 or H, S], added to the scores of ops::ragged_attention; undefined: none
};

}  // namespace merge::nn
