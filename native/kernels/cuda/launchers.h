// The launchers of the table, one for each of its functions; they are documented there.
#pragma once

#include "kernels/cuda_table.h"

namespace merge::kernels {

int launch_rms_norm_forward(Launch launch, ConstValues x, const float* weight, Values y, float* scale, int64_t rows,
                            int64_t width, float epsilon);
int launch_rms_norm_backward(Launch launch, ConstValues grad_y, ConstValues x, const float* weight, const float* scale,
                             Values grad_x, float* shares, int64_t share_count, int64_t rows, int64_t width);
int launch_swiglu_forward(Launch launch, ConstValues gate_up, Values y, int64_t rows, int64_t width);
int launch_swiglu_backward(Launch launch, ConstValues grad_y, ConstValues gate_up, Values grad, int64_t rows,
                           int64_t width);
int launch_rope_rotate(Launch launch, ConstValues x, Values y, const float* cos_sin, int64_t rows, int64_t heads,
                       int64_t head_width, int64_t stride, float sign);
int launch_row_mix(Launch launch, ConstValues x, const float* weight, Values y, PackedRows rows, int64_t taps,
                   int64_t width, bool flipped);
int launch_row_mix_weight_gradient(Launch launch, ConstValues grad_y, ConstValues x, float* shares, PackedRows rows,
                                   int64_t taps, int64_t width);
int launch_row_mean_max(Launch launch, ConstValues x, Values pooled, int64_t* where, PackedRows rows, int64_t width);
int launch_row_mean_max_backward(Launch launch, ConstValues grad, const int64_t* where, Values grad_x, PackedRows rows,
                                 int64_t width);
int launch_noise(Launch launch, Noise kind, Random random, double* out, PackedRows rows);
int launch_bernoulli_forward(Launch launch, const float* logits, const double* noise, float* sample, float* relaxed,
                             float* slope, int64_t count, double temperature);
int launch_pointer_forward(Launch launch, const double* scores, float* sample, float* relaxed, double* weights,
                           const int64_t* turns, const int64_t* k, PackedRows rows, double temperature);
int launch_pointer_backward(Launch launch, const float* grad_relaxed, const double* scores, const double* weights,
                            const int64_t* turns, const int64_t* k, double* room, float* grad_scores, PackedRows rows,
                            double temperature);
int launch_largest_remainder(Launch launch, const float* expected, float* counts, float* room, PackedRows rows);
int launch_drop(Launch launch, const int32_t* tokens, const uint8_t* keep, int32_t* out, int32_t* source,
                PackedRows rows, const int64_t* to);
int launch_insert(Launch launch, const int32_t* tokens, const int32_t* source, const int32_t* counts, int32_t* out,
                  int32_t* out_source, int64_t* masks, int64_t* gaps, PackedRows rows, const int64_t* to,
                  const int64_t* first_masks, int32_t mask);
int launch_distance(Launch launch, const int32_t* x, const int32_t* y, PackedRows of_x, const int64_t* offsets_y,
                    int32_t* room, const int64_t* rooms, int32_t* distances);
int launch_align(Launch launch, const int32_t* x, const int32_t* y, PackedRows of_x, const int64_t* offsets_y,
                 int32_t* apart, int32_t* joined, const int64_t* rooms, int32_t* partner);

}  // namespace merge::kernels
