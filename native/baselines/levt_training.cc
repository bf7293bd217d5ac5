// Training: three cross-entropies against the expert, one for each policy.
#include "baselines/levt_training.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "baselines/levt_rollin.h"
#include "error.h"
#include "merge/losses.h"
#include "merge/tally.h"

namespace merge::baselines {
namespace {

struct LevtStep {
  explicit LevtStep(const Record& step)
      : accumulation(step.integer("accumulation")),
        seed(static_cast<uint64_t>(step.integer("seed"))),
        number(static_cast<uint64_t>(step.integer("step"))),
        shares{step.number("subsequence"), step.number("ownDeletion"), step.number("ownFill")},
        deletion(step.number("weightDeletion")),
        placeholder(step.number("weightPlaceholder")),
        token(step.number("weightToken")),
        label_smoothing(step.number("labelSmoothing")),
        count_smoothing(step.number("countSmoothing")) {}

  int64_t accumulation;
  uint64_t seed, number;
  LevtShares shares;
  double deletion, placeholder, token;  // weights of the three losses
  double label_smoothing, count_smoothing;
};

Rows slice(const Rows& rows, int64_t begin, int64_t end) {
  Rows part;
  for (int64_t r = begin; r < end; ++r) part.append(rows.row(r));
  return part;
}

// Sums of a step; the report divides.
struct LevtTally {
  double total = 0, deletion = 0, placeholder = 0, token = 0, host_seconds = 0;
  int64_t tokens = 0, keeps_right = 0, gaps = 0, counts_right = 0, masks = 0, fills_right = 0;
  Reading reading;

  Record report() const {
    const auto share = [](int64_t right, int64_t of) {
      return of == 0 ? 1.0 : static_cast<double>(right) / static_cast<double>(of);
    };
    Record report;
    report.set("total", total);
    report.set("deletion", deletion);
    report.set("placeholder", placeholder);
    report.set("token", token);
    report.set("keepAccuracy", share(keeps_right, tokens));
    report.set("countAccuracy", share(counts_right, gaps));
    report.set("fillAccuracy", share(fills_right, masks));
    report.set("masks", masks);
    report.set("tokens", reading.positions);
    report.set("passes", reading.passes);
    report.set("hostSeconds", host_seconds);
    return report;
  }
};

States encoded(const Levt& model, const Rows& rows, Reading& reading) {
  reading.passes += 1;
  reading.positions += rows.offsets.back() + 2 * rows.count();
  return model.encode(rows);
}

// The weighted loss of a micro-batch; `scale` is its share of the step's rows.
Tensor loss_of(const Levt& model, const LevtStep& options, const Rows& x, const Rows& y, const Draws& draws,
               double scale, LevtTally& tally) {
  const LevtOptions& sizes = model.options();
  const auto device = sizes.placement.device;
  // 1) states for the insertion, and what the expert inserts there
  Insertion expert;
  Rows part;
  {
    Stopwatch host(tally.host_seconds);
    part = insertion_states(model, x, y, options.shares, draws, tally.reading);
    const Skeleton whole = drop(part, std::vector<uint8_t>(part.tokens.size(), 1));
    expert = oracle_insertion(whole, y, sizes.mask, sizes.max_insert);
  }

  // 2) placeholders
  const Tensor count_GC = model.placeholders(encoded(model, part, tally.reading));
  const Tensor counts_G = nn::index_tensor({expert.counts_G.begin(), expert.counts_G.end()}, device);
  const Tensor placeholder = count_loss(count_GC, counts_G, options.count_smoothing);

  // 3) tokens, at the expert's placeholders
  const Tensor targets_M = nn::index_tensor(expert.targets_M, device);
  Tensor token = at::zeros({}, placeholder.options());
  nn::HeadLoss said;
  std::vector<Tensor> drawn;
  if (!expert.targets_M.empty()) {
    nn::HeadLossOptions how{.smoothing = options.label_smoothing};
    if (options.shares.own_fill > 0) {
      how.look = [&](int64_t begin, const Tensor& logits_mV) {
        drawn.push_back(drawn_tokens(sizes, begin, logits_mV, draws));
      };
    }
    said = model.head().loss(mask_states(model, expert.masked, tally.reading), targets_M, how);
    token = recon_loss(said.loss_M);
  }

  // 4) deletion, on the draft or on what 3) would write
  Rows state;
  std::vector<uint8_t> keep;
  {
    Stopwatch host(tally.host_seconds);
    state =
        deletion_states(x, expert.masked, drawn.empty() ? Tensor() : at::cat(drawn), options.shares.own_fill, draws);
    keep = kept_tokens(state, y);
  }
  const States states = encoded(model, state, tally.reading);
  const Tensor keep_logits_N =
      model.keep(states.hidden_TD).index_select(0, nn::index_tensor(token_positions(states), device));
  const Tensor keep_N = nn::index_tensor({keep.begin(), keep.end()}, device);
  const Tensor deletion =
      keep.empty() ? keep_logits_N.sum()
                   : at::binary_cross_entropy_with_logits(keep_logits_N, keep_N.to(keep_logits_N.scalar_type()));
  const Tensor total = options.deletion * deletion + options.placeholder * placeholder + options.token * token;

  // 5) what it says
  at::NoGradGuard no_grad;
  tally.total += total.item<double>() * scale;
  tally.deletion += deletion.item<double>() * scale;
  tally.placeholder += placeholder.item<double>() * scale;
  tally.token += token.item<double>() * scale;
  tally.tokens += static_cast<int64_t>(keep.size());
  tally.keeps_right += keep_logits_N.gt(0).eq(keep_N.gt(0)).sum().item<int64_t>();
  tally.gaps += counts_G.numel();
  tally.counts_right += count_GC.argmax(1).eq(counts_G).sum().item<int64_t>();
  tally.masks += targets_M.numel();
  if (said.best_M.defined()) tally.fills_right += said.best_M.eq(targets_M).sum().item<int64_t>();
  return total;
}

}  // namespace

Record run_levt(const Levt& model, const Record& step, const TrainBatch& batch, bool learn,
                const std::atomic<bool>& cancelled) {
  const LevtStep options(step);
  const int64_t rows = batch.drafts.count(), parts = std::min(options.accumulation, rows);
  LevtTally tally;
  for (int64_t part = 0; part < parts; ++part) {
    if (cancelled.load()) throw Error("ERR_ABORTED", "the step was cancelled");
    const int64_t begin = rows * part / parts, end = rows * (part + 1) / parts;
    const double scale = static_cast<double>(end - begin) / static_cast<double>(rows);
    const Draws draws{options.seed, options.number, static_cast<uint64_t>(part)};
    const Tensor total =
        loss_of(model, options, slice(batch.drafts, begin, end), slice(batch.targets, begin, end), draws, scale, tally);
    // sync: a bad loss must stop before it reaches the weights.
    const double value = total.item<double>();
    if (!std::isfinite(value)) {
      throw Error("ERR_NONFINITE", "loss: expected a finite number, received " + std::to_string(value) + " at step " +
                                       std::to_string(options.number));
    }
    if (learn) torch::autograd::backward({total * scale}, {});
  }
  return tally.report();
}

}  // namespace merge::baselines
