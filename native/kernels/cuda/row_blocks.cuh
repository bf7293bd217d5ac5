// One block for each packed row.
#pragma once

#include "kernels/cuda/block.cuh"

namespace merge::kernels {

template <typename Body>
__global__ void row_kernel(PackedRows rows, Body body) {
  __shared__ double shared[kBlock / kWarp];
  BlockTeam team(shared);
  for (int64_t r = blockIdx.x; r < rows.rows; r += gridDim.x) body(team, r, row_of(rows.offsets, r));
}

// body(team, r, row) for each row.
template <typename Body>
int each_row(Launch launch, PackedRows rows, Body body) {
  row_kernel<<<blocks_for(rows.rows, 1), kBlock, 0, stream_of(launch)>>>(rows, body);
  return launched();
}

}  // namespace merge::kernels
