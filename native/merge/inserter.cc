// D2, the inserter: the pair feature [h_j; h_{j+1}] W is two projections and one addition.
#include "merge/inserter.h"

#include "ops/rms_norm.h"

namespace merge {

Inserter::Inserter(nn::Parameters& parameters, const std::string& kind, int64_t max_insert,
                   const nn::BlockOptions& options)
    : epsilon_(options.norm_epsilon) {
  if (kind == "block") {
    block_ = std::make_unique<nn::Block>(parameters, "inserter.block", options);
    norm_ = parameters.add("inserter.norm.weight", {options.width}, {.value = 1});
  }
  const int64_t outputs = max_insert + 2;  // the score, then the counts
  left_ = parameters.add("inserter.left.weight", {outputs, options.width}, {.deviation = options.deviation});
  right_ = parameters.add("inserter.right.weight", {outputs, options.width}, {.deviation = options.deviation});
  bias_ = parameters.add("inserter.bias", {outputs}, {.value = 0});
}

Inserter::Output Inserter::forward(const Tensor& kept_SD, const nn::View& view) const {
  const Tensor states = nn::widen(block_ ? ops::rms_norm(block_->forward(kept_SD, view), norm_, epsilon_) : kept_SD);
  // Gap g of row r lies between positions offsets[r] + g and the next one.
  std::vector<int64_t> lefts;
  lefts.reserve(static_cast<size_t>(view.offsets.back()));
  for (size_t r = 0; r + 1 < view.offsets.size(); ++r) {
    for (int64_t t = view.offsets[r]; t + 1 < view.offsets[r + 1]; ++t) lefts.push_back(t);
  }
  const Tensor left_G = nn::index_tensor(lefts, kept_SD.device());
  const Tensor gaps_GC = at::addmm(bias_, states, left_.t()).index_select(0, left_G) +
                         at::mm(states, right_.t()).index_select(0, left_G + 1);
  return {gaps_GC.select(1, 0), gaps_GC.narrow(1, 1, gaps_GC.size(1) - 1)};
}

}  // namespace merge
