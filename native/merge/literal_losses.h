#pragma once
#include "ops/tensor.h"
#include "rows.h"
namespace merge {
Tensor literal_recon(const Tensor& logits_PV, const Offsets& offsets, const Rows& y);
Tensor literal_compression(const Tensor& keep_logits_N, const Tensor& rows_N, const Tensor& gate_B, double reduction);
Tensor literal_pointer(const Tensor& score_G, const Tensor& rows_G, int64_t rows);
Tensor literal_gate(const Tensor& gate_logits_B, double cost);
Tensor literal_length(const Tensor& keep_logits_N, const Tensor& rows_N, int64_t rows);
}  // namespace merge
