// MaskGitFamily: checks at the door.
#include "baselines/maskgit_family.h"

#include <cmath>
#include <set>

#include "baselines/maskgit_filling.h"
#include "baselines/maskgit_training.h"
#include "checks.h"

namespace merge {
namespace {

using baselines::MaskGitOptions;

std::map<std::string, Tensor> values_of(const baselines::MaskGit& model, const Tensor& hidden_TD, const Tensor& lengths,
                                        const std::vector<std::string>& outputs) {
  std::map<std::string, Tensor> values;
  for (const std::string& output : outputs) {
    if (output == "hidden")
      values[output] = hidden_TD;
    else if (output == "logits")
      values[output] = model.head().logits(hidden_TD);
    else if (output == "length" && lengths.defined())
      values[output] = lengths;
    else
      throw Error("ERR_INPUT", std::string("outputs: expected hidden") +
                                   (lengths.defined() ? ", logits or length" : " or logits") + ", received " + output);
  }
  return values;
}

void check_whole(const char* name, double value) {
  expect_config(value >= 0 && value <= 9007199254740991.0 && value == std::floor(value),
                std::string(name) + ": expected whole numbers 0..2^53 - 1, received " + std::to_string(value));
}

// Positions are given, as to every family with a cache; here there is one choice.
void check_positions(const CachedRows& rows, int32_t first) {
  expect_shape(rows.positions.size() == rows.rows.tokens.size(),
               "positions: expected " + std::to_string(rows.rows.tokens.size()) + " numbers, received " +
                   std::to_string(rows.positions.size()));
  for (int64_t r = 0; r < rows.rows.count(); ++r) {
    for (int32_t i = rows.rows.offsets[r]; i < rows.rows.offsets[r + 1]; ++i) {
      const int32_t wanted = first + i - rows.rows.offsets[r];
      if (rows.positions[i] != wanted) {
        throw Error("ERR_INPUT", "positions: expected " + std::to_string(wanted) + " at " + std::to_string(i) +
                                     ", received " + std::to_string(rows.positions[i]));
      }
    }
  }
}

}  // namespace

void MaskGitFamily::check_sources(const char* name, const Rows& sources) const {
  const nn::TokenStreamOptions& options = model_.options().stream;
  check_rows(name, sources, options.vocabulary, options.max_length + MaskGitOptions::kMarkers);
  for (int64_t r = 0; r < sources.count(); ++r) {
    expect_shape(sources.length(r) >= 1,
                 std::string(name) + ": row " + std::to_string(r) + ": expected at least one token, received none");
  }
}

Record MaskGitFamily::run(const Record& step, const TrainBatch& batch, bool learn, const std::atomic<bool>& cancelled) {
  const nn::TokenStreamOptions& options = model_.options().stream;
  check_range(step, "accumulation", 1, 65536);
  check_range(step, "weightLength", 0, 1e6);
  check_range(step, "labelSmoothing", 0, 1);
  check_rows("targets", batch.targets, options.vocabulary, options.max_length);
  check_rows("drafts", batch.drafts, options.vocabulary, options.max_length);
  check_sources("conditions", batch.conditions);
  const int64_t rows = batch.targets.count();
  expect_shape(rows > 0 && batch.drafts.count() == rows && batch.conditions.count() == rows,
               "conditions, drafts: expected one row for each of " + std::to_string(rows) +
                   " targets, at least one, received " + std::to_string(batch.conditions.count()) + " and " +
                   std::to_string(batch.drafts.count()));
  for (int64_t r = 0; r < rows; ++r) {
    const auto draft = batch.drafts.row(r), target = batch.targets.row(r);
    bool agrees = draft.size() == target.size();
    for (size_t i = 0; agrees && i < draft.size(); ++i) {
      agrees = draft[i] == target[i] || draft[i] == model_.options().mask;
    }
    expect_shape(agrees, "drafts: row " + std::to_string(r) + ": expected the target with masks, received another row");
  }
  return baselines::run_maskgit(model_, step, batch, learn, cancelled);
}

std::map<std::string, Tensor> MaskGitFamily::inspect(const Rows& rows, const std::vector<std::string>& outputs) {
  check_sources("rows", rows);
  expect_shape(rows.count() > 0, "rows: expected at least one row");
  nn::KvCache cache(model_.options().stream.layers);
  std::vector<int32_t> slots;
  std::vector<int64_t> begins;
  for (int64_t r = 0; r < rows.count(); ++r) {
    slots.push_back(static_cast<int32_t>(r));
    begins.push_back(rows.offsets[r]);
  }
  const Tensor hidden_TD = model_.remember(cache, rows, slots);
  const Tensor markers = hidden_TD.index_select(0, at::tensor(begins, at::kLong).to(hidden_TD.device()));
  return values_of(model_, hidden_TD, model_.length_logits(markers), outputs);
}

std::map<std::string, Tensor> MaskGitFamily::inspect_behind(const Rows& prompts, const Rows& rows,
                                                            const std::string& way,
                                                            const std::vector<std::string>& outputs) {
  const nn::TokenStreamOptions& options = model_.options().stream;
  check_sources("prompts", prompts);
  check_rows("rows", rows, options.vocabulary, options.max_length);
  expect_shape(prompts.count() == rows.count() && !rows.tokens.empty(),
               "prompts: expected one for each of " + std::to_string(rows.count()) + " rows, received " +
                   std::to_string(prompts.count()));
  Tensor hidden_TD;
  if (way == "cached") {
    nn::KvCache cache(options.layers);
    std::vector<int32_t> slots;
    for (int64_t r = 0; r < rows.count(); ++r) slots.push_back(static_cast<int32_t>(r));
    model_.remember(cache, prompts, slots);
    hidden_TD = model_.forward_targets(cache, rows, slots);
  } else {
    const Tensor whole_TD = model_.forward_pairs(prompts, rows);
    std::vector<Tensor> parts;
    int64_t begin = 0;
    for (int64_t r = 0; r < rows.count(); ++r) {
      parts.push_back(whole_TD.narrow(0, begin + prompts.length(r), rows.length(r)));
      begin += prompts.length(r) + rows.length(r);
    }
    hidden_TD = at::cat(parts);
  }
  return values_of(model_, hidden_TD, {}, outputs);
}

LengthOutput MaskGitFamily::predict_lengths(const Record& options, const CachedRows& sources) {
  const MaskGitOptions& shape = model_.options();
  check_sources("sources", sources.rows);
  // So many lengths are possible whatever the source.
  check_range(options, "count", 1, static_cast<double>(std::min(shape.length_range, shape.stream.max_length) + 1));
  expect_shape(sources.rows.count() > 0 && static_cast<int64_t>(sources.slots.size()) == sources.rows.count() &&
                   std::set<int32_t>(sources.slots.begin(), sources.slots.end()).size() == sources.slots.size(),
               "slots: expected a different number for each of " + std::to_string(sources.rows.count()) +
                   " rows, at least one, received " + std::to_string(sources.slots.size()) + " numbers");
  check_positions(sources, 0);
  nn::KvCache& cache = caches_.try_emplace(sources.generation, shape.stream.layers).first->second;
  for (const int32_t slot : sources.slots) {
    expect_shape(cache.length(slot) == 0, "slots: expected new ones, received " + std::to_string(slot) + " again");
  }
  return baselines::measure(model_, cache, options, sources);
}

const nn::KvCache& MaskGitFamily::cache_of(const CachedRows& rows) const {
  const auto found = caches_.find(rows.generation);
  for (const int32_t slot : rows.slots) {
    expect_shape(found != caches_.end() && found->second.length(slot) > 0,
                 "slots: expected those of sources that were read, received " + std::to_string(slot));
  }
  return found->second;
}

void MaskGitFamily::check_fill(const Record& options, const DenoiseInput& input) const {
  const Rows& rows = input.blocks.rows;
  const nn::TokenStreamOptions& shape = model_.options().stream;
  const auto count = static_cast<size_t>(rows.count());
  check_rows("rows", rows, shape.vocabulary, shape.max_length);
  check_range(options, "temperature", 0, 100);
  check_range(options, "topP", 0, 1);
  check_range(options, "topK", 0, 1e9);
  check_range(options, "vocabulary", 2, static_cast<double>(shape.vocabulary));
  expect_shape(!rows.tokens.empty() && input.blocks.slots.size() == count,
               "slots: expected one for each of " + std::to_string(count) + " rows, received " +
                   std::to_string(input.blocks.slots.size()));
  check_positions(input.blocks, 1);
  expect_shape(input.fate_N.size() == rows.tokens.size(), "fate: expected " + std::to_string(rows.tokens.size()) +
                                                              " flags, received " +
                                                              std::to_string(input.fate_N.size()));
  for (size_t t = 0; t < rows.tokens.size(); ++t) {
    const bool fits = input.fate_N[t] == 0 || (input.fate_N[t] == 1 && rows.tokens[t] != model_.options().mask);
    if (!fits) throw Error("ERR_INPUT", "fate: expected 0, or 1 of a token that stays, at " + std::to_string(t));
  }
  for (const char* name : {"masks", "key", "draw", "noise", "confidence"}) {
    const size_t wanted = std::string(name) == "confidence" ? rows.tokens.size() : count;
    const auto column = input.columns_B.find(name);
    expect_config(column != input.columns_B.end(), std::string(name) + ": expected numbers, received none");
    expect_shape(column->second.size() == wanted, std::string(name) + ": expected " + std::to_string(wanted) +
                                                      " numbers, received " + std::to_string(column->second.size()));
    for (const double value : column->second) {
      if (wanted == count && std::string(name) != "noise") check_whole(name, value);
      expect_config(value >= 0, std::string(name) + ": expected numbers >= 0, received " + std::to_string(value));
    }
  }
  for (const int32_t id : input.forbidden) {
    if (id < 0 || id >= shape.vocabulary) {
      throw Error("ERR_INPUT", "forbidden: expected ids 0.." + std::to_string(shape.vocabulary - 1) + ", received " +
                                   std::to_string(id));
    }
  }
}

DenoiseOutput MaskGitFamily::denoise(const Record& options, const DenoiseInput& input) {
  check_fill(options, input);
  return baselines::fill(model_, cache_of(input.blocks), options, input);
}

void MaskGitFamily::forget(int64_t generation, const std::vector<int32_t>& slots) {
  const auto found = caches_.find(generation);
  if (found == caches_.end()) return;
  for (const int32_t slot : slots) found->second.drop(slot);
  if (slots.empty() || found->second.empty()) caches_.erase(found);
}

int64_t MaskGitFamily::cache_bytes() const {
  int64_t bytes = 0;
  for (const auto& [generation, cache] : caches_) bytes += cache.bytes();
  return bytes;
}

}  // namespace merge
