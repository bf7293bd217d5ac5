// CPU kernels of the LLaMA block: the loops that eager tensor code runs as many passes over memory.
#include "kernels/cpu.h"

#include <cmath>
#include <cstring>

#include "kernels/exp.h"

// One build serves every x86-64: the loader picks the widest version that the processor has.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define MERGE_VECTOR __attribute__((target_clones("avx512f", "avx2,fma", "default")))
#else
#define MERGE_VECTOR
#endif

namespace merge::kernels {
namespace {

// Independent partial sums let a reduction become vector code without reordering being left to the compiler.
constexpr int64_t kLanes = 16;

inline __attribute__((always_inline)) float sum_lanes(const float* lanes) {
  float total = 0;
  for (int64_t l = 0; l < kLanes; ++l) total += lanes[l];
  return total;
}

inline __attribute__((always_inline)) float dot(const float* a, const float* b, int64_t width) {
  float lanes[kLanes] = {0};
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] += a[i + l] * b[i + l];
  }
  float rest = 0;
  for (; i < width; ++i) rest += a[i] * b[i];
  return sum_lanes(lanes) + rest;
}

}  // namespace

MERGE_VECTOR void rms_norm_forward(const float* x, const float* weight, float* y, float* scale, int64_t begin,
                                   int64_t end, int64_t width, float epsilon) {
  for (int64_t t = begin; t < end; ++t) {
    const float* row = x + t * width;
    const float s = 1.0f / std::sqrt(dot(row, row, width) / static_cast<float>(width) + epsilon);
    scale[t] = s;
    float* out = y + t * width;
    for (int64_t i = 0; i < width; ++i) out[i] = row[i] * s * weight[i];
  }
}

MERGE_VECTOR void rms_norm_backward(const float* grad_y, const float* x, const float* weight, const float* scale,
                                    float* grad_x, float* grad_weight, int64_t begin, int64_t end, int64_t width) {
  for (int64_t t = begin; t < end; ++t) {
    const float* g = grad_y + t * width;
    const float* row = x + t * width;
    const float s = scale[t];
    float* out = grad_x + t * width;
    for (int64_t i = 0; i < width; ++i) out[i] = g[i] * weight[i];
    const float inner = dot(out, row, width) * s * s / static_cast<float>(width);
    for (int64_t i = 0; i < width; ++i) {
      out[i] = s * (out[i] - row[i] * inner);
      grad_weight[i] += g[i] * row[i] * s;
    }
  }
}

MERGE_VECTOR void swiglu_forward(const float* gate_up, float* y, int64_t begin, int64_t end, int64_t width) {
  for (int64_t t = begin; t < end; ++t) {
    const float* gate = gate_up + t * 2 * width;
    const float* up = gate + width;
    float* out = y + t * width;
    for (int64_t i = 0; i < width; ++i) out[i] = gate[i] / (1.0f + exp_fast(-gate[i])) * up[i];
  }
}

MERGE_VECTOR void swiglu_backward(const float* grad_y, const float* gate_up, float* grad_gate_up, int64_t begin,
                                  int64_t end, int64_t width) {
  for (int64_t t = begin; t < end; ++t) {
    const float* gate = gate_up + t * 2 * width;
    const float* up = gate + width;
    const float* g = grad_y + t * width;
    float* grad_gate = grad_gate_up + t * 2 * width;
    float* grad_up = grad_gate + width;
    for (int64_t i = 0; i < width; ++i) {
      const float sigmoid = 1.0f / (1.0f + exp_fast(-gate[i]));
      const float silu = gate[i] * sigmoid;
      grad_up[i] = g[i] * silu;
      grad_gate[i] = g[i] * up[i] * (sigmoid + silu * (1.0f - sigmoid));
    }
  }
}

MERGE_VECTOR void rope_rotate(const float* x, float* y, const float* cos_sin, int64_t begin, int64_t end, int64_t heads,
                              int64_t head_width, int64_t stride, float sign) {
  const int64_t half = head_width / 2;
  for (int64_t t = begin; t < end; ++t) {
    const float* cos_row = cos_sin + t * head_width;
    const float* sin_row = cos_row + half;
    for (int64_t h = 0; h < heads; ++h) {
      const float* in = x + t * stride + h * head_width;
      float* out = y + t * stride + h * head_width;
      for (int64_t i = 0; i < half; ++i) {
        const float a = in[i];
        const float b = in[i + half];
        const float s = sign * sin_row[i];
        out[i] = a * cos_row[i] - b * s;
        out[i + half] = b * cos_row[i] + a * s;
      }
    }
    const int64_t rotated = heads * head_width;
    if (x != y) std::memcpy(y + t * stride + rotated, x + t * stride + rotated, sizeof(float) * (stride - rotated));
  }
}

MERGE_VECTOR void mix_forward(const float* x, const float* weight, float* y, int64_t begin, int64_t end, int64_t taps,
                              int64_t width) {
  for (int64_t t = begin; t < end; ++t) {
    float* out = y + t * width;
    for (int64_t k = 0; k < taps; ++k) {
      const int64_t from = t + k - taps / 2;
      if (from < begin || from >= end) continue;
      const float* in = x + from * width;
      const float* w = weight + k * width;
      for (int64_t i = 0; i < width; ++i) out[i] += w[i] * in[i];
    }
  }
}

MERGE_VECTOR void mix_backward(const float* grad_y, const float* x, const float* weight, float* grad_x,
                               float* grad_weight, int64_t begin, int64_t end, int64_t taps, int64_t width) {
  for (int64_t t = begin; t < end; ++t) {
    const float* g = grad_y + t * width;
    for (int64_t k = 0; k < taps; ++k) {
      const int64_t from = t + k - taps / 2;
      if (from < begin || from >= end) continue;
      const float* in = x + from * width;
      const float* w = weight + k * width;
      float* out = grad_x + from * width;
      float* out_weight = grad_weight + k * width;
      for (int64_t i = 0; i < width; ++i) {
        out[i] += w[i] * g[i];
        out_weight[i] += in[i] * g[i];
      }
    }
  }
}

// Weights below e^-64 of the largest are 0: no float32 sum sees them, and those of hidden keys (-inf) would be
// subnormal numbers, which make every product with them a hundred times slower.
constexpr float kVanishing = -64.0f;

MERGE_VECTOR void softmax_rows(float* scores, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r) {
    float* row = scores + r * width;
    float top = row[0];
    for (int64_t i = 1; i < width; ++i) top = row[i] > top ? row[i] : top;
    for (int64_t i = 0; i < width; ++i) {
      const float below = row[i] - top;
      row[i] = below < kVanishing ? 0.0f : exp_fast(below);
    }
    float lanes[kLanes] = {0};
    int64_t i = 0;
    for (; i + kLanes <= width; i += kLanes) {
      for (int64_t l = 0; l < kLanes; ++l) lanes[l] += row[i + l];
    }
    float total = sum_lanes(lanes);
    for (; i < width; ++i) total += row[i];
    const float inverse = 1.0f / total;
    for (int64_t k = 0; k < width; ++k) row[k] *= inverse;
  }
}

MERGE_VECTOR void softmax_rows_backward(const float* probability, float* grad, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* p = probability + r * width;
    float* g = grad + r * width;
    const float inner = dot(p, g, width);
    for (int64_t i = 0; i < width; ++i) g[i] = p[i] * (g[i] - inner);
  }
}

}  // namespace merge::kernels
