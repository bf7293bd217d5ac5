// LevtFamily: checks at the door.
#include "baselines/levt_family.h"

#include "baselines/levt_round.h"
#include "baselines/levt_training.h"
#include "checks.h"

namespace merge {
namespace {

// The draft is the only input of this family.
void refuse_conditions(const Rows& conditions) {
  expect_config(conditions.count() == 0,
                "conditions: expected none for a model of family levt, received " + std::to_string(conditions.count()));
}

}  // namespace

Record LevtFamily::run(const Record& step, const TrainBatch& batch, bool learn, const std::atomic<bool>& cancelled) {
  const baselines::LevtOptions& options = model_.options();
  check_rows("drafts", batch.drafts, options.encoder.vocabulary, options.max_length);
  check_rows("targets", batch.targets, options.encoder.vocabulary, options.max_length);
  expect_shape(batch.drafts.count() == batch.targets.count() && batch.targets.count() > 0,
               "batch: expected as many drafts as targets and at least one, received " +
                   std::to_string(batch.drafts.count()) + " and " + std::to_string(batch.targets.count()));
  refuse_conditions(batch.conditions);
  check_range(step, "accumulation", 1, 65536);
  for (const char* share : {"subsequence", "ownDeletion", "ownFill", "labelSmoothing", "countSmoothing"}) {
    check_range(step, share, 0, 1);
  }
  return baselines::run_levt(model_, step, batch, learn, cancelled);
}

std::map<std::string, Tensor> LevtFamily::inspect(const Rows& rows, const std::vector<std::string>& outputs) {
  check_rows("rows", rows, model_.options().encoder.vocabulary, model_.options().max_length);
  expect_shape(rows.count() > 0, "rows: expected at least one");
  const States states = model_.encode(rows);
  std::map<std::string, Tensor> values;
  for (const std::string& output : outputs) {
    if (output == "hidden")
      values[output] = states.hidden_TD;
    else if (output == "logits")
      values[output] = model_.head().logits(states.hidden_TD);
    else if (output == "keep")
      values[output] = model_.keep(states.hidden_TD);
    else if (output == "counts")
      values[output] = model_.placeholders(states);
    else
      throw Error("ERR_INPUT", "outputs: expected hidden, logits, keep or counts, received " + output);
  }
  return values;
}

RoundOutput LevtFamily::refine_round(const Record& options, const RoundInput& input) {
  const baselines::LevtOptions& model = model_.options();
  check_rows("rows", input.rows, model.encoder.vocabulary, model.max_length);
  const size_t tokens = input.rows.tokens.size(), gaps = tokens + static_cast<size_t>(input.rows.count());
  expect_shape(input.rows.count() > 0, "rows: expected at least one");
  expect_shape(input.locked_N.size() == tokens, "locked: expected " + std::to_string(tokens) + " flags, received " +
                                                    std::to_string(input.locked_N.size()));
  expect_shape(input.open_G.size() == gaps,
               "open: expected " + std::to_string(gaps) + " flags, received " + std::to_string(input.open_G.size()));
  refuse_conditions(input.conditions);
  check_range(options, "shift", -1, static_cast<double>(model.encoder.vocabulary - 1));
  check_range(options, "keepThreshold", 0, 1);
  check_range(options, "emptyPenalty", 0, 1e6);
  return baselines::refine_levt(model_, options, input);
}

}  // namespace merge
