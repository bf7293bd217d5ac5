// D2, the inserter: how many masks each gap of a skeleton gets, and how much it wants them (spec section 1).
#pragma once

#include <memory>

#include "nn/encoder.h"

namespace merge {

class Inserter {
 public:
  // kind: "block" (one LLaMA block over the kept states) or "linear". Counts go from 0 to max_insert.
  Inserter(nn::Parameters& parameters, const std::string& kind, int64_t max_insert, const nn::BlockOptions& options);

  struct Output {
    Tensor score_G;   // alpha: how much a gap wants insertions
    Tensor count_GC;  // logits of the counts 0 .. max_insert
  };
  // Kept states of all rows, sentinels included: [S, D] -> gaps between neighbours of the same row.
  Output forward(const Tensor& kept_SD, const nn::View& view) const;

 private:
  double epsilon_;
  std::unique_ptr<nn::Block> block_;
  Tensor norm_, left_, right_, bias_;
};

}  // namespace merge
