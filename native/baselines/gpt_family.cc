// GptFamily: checks at the door.
#include "baselines/gpt_family.h"

#include <cmath>
#include <set>

#include "baselines/gpt_training.h"
#include "baselines/gpt_writing.h"
#include "checks.h"

namespace merge {

Record GptFamily::run(const Record& step, const TrainBatch& batch, bool learn, const std::atomic<bool>& cancelled) {
  const nn::TokenStreamOptions& options = model_.options();
  check_range(step, "accumulation", 1, 65536);
  check_rows("targets", batch.targets, options.vocabulary, options.max_length);
  check_rows("drafts", batch.drafts, options.vocabulary, options.max_length);
  expect_shape(batch.drafts.count() == batch.targets.count() && batch.targets.count() > 0,
               "drafts: expected one row for each of " + std::to_string(batch.targets.count()) +
                   " targets, at least one, received " + std::to_string(batch.drafts.count()));
  for (int64_t r = 0; r < batch.targets.count(); ++r) {
    const int64_t whole = batch.targets.length(r), learned = batch.drafts.length(r);
    expect_shape(learned >= 1 && learned < whole, "drafts: row " + std::to_string(r) + ": expected 1.." +
                                                      std::to_string(whole - 1) + " tokens, received " +
                                                      std::to_string(learned));
  }
  return baselines::run_gpt(model_, step, batch, learn, cancelled);
}

std::map<std::string, Tensor> GptFamily::inspect(const Rows& rows, const std::vector<std::string>& outputs) {
  check_rows("rows", rows, model_.options().vocabulary, model_.options().max_length);
  expect_shape(!rows.tokens.empty(), "rows: expected at least one token");
  const Tensor hidden_TD = model_.forward(model_.sequence(rows));
  std::map<std::string, Tensor> values;
  for (const std::string& output : outputs) {
    if (output != "hidden" && output != "logits") {
      throw Error("ERR_INPUT", "outputs: expected hidden or logits, received " + output);
    }
    values[output] = output == "hidden" ? hidden_TD : model_.head().logits(hidden_TD);
  }
  return values;
}

void GptFamily::check_next(const Record& options, const NextInput& input) const {
  const int64_t vocabulary = model_.options().vocabulary, max_length = model_.options().max_length;
  const auto count = static_cast<size_t>(input.rows.count());
  check_range(options, "steps", 1, 65536);
  check_range(options, "temperature", 0, 100);
  check_range(options, "topP", 0, 1);
  check_range(options, "topK", 0, 1e9);
  check_range(options, "vocabulary", 1, static_cast<double>(vocabulary));
  check_rows("rows", input.rows, vocabulary, max_length);
  expect_shape(count > 0 && input.slots.size() == count &&
                   std::set<int32_t>(input.slots.begin(), input.slots.end()).size() == count,
               "slots: expected a different number for each of " + std::to_string(count) +
                   " rows, at least one, received " + std::to_string(input.slots.size()) + " numbers");
  for (const char* name : {"limit", "written", "key"}) {
    const auto column = input.columns_B.find(name);
    expect_config(column != input.columns_B.end(),
                  std::string(name) + ": expected one number for each row, received none");
    expect_shape(column->second.size() == count, std::string(name) + ": expected " + std::to_string(count) +
                                                     " numbers, received " + std::to_string(column->second.size()));
    for (const double value : column->second) {
      expect_config(value >= 0 && value <= 9007199254740991.0 && value == std::floor(value),
                    std::string(name) + ": expected whole numbers 0..2^53 - 1, received " + std::to_string(value));
    }
  }
  const auto cache = caches_.find(input.generation);
  for (size_t r = 0; r < count; ++r) {
    const int64_t past = cache == caches_.end() ? 0 : cache->second.length(input.slots[r]);
    const int64_t unread = input.rows.length(static_cast<int64_t>(r));
    const double limit = input.columns_B.at("limit")[r];
    expect_shape(unread >= 1, "rows: row " + std::to_string(r) + ": expected at least one token, received none");
    if (limit < 1 || static_cast<double>(past + unread) + limit > static_cast<double>(max_length)) {
      throw Error("ERR_INPUT", "limit: row " + std::to_string(r) + ": expected 1.." +
                                   std::to_string(max_length - past - unread) + " with maxLength " +
                                   std::to_string(max_length) + ", received " + std::to_string(limit));
    }
  }
}

NextOutput GptFamily::next_tokens(const Record& options, const NextInput& input, const std::atomic<bool>& cancelled) {
  check_next(options, input);
  nn::KvCache& cache = caches_.try_emplace(input.generation, model_.options().layers).first->second;
  return baselines::write_on(model_, cache, options, input, cancelled);
}

void GptFamily::forget(int64_t generation, const std::vector<int32_t>& slots) {
  const auto found = caches_.find(generation);
  if (found == caches_.end()) return;
  for (const int32_t slot : slots) found->second.drop(slot);
  if (slots.empty() || found->second.empty()) caches_.erase(found);
}

int64_t GptFamily::cache_bytes() const {
  int64_t bytes = 0;
  for (const auto& [generation, cache] : caches_) bytes += cache.bytes();
  return bytes;
}

}  // namespace merge
