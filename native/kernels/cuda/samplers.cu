// Noise, pointer and counts of the straight-through samplers: a block for each row.
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/row_blocks.cuh"
#include "kernels/noise.h"
#include "kernels/team/samplers.h"

namespace merge::kernels {

int launch_noise(Launch launch, Noise kind, Random random, double* out, PackedRows rows) {
  return each_row(launch, rows, [=] __device__(BlockTeam& team, int64_t r, Row row) {
    for (int64_t i = row.begin + team.rank(); i < row.end; i += team.size()) {
      const double uniform = random.uniform(static_cast<uint64_t>(r), static_cast<uint64_t>(i - row.begin));
      out[i] = kind == Noise::kLogistic ? logistic_noise(uniform) : gumbel_noise(uniform);
    }
  });
}

int launch_pointer_forward(Launch launch, const double* scores, float* sample, float* relaxed, double* weights,
                           const int64_t* turns, const int64_t* k, PackedRows rows, double temperature) {
  return each_row(launch, rows, [=] __device__(BlockTeam& team, int64_t r, Row row) {
    pointer_row(team, scores + row.begin, sample + row.begin, relaxed + row.begin, weights + turns[r], row.length(),
                k[r], temperature);
  });
}

int launch_pointer_backward(Launch launch, const float* grad_relaxed, const double* scores, const double* weights,
                            const int64_t* turns, const int64_t* k, double* room, float* grad_scores, PackedRows rows,
                            double temperature) {
  return each_row(launch, rows, [=] __device__(BlockTeam& team, int64_t r, Row row) {
    pointer_row_backward(team, grad_relaxed + row.begin, scores + row.begin, weights + turns[r], room + row.begin,
                         grad_scores + row.begin, row.length(), k[r], temperature);
  });
}

int launch_largest_remainder(Launch launch, const float* expected, float* counts, float* room, PackedRows rows) {
  return each_row(launch, rows, [=] __device__(BlockTeam& team, int64_t, Row row) {
    remainder_row(team, expected + row.begin, counts + row.begin, room + row.begin, row.length());
  });
}

}  // namespace merge::kernels
