// MergeFamily: checks at the door.
#include "merge/merge_family.h"

#include "checks.h"
#include "merge/pretrain.h"
#include "merge/round.h"
#include "merge/step.h"

namespace merge {

void MergeFamily::check_conditions(const Rows& conditions, const Rows& rows) const {
  const ModelOptions& options = model_.options();
  if (conditions.count() == 0) return;
  check_rows("conditions", conditions, options.encoder.vocabulary, 2 * options.max_length);
  expect_shape(conditions.count() == rows.count(), "conditions: expected none or " + std::to_string(rows.count()) +
                                                       ", received " + std::to_string(conditions.count()));
  if (options.encoder.positions != nn::Positions::kAbsolute) return;
  // A table of positions ends somewhere; the row behind its condition may grow to max_length.
  const int64_t longest = options.encoder.max_positions - options.max_length - 3;
  for (int64_t r = 0; r < conditions.count(); ++r) {
    if (conditions.length(r) > longest) {
      throw Error("ERR_INPUT", "conditions: row " + std::to_string(r) + ": expected at most " +
                                   std::to_string(std::max<int64_t>(0, longest)) +
                                   " tokens with absolute positions, received " + std::to_string(conditions.length(r)));
    }
  }
}

Record MergeFamily::run(const Record& step, const TrainBatch& batch, bool learn, const std::atomic<bool>& cancelled) {
  const ModelOptions& options = model_.options();
  check_rows("drafts", batch.drafts, options.encoder.vocabulary, options.max_length);
  check_rows("targets", batch.targets, options.encoder.vocabulary, options.max_length);
  expect_shape(batch.drafts.count() == batch.targets.count() && batch.targets.count() > 0,
               "batch: expected as many drafts as targets and at least one, received " +
                   std::to_string(batch.drafts.count()) + " and " + std::to_string(batch.targets.count()));
  check_conditions(batch.conditions, batch.drafts);
  check_range(step, "rounds", 1, 64);
  check_range(step, "window", 1, 64);
  check_range(step, "accumulation", 1, 65536);
  check_range(step, "labelSmoothing", 0, 1);
  check_range(step, "countSmoothing", 0, 1);
  check_range(step, "frozenLayers", 0, static_cast<double>(options.encoder.layers));
  check_range(step, "maskFrom", 0, 1);
  check_range(step, "maskTo", 0, 1);
  const bool pretrains = one_of(step, "task", {"merge", "pretrain"}) == "pretrain";
  if (learn) model_.let_learn({step.integer("frozenLayers"), !pretrains});
  return pretrains ? run_pretraining(model_, step, batch, learn, cancelled)
                   : run_rounds(model_, step, batch, learn, cancelled);
}

std::map<std::string, Tensor> MergeFamily::inspect(const Rows& rows, const std::vector<std::string>& outputs) {
  check_rows("rows", rows, model_.options().encoder.vocabulary, model_.options().max_length);
  expect_shape(rows.count() > 0, "rows: expected at least one");
  const Model::Reading reading = model_.read(rows);
  const Skeleton whole = drop(rows, std::vector<uint8_t>(rows.tokens.size(), 1));
  const auto gaps = [&] { return model_.gaps(reading.states, rows, whole); };
  std::map<std::string, Tensor> values;
  for (const std::string& output : outputs) {
    if (output == "hidden")
      values[output] = reading.states.hidden_TD;
    else if (output == "logits")
      values[output] = model_.head().logits(reading.states.hidden_TD);
    else if (output == "keep")
      values[output] = reading.keep_T;
    else if (output == "gate")
      values[output] = reading.gate_B;
    else if (output == "score")
      values[output] = gaps().score_G;
    else if (output == "counts" && model_.count_source() == CountSource::kCounts)
      values[output] = gaps().count_GC;
    else
      throw Error("ERR_INPUT", "outputs: expected hidden, logits, keep, gate, score or counts, received " + output);
  }
  return values;
}

RoundOutput MergeFamily::refine_round(const Record& options, const RoundInput& input) {
  const ModelOptions& model = model_.options();
  check_rows("rows", input.rows, model.encoder.vocabulary, model.max_length);
  const size_t tokens = input.rows.tokens.size(), gaps = tokens + static_cast<size_t>(input.rows.count());
  expect_shape(input.rows.count() > 0, "rows: expected at least one");
  expect_shape(input.locked_N.size() == tokens, "locked: expected " + std::to_string(tokens) + " flags, received " +
                                                    std::to_string(input.locked_N.size()));
  expect_shape(input.open_G.size() == gaps,
               "open: expected " + std::to_string(gaps) + " flags, received " + std::to_string(input.open_G.size()));
  one_of(options, "mode", {"auto", "edit", "gen"});
  check_range(options, "shift", -1, static_cast<double>(model.encoder.vocabulary - 1));
  check_range(options, "fillThreshold", 0, 1);
  check_range(options, "fillShare", 0, 1);
  check_range(options, "lengthRatio", 0, 1e6);
  check_range(options, "targetLength", 0, static_cast<double>(model.max_length));
  const CountSource source = count_source_of(options.word("countSource"));
  expect_config(source == model_.count_source() || source == CountSource::kLiteral || source == CountSource::kBudget,
                "countSource: expected the model's own, literal or budget, received " + options.word("countSource"));
  check_conditions(input.conditions, input.rows);
  check_range(options, "temperature", 0, 100);
  check_range(options, "topP", 0, 1);
  check_range(options, "maxLength", 0, static_cast<double>(model.max_length));
  const int64_t generation = options.integer("generation");
  if (model.encodings != 1 || generation < 0) {
    States unused;
    return refine_rows(model_, options, input, {}, unused);
  }
  States after;
  RoundOutput output = refine_rows(model_, options, input, states_before(generation, input), after);
  filled_[generation] = std::move(after);
  return output;
}

States MergeFamily::states_before(int64_t generation, const RoundInput& input) const {
  States states;
  if (input.parents_B.empty()) return states;
  expect_shape(static_cast<int64_t>(input.parents_B.size()) == input.rows.count(),
               "parents: expected none or " + std::to_string(input.rows.count()) + ", received " +
                   std::to_string(input.parents_B.size()));
  const auto found = filled_.find(generation);
  if (found == filled_.end()) throw Error("ERR_INPUT", "generation: expected one that has begun, received another");
  const States& filled = found->second;
  std::vector<int64_t> positions;
  states.offsets = {0};
  for (int64_t r = 0; r < input.rows.count(); ++r) {
    const int64_t parent = input.parents_B[r];
    expect_shape(parent >= 0 && parent + 1 < static_cast<int64_t>(filled.offsets.size()) &&
                     filled.offsets[parent + 1] - filled.offsets[parent] == input.rows.length(r) + 2,
                 "parents: row " + std::to_string(r) + " is not what the last round of its generation left");
    for (int64_t t = filled.offsets[parent]; t < filled.offsets[parent + 1]; ++t) positions.push_back(t);
    states.offsets.push_back(static_cast<int64_t>(positions.size()));
  }
  states.hidden_TD = filled.hidden_TD.index_select(0, nn::index_tensor(positions, model_.options().placement.device));
  return states;
}

void MergeFamily::forget(int64_t generation, const std::vector<int32_t>&) { filled_.erase(generation); }

int64_t MergeFamily::cache_bytes() const {
  int64_t bytes = 0;
  for (const auto& [generation, states] : filled_) bytes += static_cast<int64_t>(states.hidden_TD.nbytes());
  return bytes;
}

}  // namespace merge
