// Training: one pass over whole rows in micro-batches, the mean over all learned tokens of the step.
#include "baselines/gpt_training.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "error.h"
#include "nn/packed.h"

namespace merge::baselines {

Record run_gpt(const Gpt& model, const Record& step, const TrainBatch& batch, bool learn,
               const std::atomic<bool>& cancelled) {
  const int64_t rows = batch.targets.count(), parts = std::min(step.integer("accumulation"), rows);
  const auto all = static_cast<double>(batch.drafts.tokens.size());
  double total = 0, right = 0;
  for (int64_t part = 0; part < parts; ++part) {
    if (cancelled.load()) throw Error("ERR_ABORTED", "the step was cancelled");
    // 1) rows without their last token; the learned ones are those behind the positions `asked`
    Rows read;
    std::vector<int64_t> asked, next;
    for (int64_t r = rows * part / parts; r < rows * (part + 1) / parts; ++r) {
      const auto whole = batch.targets.row(r);
      const auto learned = whole.last(batch.drafts.row(r).size());
      read.append(whole.first(whole.size() - 1));
      const int64_t first = read.offsets.back() - static_cast<int64_t>(learned.size());
      for (size_t i = 0; i < learned.size(); ++i) asked.push_back(first + static_cast<int64_t>(i));
      next.insert(next.end(), learned.begin(), learned.end());
    }
    // 2) the loss
    const nn::Sequence sequence = model.sequence(read);
    const at::Device device = sequence.tokens_T.device();
    const Tensor next_M = nn::index_tensor(next, device);
    const nn::HeadLoss said =
        model.head().loss(model.forward(sequence).index_select(0, nn::index_tensor(asked, device)), next_M);
    const Tensor loss = said.loss_M.mean();
    const double share = static_cast<double>(next.size()) / all;
    // sync: a bad loss must stop before it reaches the weights.
    const double value = loss.item<double>();
    if (!std::isfinite(value)) {
      throw Error("ERR_NONFINITE", "loss: expected a finite number, received " + std::to_string(value) + " at step " +
                                       std::to_string(step.integer("step")));
    }
    if (learn) torch::autograd::backward({loss * share}, {});
    // 3) what it says
    at::NoGradGuard no_grad;
    total += value * share;
    right += static_cast<double>(said.best_M.eq(next_M).sum().item<int64_t>());
  }
  Record report;
  report.set("total", total);
  report.set("token", total);
  report.set("tokens", static_cast<int64_t>(batch.targets.tokens.size()));
  report.set("learned", static_cast<int64_t>(batch.drafts.tokens.size()));
  report.set("tokenAccuracy", right / all);
  report.set("hostSeconds", 0.0);
  return report;
}

}  // namespace merge::baselines
