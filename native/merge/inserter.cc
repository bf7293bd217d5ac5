// D2, the inserter: the pair feature [h_j; h_{j+1}] W is two projections and one addition.
#include "merge/inserter.h"

#include "checks.h"
#include "nn/product.h"
#include "ops/rms_norm.h"
#include "ops/row_pool.h"

namespace merge {
namespace {

// What stands behind the score in a gap's output.
int64_t columns_of(CountSource source, int64_t max_insert) {
  switch (source) {
    case CountSource::kCounts:
      return max_insert + 1;
    case CountSource::kPoisson:
    case CountSource::kLength:
      return 1;
    default:
      return 0;
  }
}

}  // namespace

CountSource count_source_of(const std::string& word) {
  if (word == "counts") return CountSource::kCounts;
  if (word == "poisson") return CountSource::kPoisson;
  if (word == "length") return CountSource::kLength;
  if (word == "literal") return CountSource::kLiteral;
  expect_config(word == "budget",
                "countSource: expected counts or poisson or length or literal or budget, received " + word);
  return CountSource::kBudget;
}

Inserter::Inserter(nn::Parameters& parameters, const std::string& kind, CountSource source, int64_t max_insert,
                   const nn::BlockOptions& options)
    : source_(source), max_insert_(max_insert), epsilon_(options.norm_epsilon) {
  int64_t outputs = 1 + columns_of(source, max_insert);  // the score, then the counts
  if (kind == "block") {
    block_ = std::make_unique<nn::Block>(parameters, "inserter.block", options);
    norm_ = parameters.add("inserter.norm.weight", {options.width}, {.value = 1});
  } else if (kind == "pointer") {
    // The seed's pointer: alpha_j = q^T W u_j with u_j = [forward h_j; backward h_{j+1}].
    gru_ = std::make_unique<nn::BiGru>(parameters, "inserter.gru", options.width, options.deviation);
    query_ = parameters.add("inserter.query.weight", {1, options.width}, {.deviation = options.deviation});
    pointer_ =
        parameters.add("inserter.pointer.weight", {options.width, 2 * options.width}, {.deviation = options.deviation});
    outputs -= 1;
  }
  if (outputs == 0) return;
  left_ = parameters.add("inserter.left.weight", {outputs, options.width}, {.deviation = options.deviation});
  right_ = parameters.add("inserter.right.weight", {outputs, options.width}, {.deviation = options.deviation});
  bias_ = parameters.add("inserter.bias", {outputs}, {.value = 0});
}

Inserter::Output Inserter::forward(const Tensor& states_TD, const nn::View& view, const Offsets& offsets,
                                   const Tensor& kept_S) const {
  Tensor states = block_ ? ops::rms_norm(block_->forward(states_TD, view), norm_, epsilon_) : states_TD;
  if (kept_S.defined()) states = states.index_select(0, kept_S);
  states = nn::widen(states);
  // Gap g of row r lies between its kept positions g and g + 1.
  std::vector<int64_t> lefts;
  Offsets gap_offsets{0};
  lefts.reserve(static_cast<size_t>(offsets.back()));
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    for (int64_t t = offsets[r]; t + 1 < offsets[r + 1]; ++t) lefts.push_back(t);
    gap_offsets.push_back(static_cast<int64_t>(lefts.size()));
  }
  const Tensor left_G = nn::index_tensor(lefts, states.device());
  Tensor left_states = states, right_states = states;
  if (gru_) {
    const auto directions = gru_->forward(states, offsets).chunk(2, 1);
    left_states = directions[0];
    right_states = directions[1];
  }
  Tensor gaps_GC;
  if (left_.defined()) {
    gaps_GC = at::addmm(bias_, left_states, left_.t()).index_select(0, left_G) +
              at::mm(right_states, right_.t()).index_select(0, left_G + 1);
  }
  Output output;
  int64_t first = 0;
  if (gru_) {
    const Tensor u_G2D = at::cat({left_states.index_select(0, left_G), right_states.index_select(0, left_G + 1)}, 1);
    output.score_G = at::mm(at::mm(u_G2D, pointer_.t()), query_.t()).squeeze(1);
  } else {
    output.score_G = gaps_GC.select(1, 0);
    first = 1;
  }
  if (source_ == CountSource::kCounts) output.count_GC = gaps_GC.narrow(1, first, max_insert_ + 1);
  if (source_ == CountSource::kPoisson) output.rate_G = gaps_GC.select(1, first);
  if (source_ == CountSource::kLength) {
    output.total_B = ops::row_mean_max(gaps_GC.narrow(1, first, 1), gap_offsets).select(1, 0);
  }
  return output;
}

}  // namespace merge
