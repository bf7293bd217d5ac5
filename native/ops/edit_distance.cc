// edit_distances: reference on the host, and the CUDA kernels of distance and alignment.
#include "ops/edit_distance.h"

#include <numeric>

#include "ops/cuda.h"
#include "ops/upload.h"

namespace merge::ops {
namespace {

constexpr int64_t kLongest = int64_t{1} << 15;

void check(const char* name, const RowPairs& pairs) {
  TORCH_CHECK(pairs.x_N.scalar_type() == at::kInt && pairs.y_N.scalar_type() == at::kInt &&
                  pairs.x_N.device() == pairs.y_N.device() && pairs.offsets_x.size() == pairs.offsets_y.size() &&
                  pairs.offsets_x.back() == pairs.x_N.size(0) && pairs.offsets_y.back() == pairs.y_N.size(0),
              name, ": expected as many rows of int32 tokens of X as of Y on one device, received ",
              pairs.offsets_x.size(), " and ", pairs.offsets_y.size(), " offsets");
  for (size_t r = 0; r + 1 < pairs.offsets_x.size(); ++r) {
    TORCH_CHECK(pairs.offsets_x[r + 1] - pairs.offsets_x[r] < kLongest &&
                    pairs.offsets_y[r + 1] - pairs.offsets_y[r] < kLongest,
                name, ": expected rows of less than 32768 tokens");
  }
}

// Where the room of each pair begins, and all of it at the end.
template <typename Room>
std::vector<int64_t> rooms_of(const RowPairs& pairs, Room room) {
  std::vector<int64_t> begins{0};
  for (size_t r = 0; r + 1 < pairs.offsets_x.size(); ++r) {
    begins.push_back(begins.back() +
                     room(pairs.offsets_x[r + 1] - pairs.offsets_x[r], pairs.offsets_y[r + 1] - pairs.offsets_y[r]));
  }
  return begins;
}

}  // namespace

Tensor edit_distances_reference(const RowPairs& pairs) {
  const Tensor x_N = pairs.x_N.to(at::kCPU).contiguous(), y_N = pairs.y_N.to(at::kCPU).contiguous();
  std::vector<int32_t> distances;
  for (size_t r = 0; r + 1 < pairs.offsets_x.size(); ++r) {
    const int32_t* x = x_N.const_data_ptr<int32_t>() + pairs.offsets_x[r];
    const int32_t* y = y_N.const_data_ptr<int32_t>() + pairs.offsets_y[r];
    const int64_t n = pairs.offsets_x[r + 1] - pairs.offsets_x[r], m = pairs.offsets_y[r + 1] - pairs.offsets_y[r];
    std::vector<int32_t> row(static_cast<size_t>(m) + 1);
    std::iota(row.begin(), row.end(), 0);
    for (int64_t i = 1; i <= n; ++i) {
      int32_t diagonal = row[0]++;
      for (int64_t j = 1; j <= m; ++j) {
        const int32_t both = diagonal + (x[i - 1] == y[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, both});
      }
    }
    distances.push_back(row.back());
  }
  return upload(distances, pairs.x_N.device());
}

Tensor edit_distances(const RowPairs& pairs) {
  check("edit_distances", pairs);
  if (!has_cuda_kernels(pairs.x_N.device())) return edit_distances_reference(pairs);
  const auto device = pairs.x_N.device();
  const auto begins = rooms_of(pairs, [](int64_t n, int64_t) { return 3 * (n + 1); });
  const Tensor rooms = upload(begins, device), of_x = upload(pairs.offsets_x, device);
  const Tensor of_y = upload(pairs.offsets_y, device), room = at::empty({begins.back()}, pairs.x_N.options());
  Tensor distances = at::empty({of_x.size(0) - 1}, pairs.x_N.options());
  launch(cuda_table().distance, pairs.x_N, pairs.x_N.const_data_ptr<int32_t>(), pairs.y_N.const_data_ptr<int32_t>(),
         packed_rows(of_x), of_y.const_data_ptr<int64_t>(), room.mutable_data_ptr<int32_t>(),
         rooms.const_data_ptr<int64_t>(), distances.mutable_data_ptr<int32_t>());
  return distances;
}

Tensor aligned_rows(const RowPairs& pairs) {
  check("aligned_rows", pairs);
  TORCH_CHECK(has_cuda_kernels(pairs.x_N.device()),
              "aligned_rows: expected rows on a GPU and its library of kernels, received ", pairs.x_N.device());
  const auto device = pairs.x_N.device();
  const auto begins = rooms_of(pairs, [](int64_t n, int64_t m) { return (n + 1) * (m + 1); });
  const Tensor rooms = upload(begins, device), of_x = upload(pairs.offsets_x, device);
  const Tensor of_y = upload(pairs.offsets_y, device), room = at::empty({2, begins.back()}, pairs.x_N.options());
  Tensor partner = at::empty_like(pairs.x_N);
  launch(cuda_table().align, pairs.x_N, pairs.x_N.const_data_ptr<int32_t>(), pairs.y_N.const_data_ptr<int32_t>(),
         packed_rows(of_x), of_y.const_data_ptr<int64_t>(), room.mutable_data_ptr<int32_t>(),
         room.mutable_data_ptr<int32_t>() + begins.back(), rooms.const_data_ptr<int64_t>(),
         partner.mutable_data_ptr<int32_t>());
  return partner;
}

}  // namespace merge::ops
