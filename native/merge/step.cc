// One training step: micro-batches, their rounds, and a backward pass for each window of rounds.
#include "merge/step.h"

#include <torch/csrc/autograd/autograd.h>

#include "merge/unroll.h"

namespace merge {
namespace {

Rows slice(const Rows& rows, int64_t begin, int64_t end) {
  Rows part;
  if (rows.count() == 0) return part;
  for (int64_t r = begin; r < end; ++r) part.append(rows.row(r));
  return part;
}

// What the next window gets of the last one: values, no gradient.
void stop_gradient(Way& way) {
  way.beside.relaxed = {};
  if (way.states.hidden_TD.defined()) way.states.hidden_TD = way.states.hidden_TD.detach();
}

}  // namespace

Record run_rounds(Model& model, const Record& step, const TrainBatch& batch, bool learn,
                  const std::atomic<bool>& cancelled) {
  const StepOptions options(step);
  const bool literal = model.options().literal;
  const int64_t rows = batch.drafts.count(), parts = std::min(options.accumulation, rows);
  Tally tally;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t begin = rows * part / parts, end = rows * (part + 1) / parts;
    // A micro-batch weighs as its rows, a round as one of those that run (H25).
    const double scale =
        static_cast<double>(end - begin) / static_cast<double>(rows) / static_cast<double>(options.rounds);
    Way way{slice(batch.drafts, begin, end),
            slice(batch.targets, begin, end),
            {slice(batch.conditions, begin, end), {}},
            {}};
    Tensor window;  // the loss of the rounds since the last backward pass
    for (int64_t round = 0; round < options.rounds; ++round) {
      if (cancelled.load()) throw Error("ERR_ABORTED", "the step was cancelled");
      const RoundDraw draw{
          {options.seed, options.step, static_cast<uint64_t>(part * 64 + round)}, round, round + 1 == options.rounds};
      if (round == 0 && options.own_fill > 0) {
        way.x = own_fill(model, way.x, way.y, way.beside.conditions, options.own_fill, draw.draws);
      }
      RoundLoss done = literal ? literal_round(model, options, way, draw, scale, tally)
                               : aligned_round(model, options, way, draw, scale, tally);
      window = window.defined() ? window + done.total : done.total;
      way = std::move(done.next);
      if (!draw.is_last && (round + 1) % options.window != 0) continue;
      if (learn) torch::autograd::backward({window * scale}, {});
      window = Tensor();
      stop_gradient(way);
    }
  }
  return tally.report(batch);
}

}  // namespace merge
