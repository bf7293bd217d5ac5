// D2, the inserter: how many masks each gap of a skeleton gets, and how much it wants them (spec section 1).
#pragma once

#include <memory>

#include "nn/bi_gru.h"
#include "nn/encoder.h"

namespace merge {

// Where the number of masks comes from (spec section 2): a count per gap, an expected count per gap, the row's total,
// shared out by the scores, one in each of the k best gaps, k by the seed's length difference, the same up to a
// length that the caller wants.
enum class CountSource { kCounts, kPoisson, kLength, kLiteral, kBudget };

CountSource count_source_of(const std::string& word);

class Inserter {
 public:
  // kind: "block" (one LLaMA block over the kept states), "linear" (none), "pointer" (one bidirectional GRU, as the
  // seed). Counts go from 0 to max_insert.
  Inserter(nn::Parameters& parameters, const std::string& kind, CountSource source, int64_t max_insert,
           const nn::BlockOptions& options);

  struct Output {
    Tensor score_G;   // alpha: how much a gap wants insertions
    Tensor count_GC;  // logits of the counts 0 .. max_insert; undefined for other sources than counts
    Tensor rate_G;    // log of the expected count of each gap (poisson); undefined otherwise
    Tensor total_B;   // log of the expected count of each row (length); undefined otherwise
  };
  // States of all rows, sentinels included, [T, D]; the gaps are those between neighbours of the same row among the
  // kept positions kept_S (undefined: all), rows by `offsets`.
  Output forward(const Tensor& states_TD, const nn::View& view, const Offsets& offsets,
                 const Tensor& kept_S = {}) const;

  bool has_block() const { return block_ != nullptr; }
  CountSource source() const { return source_; }
  int64_t max_insert() const { return max_insert_; }

 private:
  CountSource source_;
  int64_t max_insert_;
  double epsilon_;
  std::unique_ptr<nn::Block> block_;
  std::unique_ptr<nn::BiGru> gru_;
  Tensor norm_, query_, pointer_, left_, right_, bias_;
};

}  // namespace merge
