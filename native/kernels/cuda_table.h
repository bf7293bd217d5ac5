// The table of CUDA kernels that libmerge_cuda.so hands to the engine. No CUDA and no torch header: pointers are to
// memory of the device, streams are passed through. Every launcher returns 0 or CUDA's error code, and waits for
// nothing.
#pragma once

#include <cstdint>

#include "random.h"

namespace merge::kernels {

// Activations (`Values`) are float32 or bfloat16; weights, statistics and their gradients are float32.
enum class Element : int32_t { kFloat, kBfloat16 };
using Values = void*;
using ConstValues = const void*;

struct Launch {
  void* stream;
  Element element;
};

// Packed rows: offsets [rows + 1] on the device.
struct PackedRows {
  const int64_t* offsets;
  int64_t rows;
};

enum class Noise : int32_t { kLogistic, kGumbel };

struct CudaTable {
  int64_t version;
  const char* (*error_text)(int code);

  // ops/rms_norm.h: x, y [rows, width], scale [rows]; shares [share_count, width] of the weight's gradient.
  int (*rms_norm_forward)(Launch, ConstValues x, const float* weight, Values y, float* scale, int64_t rows,
                          int64_t width, float epsilon);
  int (*rms_norm_backward)(Launch, ConstValues grad_y, ConstValues x, const float* weight, const float* scale,
                           Values grad_x, float* shares, int64_t share_count, int64_t rows, int64_t width);
  // ops/swiglu.h: gate_up [rows, 2 width], y [rows, width].
  int (*swiglu_forward)(Launch, ConstValues gate_up, Values y, int64_t rows, int64_t width);
  int (*swiglu_backward)(Launch, ConstValues grad_y, ConstValues gate_up, Values grad, int64_t rows, int64_t width);
  // ops/rope.h: x, y [rows, stride], cos_sin [rows, head_width] float32.
  int (*rope_rotate)(Launch, ConstValues x, Values y, const float* cos_sin, int64_t rows, int64_t heads,
                     int64_t head_width, int64_t stride, float sign);
  // ops/row_mix.h: x, y [T, width], weight [taps, width]; shares [rows, taps, width]. `flipped` is the backward of x.
  int (*row_mix)(Launch, ConstValues x, const float* weight, Values y, PackedRows rows, int64_t taps, int64_t width,
                 bool flipped);
  int (*row_mix_weight_gradient)(Launch, ConstValues grad_y, ConstValues x, float* shares, PackedRows rows,
                                 int64_t taps, int64_t width);
  // ops/row_pool.h: x [T, width], pooled [rows, 2 width], where [rows, width].
  int (*row_mean_max)(Launch, ConstValues x, Values pooled, int64_t* where, PackedRows rows, int64_t width);
  int (*row_mean_max_backward)(Launch, ConstValues grad, const int64_t* where, Values grad_x, PackedRows rows,
                               int64_t width);

  // The samplers, kernels/samplers.h; all float32, noise and arithmetic double. `turns` says where the softmaxes of
  // each row begin in `weights`, whose rows are as long as the row has gaps.
  int (*noise)(Launch, Noise kind, Random random, double* out, PackedRows rows);
  int (*bernoulli_forward)(Launch, const float* logits, const double* noise, float* sample, float* relaxed,
                           float* slope, int64_t count, double temperature);
  int (*pointer_forward)(Launch, const double* scores, float* sample, float* relaxed, double* weights,
                         const int64_t* turns, const int64_t* k, PackedRows rows, double temperature);
  int (*pointer_backward)(Launch, const float* grad_relaxed, const double* scores, const double* weights,
                          const int64_t* turns, const int64_t* k, double* room, float* grad_scores, PackedRows rows,
                          double temperature);
  int (*largest_remainder)(Launch, const float* expected, float* counts, float* room, PackedRows rows);

  // ops/edit_rows.h: drop and insert. `to` says where each row begins in what is written.
  int (*drop)(Launch, const int32_t* tokens, const uint8_t* keep, int32_t* out, int32_t* source, PackedRows rows,
              const int64_t* to);
  int (*insert)(Launch, const int32_t* tokens, const int32_t* source, const int32_t* counts, int32_t* out,
                int32_t* out_source, int64_t* masks, int64_t* gaps, PackedRows rows, const int64_t* to,
                const int64_t* first_masks, int32_t mask);
  // ops/edit_distance.h: pairs of rows; `room` begins for each pair at rooms[r].
  int (*distance)(Launch, const int32_t* x, const int32_t* y, PackedRows of_x, const int64_t* offsets_y, int32_t* room,
                  const int64_t* rooms, int32_t* distances);
  int (*align)(Launch, const int32_t* x, const int32_t* y, PackedRows of_x, const int64_t* offsets_y, int32_t* apart,
               int32_t* joined, const int64_t* rooms, int32_t* partner);
};

// Grows with every change of the table; a library of another version is refused.
inline constexpr int64_t kCudaTableVersion = 1;
inline constexpr const char* kCudaTableSymbol = "merge_cuda_table";

}  // namespace merge::kernels
