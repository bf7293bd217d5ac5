// Distances and alignments of pairs of packed rows on a device: what merge/oracle.h says, for rows that lie there.
#pragma once

#include "ops/tensor.h"

namespace merge::ops {

// Pairs of rows: tokens (int32) on one device, offsets on the host, because the room of the tables follows from them.
struct RowPairs {
  Tensor x_N, y_N;
  Offsets offsets_x, offsets_y;
};

// Levenshtein's distance of each pair, [B] int32.
Tensor edit_distances(const RowPairs& pairs);
Tensor edit_distances_reference(const RowPairs& pairs);

// The token of its row of Y that each token of X is matched with, -1 for none, [N] int32: the longest common
// subsequence with the most contiguous steps, then the leftmost. Rows have less than 2^15 tokens. CUDA alone; on the
// host it is merge/oracle.h that aligns.
Tensor aligned_rows(const RowPairs& pairs);

}  // namespace merge::ops
