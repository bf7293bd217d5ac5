// RemediFamily: checks at the door.
#include "remedi/remedi_family.h"

#include "checks.h"
#include "remedi/copies.h"
#include "remedi/sft.h"

namespace merge {

Record RemediFamily::run(const Record& step, const TrainBatch& batch, bool learn, const std::atomic<bool>& cancelled) {
  check_range(step, "blockLength", 1, 65536);
  check_range(step, "accumulation", 1, 65536);
  check_range(step, "confidenceSmoothing", 0, 1);
  remedi::check_copies(model_.options(), batch.targets, batch.drafts, step.integer("blockLength"));
  return remedi::run_sft(model_, step, batch, learn, cancelled);
}

std::map<std::string, Tensor> RemediFamily::inspect(const Rows& rows, const std::vector<std::string>& outputs) {
  const remedi::ModelOptions& options = model_.options();
  check_rows("rows", rows, options.vocabulary, options.max_length);
  expect_shape(!rows.tokens.empty(), "rows: expected at least one token");
  const remedi::Streams streams = model_.forward(model_.sequence(rows));
  std::map<std::string, Tensor> values;
  for (const std::string& output : outputs) {
    if (output == "hidden")
      values[output] = streams.hidden_TD;
    else if (output == "logits")
      values[output] = model_.logits(streams.hidden_TD);
    else if (output == "confidence")
      values[output] = streams.confidence_T;
    else
      throw Error("ERR_INPUT", "outputs: expected hidden, logits or confidence, received " + output);
  }
  return values;
}

}  // namespace merge
