// CPU kernels of the LLaMA block: the loops that eager tensor code runs as many passes over memory.
#include "kernels/cpu.h"

#include <cmath>
#include <cstring>

#include "kernels/rotation.h"
#include "kernels/vector.h"

namespace merge::kernels {
namespace {

MERGE_INLINE float dot(const float* a, const float* b, int64_t width) {
  Floats total{};
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) total += load(a + i) * load(b + i);
  float rest = 0;
  for (; i < width; ++i) rest += a[i] * b[i];
  return sum(total) + rest;
}

template <typename Element>
MERGE_INLINE void norm_rows(const Element* x, const float* weight, Element* y, float* scale, int64_t rows,
                            int64_t width, float epsilon) {
  for (int64_t t = 0; t < rows; ++t) {
    const Element* row = x + t * width;
    Element* out = y + t * width;
    Numbers<Element> squares{};
    over_row<Numbers<Element>>(width, [&](int64_t i, auto read, auto) __attribute__((always_inline)) {
      const auto values = read(row + i);
      squares = squares + values * values;
    });
    const float s = 1.0f / std::sqrt(sum(squares) / static_cast<float>(width) + epsilon);
    scale[t] = s;
    over_row<Numbers<Element>>(width, [&](int64_t i, auto read, auto write) __attribute__((always_inline)) {
      write(read(row + i) * s * read(weight + i), out + i);
    });
  }
}

template <typename Element>
MERGE_INLINE void swiglu_rows(const Element* gate_up, Element* y, int64_t rows, int64_t width) {
  for (int64_t t = 0; t < rows; ++t) {
    const Element* gate = gate_up + t * 2 * width;
    over_row<Numbers<Element>>(width, [&](int64_t i, auto read, auto write) __attribute__((always_inline)) {
      const auto g = read(gate + i);
      write(silu(g) * read(gate + width + i), y + t * width + i);
    });
  }
}

template <typename Element>
MERGE_INLINE void rotate_rows(const Element* x, Element* y, const float* cos_sin, int64_t rows, int64_t heads,
                              int64_t head_width, int64_t stride, float sign) {
  const int64_t rotated = heads * head_width;
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t at = t * stride + h * head_width;
      rotate_head(x + at, y + at, cos_sin + t * head_width, head_width, sign);
    }
    if (x != y) std::memcpy(y + t * stride + rotated, x + t * stride + rotated, sizeof(Element) * (stride - rotated));
  }
}

}  // namespace

MERGE_VECTOR void rms_norm_forward(const float* x, const float* weight, float* y, float* scale, int64_t rows,
                                   int64_t width, float epsilon) {
  norm_rows(x, weight, y, scale, rows, width, epsilon);
}

MERGE_VECTOR void rms_norm_forward(const Half* x, const float* weight, Half* y, float* scale, int64_t rows,
                                   int64_t width, float epsilon) {
  norm_rows(x, weight, y, scale, rows, width, epsilon);
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

MERGE_VECTOR void swiglu_forward(const float* gate_up, float* y, int64_t rows, int64_t width) {
  swiglu_rows(gate_up, y, rows, width);
}

MERGE_VECTOR void swiglu_forward(const Half* gate_up, Half* y, int64_t rows, int64_t width) {
  swiglu_rows(gate_up, y, rows, width);
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

MERGE_VECTOR void rope_rotate(const float* x, float* y, const float* cos_sin, int64_t rows, int64_t heads,
                              int64_t head_width, int64_t stride, float sign) {
  rotate_rows(x, y, cos_sin, rows, heads, head_width, stride, sign);
}

MERGE_VECTOR void rope_rotate(const Half* x, Half* y, const float* cos_sin, int64_t rows, int64_t heads,
                              int64_t head_width, int64_t stride, float sign) {
  rotate_rows(x, y, cos_sin, rows, heads, head_width, stride, sign);
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

MERGE_VECTOR void softmax_rows(float* scores, int64_t rows, int64_t width) {
  const int64_t whole = width / kLanes * kLanes;
  for (int64_t r = 0; r < rows; ++r) {
    float* row = scores + r * width;
    float top = row[0];
    if (whole > 0) {
      Floats tops = load(row);
      for (int64_t i = kLanes; i < whole; i += kLanes) {
        const Floats next = load(row + i);
        tops = next > tops ? next : tops;
      }
      top = largest(tops);
    }
    for (int64_t i = whole; i < width; ++i) top = row[i] > top ? row[i] : top;
    Floats totals{};
    for (int64_t i = 0; i < whole; i += kLanes) {
      const Floats below = load(row + i) - top;
      const Floats weight = below < kVanishing ? Floats{} : exp_fast(below);
      totals += weight;
      store(weight, row + i);
    }
    float total = sum(totals);
    for (int64_t i = whole; i < width; ++i) {
      const float below = row[i] - top;
      row[i] = below < kVanishing ? 0.0f : exp_fast(below);
      total += row[i];
    }
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
