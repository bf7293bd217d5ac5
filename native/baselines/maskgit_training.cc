// Training: one pass over sources and masked targets in micro-batches; means over all masks, and all sources, of the
// step.
#include "baselines/maskgit_training.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "error.h"
#include "nn/packed.h"
#include "nn/product.h"

namespace merge::baselines {
namespace {

// Which positions of a micro-batch are asked, and what they should say.
struct Asked {
  Rows sources, drafts;
  std::vector<int64_t> masks, tokens;        // positions of masks, and what stands behind them
  std::vector<int64_t> begins, differences;  // positions of first markers, and the classes of lengths
};

bool has_source(const TrainBatch& batch, int64_t r) { return batch.conditions.length(r) > 1; }

Asked asked_of(const TrainBatch& batch, const MaskGitOptions& options, int64_t first, int64_t last) {
  Asked asked;
  int64_t begin = 0;
  for (int64_t r = first; r < last; ++r) {
    const auto source = batch.conditions.row(r), draft = batch.drafts.row(r), target = batch.targets.row(r);
    asked.sources.append(source);
    asked.drafts.append(draft);
    for (size_t i = 0; i < draft.size(); ++i) {
      if (draft[i] != options.mask) continue;
      asked.masks.push_back(begin + static_cast<int64_t>(source.size() + i));
      asked.tokens.push_back(target[i]);
    }
    if (has_source(batch, r)) {
      asked.begins.push_back(begin);
      // Decision: differences beyond the range count as the outermost ones.
      const int64_t difference = static_cast<int64_t>(target.size()) - source_length(batch.conditions, r);
      const int64_t range = options.length_range;
      asked.differences.push_back(range + std::clamp(difference, -range, range));
    }
    begin += static_cast<int64_t>(source.size() + draft.size());
  }
  return asked;
}

}  // namespace

Record run_maskgit(const MaskGit& model, const Record& step, const TrainBatch& batch, bool learn,
                   const std::atomic<bool>& cancelled) {
  const MaskGitOptions& options = model.options();
  const at::Device device = model.placement().device;
  const double weight_length = step.number("weightLength"), smoothing = step.number("labelSmoothing");
  const int64_t rows = batch.targets.count(), parts = std::min(step.integer("accumulation"), rows);
  const auto masks =
      static_cast<double>(std::count(batch.drafts.tokens.begin(), batch.drafts.tokens.end(), options.mask));
  double sources = 0;
  for (int64_t r = 0; r < rows; ++r) sources += has_source(batch, r) ? 1 : 0;
  double token = 0, length = 0, filled = 0, measured = 0;
  for (int64_t part = 0; part < parts; ++part) {
    if (cancelled.load()) throw Error("ERR_ABORTED", "the step was cancelled");
    // 1) sources and masked targets, read together
    const Asked asked = asked_of(batch, options, rows * part / parts, rows * (part + 1) / parts);
    const Tensor hidden_TD = model.forward_pairs(asked.sources, asked.drafts);
    Tensor loss = at::zeros({}, hidden_TD.options().dtype(nn::widen(hidden_TD).scalar_type()));
    Tensor token_sum = loss, length_sum = loss;
    nn::HeadLoss token_said, length_said;
    Tensor tokens_M, differences_L;
    // 2) the tokens behind masks
    if (!asked.masks.empty()) {
      tokens_M = nn::index_tensor(asked.tokens, device);
      token_said = model.head().loss(hidden_TD.index_select(0, nn::index_tensor(asked.masks, device)), tokens_M,
                                     {.smoothing = smoothing});
      token_sum = token_said.loss_M.sum();
      loss = loss + token_sum / masks;
    }
    // 3) the length, from the source alone
    if (!asked.begins.empty()) {
      differences_L = nn::index_tensor(asked.differences, device);
      length_said = nn::logits_loss(
          model.length_logits(hidden_TD.index_select(0, nn::index_tensor(asked.begins, device))), differences_L, 0);
      length_sum = length_said.loss_M.sum();
      loss = loss + weight_length * length_sum / sources;
    }
    // sync: a bad loss must stop before it reaches the weights.
    const double value = loss.item<double>();
    if (!std::isfinite(value)) {
      throw Error("ERR_NONFINITE", "loss: expected a finite number, received " + std::to_string(value) + " at step " +
                                       std::to_string(step.integer("step")));
    }
    if (learn && loss.requires_grad()) torch::autograd::backward({loss}, {});
    // 4) what it says
    at::NoGradGuard no_grad;
    const auto right = [](const nn::HeadLoss& said, const Tensor& wanted) {
      return said.best_M.defined() ? static_cast<double>(said.best_M.eq(wanted).sum().item<int64_t>()) : 0.0;
    };
    token += masks > 0 ? token_sum.item<double>() / masks : 0;
    length += sources > 0 ? length_sum.item<double>() / sources : 0;
    filled += right(token_said, tokens_M);
    measured += right(length_said, differences_L);
  }
  Record report;
  report.set("total", token + weight_length * length);
  report.set("token", token);
  report.set("length", length);
  report.set("tokens", static_cast<int64_t>(batch.conditions.tokens.size() + batch.targets.tokens.size()));
  report.set("masks", masks);
  report.set("fillAccuracy", masks > 0 ? filled / masks : 0);
  report.set("lengthAccuracy", sources > 0 ? measured / sources : 0);
  report.set("hostSeconds", 0.0);
  return report;
}

}  // namespace merge::baselines
