// SwiGLU: silu(gate) * up (Shazeer 2020).
#pragma once

#include "ops/tensor.h"

namespace merge::ops {

// gate_up [T, 2F] with the gate first -> [T, F].
Tensor swiglu(const Tensor& gate_up);
Tensor swiglu_reference(const Tensor& gate_up);

}  // namespace merge::ops
