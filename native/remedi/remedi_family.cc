// RemediFamily: checks at the door.
#include "remedi/remedi_family.h"

#include <cmath>
#include <set>

#include "checks.h"
#include "nn/packed.h"
#include "remedi/copies.h"
#include "remedi/denoise.h"
#include "remedi/policy.h"
#include "remedi/sft.h"

namespace merge {
namespace {

void check_columns(const DenoiseInput& input) {
  const auto rows = static_cast<size_t>(input.blocks.rows.count());
  for (const char* name : {"keep", "fillThreshold", "remaskThreshold", "key", "draw"}) {
    const auto column = input.columns_B.find(name);
    expect_config(column != input.columns_B.end(),
                  std::string(name) + ": expected one number for each row, received none");
    expect_shape(column->second.size() == rows, std::string(name) + ": expected " + std::to_string(rows) +
                                                    " numbers, received " + std::to_string(column->second.size()));
  }
  for (const char* name : {"keep", "key", "draw"}) {
    for (const double value : input.columns_B.at(name)) {
      expect_config(value >= 0 && value <= 9007199254740991.0 && value == std::floor(value),
                    std::string(name) + ": expected whole numbers 0..2^53 - 1, received " + std::to_string(value));
    }
  }
}

}  // namespace

Record RemediFamily::run(const Record& step, const TrainBatch& batch, bool learn, const std::atomic<bool>& cancelled) {
  check_range(step, "blockLength", 1, 65536);
  check_range(step, "accumulation", 1, 65536);
  check_range(step, "confidenceSmoothing", 0, 1);
  remedi::check_copies(model_.options(), batch.targets, batch.drafts, step.integer("blockLength"));
  return remedi::run_sft(model_, step, batch, learn, cancelled);
}

std::map<std::string, Tensor> RemediFamily::values(const remedi::Streams& streams,
                                                   const std::vector<std::string>& outputs) const {
  std::map<std::string, Tensor> values;
  for (const std::string& output : outputs) {
    if (output == "hidden")
      values[output] = streams.hidden_TD;
    else if (output == "logits")
      values[output] = model_.head().logits(streams.hidden_TD);
    else if (output == "confidence")
      values[output] = streams.confidence_T;
    else
      throw Error("ERR_INPUT", "outputs: expected hidden, logits or confidence, received " + output);
  }
  return values;
}

std::map<std::string, Tensor> RemediFamily::inspect(const Rows& rows, const std::vector<std::string>& outputs) {
  check_rows("rows", rows, model_.options().vocabulary, model_.options().max_length);
  expect_shape(!rows.tokens.empty(), "rows: expected at least one token");
  return values(model_.forward(model_.sequence(rows)), outputs);
}

void RemediFamily::check_cached(const CachedRows& input) const {
  const remedi::ModelOptions& options = model_.options();
  check_rows("rows", input.rows, options.vocabulary, options.max_length);
  expect_shape(!input.rows.tokens.empty(), "rows: expected at least one token");
  expect_shape(input.positions.size() == input.rows.tokens.size(),
               "positions: expected " + std::to_string(input.rows.tokens.size()) + " numbers, received " +
                   std::to_string(input.positions.size()));
  expect_shape(static_cast<int64_t>(input.slots.size()) == input.rows.count() &&
                   std::set<int32_t>(input.slots.begin(), input.slots.end()).size() == input.slots.size(),
               "slots: expected a different number for each of " + std::to_string(input.rows.count()) +
                   " rows, received " + std::to_string(input.slots.size()) + " numbers");
  for (const int32_t position : input.positions) {
    if (position < 0 || position >= options.max_length) {
      throw Error("ERR_INPUT", "positions: expected 0.." + std::to_string(options.max_length - 1) +
                                   " (maxLength), received " + std::to_string(position));
    }
  }
  const auto cache = caches_.find(input.generation);
  for (int64_t r = 0; cache != caches_.end() && r < input.rows.count(); ++r) {
    const int64_t total = cache->second.length(input.slots[r]) + input.rows.length(r);
    if (total > options.max_length) {
      throw Error("ERR_INPUT", "rows: row " + std::to_string(r) + ": expected at most " +
                                   std::to_string(options.max_length) + " tokens with those remembered, received " +
                                   std::to_string(total));
    }
  }
}

const nn::KvCache& RemediFamily::cache_of(int64_t generation) const {
  const auto found = caches_.find(generation);
  return found == caches_.end() ? nothing_ : found->second;
}

DenoiseOutput RemediFamily::denoise(const Record& options, const DenoiseInput& input) {
  check_cached(input.blocks);
  check_columns(input);
  const size_t tokens = input.blocks.rows.tokens.size();
  expect_shape(input.fate_N.size() == tokens,
               "fate: expected " + std::to_string(tokens) + " flags, received " + std::to_string(input.fate_N.size()));
  one_of(options, "policy", {"rank", "threshold"});
  one_of(options, "confidenceSource", {"ups", "probability", "logit", "margin", "entropy", "random"});
  check_range(options, "temperature", 0, 100);
  check_range(options, "orderTemperature", 0, 100);
  check_range(options, "topP", 0, 1);
  check_range(options, "vocabulary", 2, static_cast<double>(model_.options().vocabulary));
  for (const int32_t id : input.forbidden) {
    if (id < 0 || id >= model_.options().vocabulary) {
      throw Error("ERR_INPUT", "forbidden: expected ids 0.." + std::to_string(model_.options().vocabulary - 1) +
                                   ", received " + std::to_string(id));
    }
  }
  return remedi::denoise_blocks(model_, cache_of(input.blocks.generation), options, input);
}

void RemediFamily::remember(const CachedRows& input) {
  check_cached(input);
  nn::KvCache& cache = caches_.try_emplace(input.generation, model_.cache_layers()).first->second;
  const remedi::Sequence sequence = model_.sequence(input.rows, input.positions);
  model_.forward(sequence, [&](int64_t layer, const Tensor& qkv) {
    return cache.append(layer, qkv, sequence.offsets, input.slots, model_.heads(), ops::Among::kAll);
  });
  cache.commit(sequence.offsets, input.slots);
}

void RemediFamily::forget(int64_t generation, const std::vector<int32_t>& slots) {
  const auto found = caches_.find(generation);
  if (found == caches_.end()) return;
  for (const int32_t slot : slots) found->second.drop(slot);
  if (slots.empty() || found->second.empty()) caches_.erase(found);
}

int64_t RemediFamily::cache_bytes() const {
  int64_t bytes = 0;
  for (const auto& [generation, cache] : caches_) bytes += cache.bytes();
  return bytes;
}

std::map<std::string, Tensor> RemediFamily::inspect_behind(const Rows& prompts, const Rows& rows,
                                                           const std::string& way,
                                                           const std::vector<std::string>& outputs) {
  const remedi::ModelOptions& options = model_.options();
  check_rows("prompts", prompts, options.vocabulary, options.max_length);
  check_rows("rows", rows, options.vocabulary, options.max_length);
  expect_shape(prompts.count() == rows.count() && !rows.tokens.empty(),
               "rows: expected one for each of " + std::to_string(prompts.count()) + " prompts, received " +
                   std::to_string(rows.count()));
  expect_config(way == "cached" || way == "whole", "way: expected cached or whole, received " + way);
  Rows both;
  std::vector<int32_t> positions, slots;
  std::vector<int64_t> behind;  // places of the rows in `both`
  std::vector<remedi::Place> places;
  for (int64_t r = 0; r < rows.count(); ++r) {
    std::vector<int32_t> joined(prompts.row(r).begin(), prompts.row(r).end());
    places.insert(places.end(), joined.size(), {remedi::Place::kPrompt});
    places.insert(places.end(), rows.row(r).size(), {1});
    for (int64_t i = 0; i < rows.length(r); ++i) {
      behind.push_back(static_cast<int64_t>(both.tokens.size() + joined.size()) + i);
      positions.push_back(static_cast<int32_t>(prompts.length(r) + i));
    }
    joined.insert(joined.end(), rows.row(r).begin(), rows.row(r).end());
    both.append(joined);
    slots.push_back(static_cast<int32_t>(r));
  }
  check_rows("rows", both, options.vocabulary, options.max_length);
  if (way == "cached") {
    nn::KvCache cache(model_.cache_layers());
    const remedi::Sequence before = model_.sequence(prompts);
    if (!prompts.tokens.empty()) {
      model_.forward(before, [&](int64_t layer, const Tensor& qkv) {
        return cache.append(layer, qkv, before.offsets, slots, model_.heads(), ops::Among::kAll);
      });
      cache.commit(before.offsets, slots);
    }
    const remedi::Sequence sequence = model_.sequence(rows, positions);
    return values(model_.forward(sequence,
                                 [&](int64_t layer, const Tensor& qkv) {
                                   return cache.read(layer, qkv, sequence.offsets, slots, model_.heads(),
                                                     ops::Among::kAll);
                                 }),
                  outputs);
  }
  const remedi::Sequence sequence = model_.sequence(both);
  remedi::Streams streams =
      model_.forward(sequence, remedi::visibility_bias(places, sequence.offsets, options.placement.device));
  const Tensor behind_N = nn::index_tensor(behind, options.placement.device);
  streams.hidden_TD = streams.hidden_TD.index_select(0, behind_N);
  streams.confidence_T = streams.confidence_T.index_select(0, behind_N);
  return values(streams, outputs);
}

std::map<std::string, Tensor> RemediFamily::policy_logs(const Record& options, const Trajectory& run) {
  check_range(options, "blockLength", 1, 65536);
  remedi::check_trajectory(model_.options(), options.integer("blockLength"), run);
  return remedi::policy_logs(model_, options, run);
}

Record RemediFamily::learn_policy(const Record& step, const Trajectory& run, const std::atomic<bool>& cancelled) {
  check_range(step, "blockLength", 1, 65536);
  check_range(step, "accumulation", 1, 65536);
  check_range(step, "ratioClip", 0, 1);
  remedi::check_trajectory(model_.options(), step.integer("blockLength"), run);
  for (const char* name : {"oldToken", "oldSet"}) {
    expect_config(run.columns.contains("oldToken") == run.columns.contains(name),
                  std::string(name) + ": expected with oldToken, or neither");
  }
  for (const char* name : {"advantage", "referenceToken", "referenceSet"}) {
    const bool is_wanted = std::string(name) == "advantage" || step.number("klWeight") > 0;
    expect_config(!is_wanted || run.columns.contains(name), std::string(name) + ": expected numbers, received none");
  }
  return remedi::run_policy(model_, step, run, cancelled);
}

}  // namespace merge
