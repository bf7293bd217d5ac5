#pragma once
#include "ops/tensor.h"
#include "rows.h"
namespace merge {
Tensor axe_loss(const Tensor& logits_PV, const Offsets& offsets, const Rows& y);
Tensor oaxe_loss(const Tensor& logits_PV, const Offsets& offsets, const Rows& y);
Tensor ctc_loss(const Tensor& logits_PV, const Offsets& offsets, const Rows& y, int64_t blank);
}  // namespace merge
