// MaskGit: construction from the configuration record, and who sees whom.
#include "baselines/maskgit.h"

#include <algorithm>
#include <cmath>

#include "checks.h"
#include "nn/packed.h"
#include "nn/product.h"

namespace merge::baselines {
namespace {

// What hides targets from sources: [1, S].
Tensor source_bias(const Offsets& offsets, const Rows& sources, at::Device device) {
  const auto begins = ops::square_offsets(offsets);
  Tensor bias = at::zeros({1, begins.back()}, at::kFloat);
  float* values = bias.mutable_data_ptr<float>();
  for (int64_t r = 0; r < sources.count(); ++r) {
    const int64_t n = offsets[r + 1] - offsets[r], own = sources.length(r);
    for (int64_t q = 0; q < own; ++q) {
      float* row = values + begins[r] + q * n;
      std::fill(row + own, row + n, -INFINITY);
    }
  }
  return bias.to(device);
}

}  // namespace

MaskGitOptions::MaskGitOptions(const Record& config)
    : stream(config), mask(special_id(config, "mask")), length_range(positive(config, "lengthRange")) {}

MaskGit::MaskGit(const Record& config)
    : options_(config),
      parameters_(config.integer("seed"), options_.stream.start()),
      stream_(parameters_, options_.stream) {
  const int64_t width = options_.stream.block.width;
  const double deviation = options_.stream.block.deviation;
  target_ = parameters_.add("target.weight", {width}, {.deviation = deviation});
  length_ = parameters_.add("length.weight", {2 * options_.length_range + 1, width}, {.deviation = deviation});
  parameters_.flatten(placement().weights(), placement().device);
}

nn::Sequence MaskGit::pairs(const Rows& sources, const Rows& targets) const {
  Rows rows;
  std::vector<int32_t> positions;
  std::vector<float> is_target;
  for (int64_t r = 0; r < sources.count(); ++r) {
    std::vector<int32_t> row(sources.row(r).begin(), sources.row(r).end());
    row.insert(row.end(), targets.row(r).begin(), targets.row(r).end());
    rows.append(row);
    const int64_t own = sources.length(r);
    for (int64_t i = 0; i < static_cast<int64_t>(row.size()); ++i) {
      positions.push_back(static_cast<int32_t>(i < own ? i : i - own + 1));
      is_target.push_back(i < own ? 0 : 1);
    }
  }
  nn::Sequence sequence = stream_.sequence(rows, positions);
  const Tensor flags_T = at::tensor(is_target, at::kFloat).to(placement().device, target_.scalar_type());
  sequence.added_TD = at::outer(flags_T, target_);
  return sequence;
}

nn::Sequence MaskGit::targets(const Rows& targets) const {
  nn::Sequence sequence = stream_.sequence(targets, std::vector<int64_t>(static_cast<size_t>(targets.count()), 1));
  sequence.added_TD = target_.unsqueeze(0);
  return sequence;
}

Tensor MaskGit::forward_pairs(const Rows& sources, const Rows& targets) const {
  const nn::Sequence sequence = pairs(sources, targets);
  const Tensor bias = source_bias(sequence.offsets, sources, placement().device);
  return stream_.forward(sequence, [&](int64_t, const Tensor& qkv) {
    return ops::ragged_attention(qkv, sequence.offsets, stream_.heads(), bias);
  });
}

Tensor MaskGit::remember(nn::KvCache& cache, const Rows& sources, const std::vector<int32_t>& slots) const {
  const nn::Sequence sequence = this->sources(sources);
  const Tensor hidden_TD = stream_.forward(sequence, [&](int64_t layer, const Tensor& qkv) {
    return cache.append(layer, qkv, sequence.offsets, slots, stream_.heads(), ops::Among::kAll);
  });
  cache.commit(sequence.offsets, slots);
  return hidden_TD;
}

Tensor MaskGit::forward_targets(const nn::KvCache& cache, const Rows& targets,
                                const std::vector<int32_t>& slots) const {
  const nn::Sequence sequence = this->targets(targets);
  return stream_.forward(sequence, [&](int64_t layer, const Tensor& qkv) {
    return cache.read(layer, qkv, sequence.offsets, slots, stream_.heads(), ops::Among::kAll);
  });
}

Tensor MaskGit::length_logits(const Tensor& hidden_BD) const { return nn::widen(nn::project(hidden_BD, length_)); }

}  // namespace merge::baselines
