// View: what a stack of blocks must know about packed rows: where they begin and how their positions see each other.
#pragma once

#include "ops/tensor.h"

namespace merge::nn {

struct View {
  Offsets offsets;
  Tensor positions_T;  // int64
  Tensor angles_TK;    // rotary angles of ops::rope_angles; undefined: positions do not turn
  Tensor bias;         // [1 or H, S], added to the scores of ops::ragged_attention; undefined: none
  // Softly deleted positions are no neighbours: the local mix sees these positions alone, in rows of these offsets.
  // Undefined: all positions.
  Tensor solid_T;
  Offsets solid_offsets;
};

}  // namespace merge::nn
