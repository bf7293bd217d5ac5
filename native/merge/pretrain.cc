// run_pretraining: micro-batches of masked rows, one encoding and one backward pass each.
#include "merge/pretrain.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "checks.h"
#include "merge/losses.h"
#include "merge/tally.h"

namespace merge {

MaskedRows masked_rows(const Rows& y, int32_t mask, double low, double high, const Random& random) {
  MaskedRows masked{y, {}, {}};
  for (int64_t r = 0; r < y.count(); ++r) {
    const int64_t length = y.length(r);
    const double share = low + (high - low) * random.uniform(r, 0);
    const int64_t count = std::min(length, std::max<int64_t>(1, std::llround(share * static_cast<double>(length))));
    // The tokens with the lowest draws; of equal ones the first.
    std::vector<int64_t> order(static_cast<size_t>(length));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return random.uniform(r, a + 1) < random.uniform(r, b + 1); });
    order.resize(static_cast<size_t>(count));
    std::sort(order.begin(), order.end());
    for (const int64_t i : order) {
      const int64_t place = y.offsets[r] + i;
      masked.places.push_back(place);
      masked.targets.push_back(y.tokens[place]);
      masked.rows.tokens[place] = mask;
    }
  }
  return masked;
}

Record run_pretraining(Model& model, const Record& step, const TrainBatch& batch, bool learn,
                       const std::atomic<bool>& cancelled) {
  const double low = step.number("maskFrom"), high = step.number("maskTo");
  expect_config(low <= high,
                "maskFrom: expected at most maskTo " + std::to_string(high) + ", received " + std::to_string(low));
  const double smoothing = step.number("labelSmoothing");
  const int64_t rows = batch.targets.count(), parts = std::min(step.integer("accumulation"), rows);
  const at::Device device = model.options().placement.device;
  Tally tally;
  for (int64_t part = 0; part < parts; ++part) {
    if (cancelled.load()) throw Error("ERR_ABORTED", "the step was cancelled");
    const int64_t begin = rows * part / parts, end = rows * (part + 1) / parts;
    const double scale = static_cast<double>(end - begin) / static_cast<double>(rows);
    Rows y;
    for (int64_t r = begin; r < end; ++r) y.append(batch.targets.row(r));
    const Random random(static_cast<uint64_t>(step.integer("seed")), static_cast<uint64_t>(step.integer("step")),
                        static_cast<uint64_t>(part), Purpose::kPretrainMask);
    const MaskedRows masked = masked_rows(y, model.options().mask, low, high, random);

    const States states = model.encode(masked.rows);
    std::vector<int64_t> positions;
    int64_t row = 0;
    for (const int64_t place : masked.places) {
      while (place >= y.offsets[row + 1]) ++row;
      positions.push_back(states.token(row, place - y.offsets[row]));
    }
    const Tensor targets_M = nn::index_tensor(masked.targets, device);
    const nn::HeadLoss said = model.head().loss(states.hidden_TD.index_select(0, nn::index_tensor(positions, device)),
                                                targets_M, {.smoothing = smoothing});
    const Tensor loss = recon_loss(said.loss_M);
    // sync: a bad loss must stop before it reaches the weights.
    const double value = loss.item<double>();
    if (!std::isfinite(value)) {
      throw Error("ERR_NONFINITE", "loss: expected a finite number, received " + std::to_string(value) + " at step " +
                                       std::to_string(step.integer("step")));
    }
    if (learn && loss.requires_grad()) torch::autograd::backward({loss * scale}, {});
    tally.recon += value * scale;
    tally.total += value * scale;
    tally.fill(said.best_M, targets_M);
    tally.positions += states.offsets.back();
    tally.passes += 1;
  }
  return tally.report(batch);
}

}  // namespace merge
