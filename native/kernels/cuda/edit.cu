// Drop, insert and the edit oracle: a block for each row or pair of rows.
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/row_blocks.cuh"
#include "kernels/team/align.h"
#include "kernels/team/edit.h"

namespace merge::kernels {

int launch_drop(Launch launch, const int32_t* tokens, const uint8_t* keep, int32_t* out, int32_t* source,
                PackedRows rows, const int64_t* to) {
  return each_row(launch, rows, [=] __device__(BlockTeam& team, int64_t r, Row row) {
    drop_row(team, tokens + row.begin, keep + row.begin, row.length(), out, source, to[r]);
  });
}

int launch_insert(Launch launch, const int32_t* tokens, const int32_t* source, const int32_t* counts, int32_t* out,
                  int32_t* out_source, int64_t* masks, int64_t* gaps, PackedRows rows, const int64_t* to,
                  const int64_t* first_masks, int32_t mask) {
  const Inserted inserted{out, out_source, masks, gaps};
  return each_row(launch, rows, [=] __device__(BlockTeam& team, int64_t r, Row row) {
    const int64_t first_gap = row.begin + r;  // every row before has one gap more than tokens
    insert_row(team, tokens + row.begin, source + row.begin, counts + first_gap, row.length(), inserted, to[r],
               first_masks[r], first_gap, mask);
  });
}

int launch_distance(Launch launch, const int32_t* x, const int32_t* y, PackedRows of_x, const int64_t* offsets_y,
                    int32_t* room, const int64_t* rooms, int32_t* distances) {
  return each_row(launch, of_x, [=] __device__(BlockTeam& team, int64_t r, Row row) {
    const Row other = row_of(offsets_y, r);
    const Pair pair{x + row.begin, y + other.begin, row.length(), other.length()};
    const int32_t distance = distance_pair(team, pair, room + rooms[r]);
    if (team.rank() == 0) distances[r] = distance;
  });
}

int launch_align(Launch launch, const int32_t* x, const int32_t* y, PackedRows of_x, const int64_t* offsets_y,
                 int32_t* apart, int32_t* joined, const int64_t* rooms, int32_t* partner) {
  return each_row(launch, of_x, [=] __device__(BlockTeam& team, int64_t r, Row row) {
    const Row other = row_of(offsets_y, r);
    const Pair pair{x + row.begin, y + other.begin, row.length(), other.length()};
    align_pair(team, pair, Suffixes{apart + rooms[r], joined + rooms[r]}, partner + row.begin);
  });
}

}  // namespace merge::kernels
