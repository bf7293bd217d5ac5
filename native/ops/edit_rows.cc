// Drop and insert: reference by repeat and select from basic ops, and the CUDA kernels.
#include "ops/edit_rows.h"

#include "ops/cuda.h"

namespace merge::ops {
namespace {

// 0 and the running sum of values, so that sums of rows are differences.
Tensor running(const Tensor& values) {
  return at::cat({at::zeros({1}, values.options().dtype(at::kLong)), values.cumsum(0, at::kLong)});
}

Tensor lengths_of(const Tensor& offsets_B1) {
  return offsets_B1.narrow(0, 1, offsets_B1.size(0) - 1) - offsets_B1.narrow(0, 0, offsets_B1.size(0) - 1);
}

// Number of the row of each of the first `count` values.
Tensor rows_of(const Tensor& offsets_B1, int64_t count) {
  const Tensor rows = at::arange(offsets_B1.size(0) - 1, offsets_B1.options());
  return at::repeat_interleave(rows, lengths_of(offsets_B1), 0, count);
}

void check(const char* name, const Tensor& tokens_N, const Tensor& flags, const Tensor& offsets_B1) {
  TORCH_CHECK(tokens_N.scalar_type() == at::kInt && offsets_B1.scalar_type() == at::kLong && offsets_B1.size(0) > 0 &&
                  flags.device() == tokens_N.device() && offsets_B1.device() == tokens_N.device(),
              name, ": expected int32 tokens and int64 offsets on one device, received ", tokens_N.scalar_type(),
              " and ", offsets_B1.scalar_type());
}

}  // namespace

DeviceRows drop_rows_reference(const Tensor& tokens_N, const Tensor& keep_N, const Tensor& offsets_B1) {
  const Tensor kept = keep_N.ne(0).nonzero().squeeze(1), rows_N = rows_of(offsets_B1, tokens_N.size(0));
  const Tensor source_N = kept - offsets_B1.index_select(0, rows_N.index_select(0, kept));
  return {tokens_N.index_select(0, kept), source_N.to(at::kInt), running(keep_N.ne(0)).index_select(0, offsets_B1)};
}

DeviceRows drop_rows(const Tensor& tokens_N, const Tensor& keep_N, const Tensor& offsets_B1) {
  check("drop_rows", tokens_N, keep_N, offsets_B1);
  if (!has_cuda_kernels(tokens_N.device())) return drop_rows_reference(tokens_N, keep_N, offsets_B1);
  const Tensor to = running(keep_N.ne(0)).index_select(0, offsets_B1);
  DeviceRows skeleton{at::empty_like(tokens_N), at::empty_like(tokens_N), to};
  launch(cuda_table().drop, tokens_N, tokens_N.const_data_ptr<int32_t>(), keep_N.const_data_ptr<uint8_t>(),
         skeleton.tokens_N.mutable_data_ptr<int32_t>(), skeleton.source_N.mutable_data_ptr<int32_t>(),
         packed_rows(offsets_B1), to.const_data_ptr<int64_t>());
  return skeleton;
}

DeviceMasked insert_masks_reference(const DeviceRows& skeleton, const Tensor& counts_G, int64_t masks, int32_t mask) {
  // Gap g of row r is followed by its token, the last gap of a row by none: so each gap is `counts` masks and a token,
  // and what would follow a last gap is left out.
  const Tensor& offsets = skeleton.offsets_B1;
  const int64_t rows = offsets.size(0) - 1, gaps = counts_G.size(0);
  const Tensor first_gaps = offsets + at::arange(rows + 1, offsets.options());
  const Tensor gap_rows = rows_of(first_gaps, gaps), gap = at::arange(gaps, offsets.options());
  const Tensor masks_before = running(counts_G), tokens_before = gap - gap_rows;
  const Tensor gap_of_mask = at::repeat_interleave(gap, counts_G.to(at::kLong), 0).narrow(0, 0, masks);
  const Tensor nth = at::arange(masks, offsets.options());
  const Tensor masks_M = nth + tokens_before.index_select(0, gap_of_mask);
  const Tensor to = offsets + masks_before.index_select(0, first_gaps);
  const int64_t used = gaps - rows;
  const Tensor token_gaps = gap.masked_select(gap.ne(first_gaps.index_select(0, gap_rows + 1) - 1));
  const Tensor places = at::arange(used, offsets.options()) + masks_before.index_select(0, token_gaps + 1);
  const auto of_mask = [&](const Tensor& tokens_N, int32_t value) {
    return at::full({used + masks}, value, tokens_N.options()).index_copy(0, places, tokens_N.narrow(0, 0, used));
  };
  return {{of_mask(skeleton.tokens_N, mask), of_mask(skeleton.source_N, -1), to}, masks_M, gap_of_mask};
}

DeviceMasked insert_masks(const DeviceRows& skeleton, const Tensor& counts_G, int64_t masks, int32_t mask) {
  check("insert_masks", skeleton.tokens_N, counts_G, skeleton.offsets_B1);
  if (!has_cuda_kernels(skeleton.tokens_N.device())) return insert_masks_reference(skeleton, counts_G, masks, mask);
  const Tensor& offsets = skeleton.offsets_B1;
  const Tensor first_gaps = offsets + at::arange(offsets.size(0), offsets.options());
  const Tensor first_masks = running(counts_G).index_select(0, first_gaps), to = offsets + first_masks;
  const int64_t room = skeleton.tokens_N.size(0) + masks;
  DeviceMasked masked{
      {at::full({room}, mask, skeleton.tokens_N.options()), at::full({room}, -1, skeleton.source_N.options()), to},
      at::empty({masks}, offsets.options()),
      at::empty({masks}, offsets.options())};
  launch(cuda_table().insert, skeleton.tokens_N, skeleton.tokens_N.const_data_ptr<int32_t>(),
         skeleton.source_N.const_data_ptr<int32_t>(), counts_G.const_data_ptr<int32_t>(),
         masked.rows.tokens_N.mutable_data_ptr<int32_t>(), masked.rows.source_N.mutable_data_ptr<int32_t>(),
         masked.masks_M.mutable_data_ptr<int64_t>(), masked.gaps_M.mutable_data_ptr<int64_t>(), packed_rows(offsets),
         to.const_data_ptr<int64_t>(), first_masks.const_data_ptr<int64_t>(), mask);
  return masked;
}

}  // namespace merge::ops
