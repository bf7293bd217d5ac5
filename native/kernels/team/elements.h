// Kernels without a team, one element (or pair) for a thread: SwiGLU, RoPE, the straight-through coin.
#pragma once

#include <cmath>

#include "kernels/team/team.h"

namespace merge::kernels {

// Element i of [rows, width]; gate_up rows are [gate | up]. See ops/swiglu.h.
template <typename Value>
MERGE_KERNEL void swiglu_element(const Value* gate_up, Value* y, int64_t i, int64_t width) {
  const int64_t at_gate = i / width * 2 * width + i % width;
  const float gate = widened(gate_up[at_gate]), up = widened(gate_up[at_gate + width]);
  put(y[i], gate / (1.0f + std::exp(-gate)) * up);
}

template <typename Value>
MERGE_KERNEL void swiglu_element_backward(const Value* grad_y, const Value* gate_up, Value* grad, int64_t i,
                                          int64_t width) {
  const int64_t at_gate = i / width * 2 * width + i % width;
  const float gate = widened(gate_up[at_gate]), up = widened(gate_up[at_gate + width]), g = widened(grad_y[i]);
  const float sigmoid = 1.0f / (1.0f + std::exp(-gate)), silu = gate * sigmoid;
  put(grad[at_gate + width], g * silu);
  put(grad[at_gate], g * up * (sigmoid + silu * (1.0f - sigmoid)));
}

// A row of x [rows, stride]: the first heads turn, the rest passes. See ops/rope.h.
struct RopeShape {
  int64_t heads, head_width, stride;
  // How many places of a row there are to work on: pairs that turn, and values that pass.
  MERGE_KERNEL int64_t places() const { return stride - heads * head_width / 2; }
};

// Place i of all rows' places; cos_sin [rows, head_width] float32; `sign` -1 turns back.
template <typename Value>
MERGE_KERNEL void rope_place(const Value* x, Value* y, const float* cos_sin, int64_t i, RopeShape shape, float sign) {
  const int64_t places = shape.places(), t = i / places, place = i % places, half = shape.head_width / 2;
  const Value* in = x + t * shape.stride;
  Value* out = y + t * shape.stride;
  if (place >= shape.heads * half) {
    out[place + shape.heads * half] = in[place + shape.heads * half];
    return;
  }
  const int64_t k = place % half, first = place / half * shape.head_width + k;
  const float cosine = cos_sin[t * shape.head_width + k], sine = sign * cos_sin[t * shape.head_width + half + k];
  const float a = widened(in[first]), b = widened(in[first + half]);
  put(out[first], a * cosine - b * sine);
  put(out[first + half], b * cosine + a * sine);
}

// One logit: the coin, its relaxation and the slope of that. See kernels/samplers.h.
MERGE_KERNEL void bernoulli_element(float logit, double noise, double temperature, float* sample, float* relaxed,
                                    float* slope) {
  const double score = static_cast<double>(logit) + noise;
  const double small = std::exp(-std::abs(score) / temperature), whole = 1 + small;
  *sample = score > 0 ? 1.0f : 0.0f;
  *relaxed = static_cast<float>((score > 0 ? 1 : small) / whole);
  *slope = static_cast<float>(small / (whole * whole * temperature));
}

}  // namespace merge::kernels
