// Drop and insert of packed rows as tensors: the edits of merge/edit.h where the rows lie on a device.
#pragma once

#include "ops/tensor.h"

namespace merge::ops {

// Packed rows on a device. tokens_N may have room behind the last row; how much is used only the device knows, so that
// nothing waits for it: offsets_B1 [rows + 1] (int64) says it.
struct DeviceRows {
  Tensor tokens_N;    // int32
  Tensor source_N;    // int32, index of each token in its row of X; -1 of a mask
  Tensor offsets_B1;  // int64
};

// Keeps the tokens of X [N] whose flag (uint8) is not 0.
DeviceRows drop_rows(const Tensor& tokens_N, const Tensor& keep_N, const Tensor& offsets_B1);
DeviceRows drop_rows_reference(const Tensor& tokens_N, const Tensor& keep_N, const Tensor& offsets_B1);

struct DeviceMasked {
  DeviceRows rows;
  Tensor masks_M, gaps_M;  // int64, packed place and packed gap of each mask
};

// Puts counts_G (int32, a row of n tokens has n + 1 gaps) masks into the gaps of S; `masks` is their number at most:
// how much room there is for them.
DeviceMasked insert_masks(const DeviceRows& skeleton, const Tensor& counts_G, int64_t masks, int32_t mask);
DeviceMasked insert_masks_reference(const DeviceRows& skeleton, const Tensor& counts_G, int64_t masks, int32_t mask);

}  // namespace merge::ops
