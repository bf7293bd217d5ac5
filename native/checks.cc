// Checks: every message names the thing, what was expected and what was received.
#include "checks.h"

namespace merge {

void expect_shape(bool holds, const std::string& message) {
  if (!holds) throw Error("ERR_SHAPE", message);
}

void expect_config(bool holds, const std::string& message) {
  if (!holds) throw Error("ERR_CONFIG", message);
}

void check_rows(const char* name, const Rows& rows, int64_t vocabulary, int64_t max_length) {
  expect_shape(!rows.offsets.empty() && rows.offsets.front() == 0 &&
                   rows.offsets.back() == static_cast<int64_t>(rows.tokens.size()),
               std::string(name) + ": offsets expected to run from 0 to " + std::to_string(rows.tokens.size()));
  for (int64_t r = 0; r < rows.count(); ++r) {
    expect_shape(rows.offsets[r] <= rows.offsets[r + 1], std::string(name) + ": offsets expected to rise");
    if (rows.length(r) > max_length) {
      throw Error("ERR_INPUT", std::string(name) + ": row " + std::to_string(r) + ": expected at most " +
                                   std::to_string(max_length) + " tokens, received " + std::to_string(rows.length(r)));
    }
  }
  for (const int32_t token : rows.tokens) {
    if (token < 0 || token >= vocabulary) {
      throw Error("ERR_INPUT", std::string(name) + ": expected token ids 0.." + std::to_string(vocabulary - 1) +
                                   ", received " + std::to_string(token));
    }
  }
}

void check_range(const Record& record, const char* name, double low, double high) {
  const double value = record.number(name);
  expect_config(value >= low && value <= high, std::string(name) + ": expected " + std::to_string(low) + ".." +
                                                   std::to_string(high) + ", received " + std::to_string(value));
}

const std::string& one_of(const Record& config, const std::string& name, std::initializer_list<const char*> words) {
  const std::string& word = config.word(name);
  std::string known;
  for (const char* each : words) {
    if (word == each) return word;
    known += known.empty() ? each : std::string(" or ") + each;
  }
  throw Error("ERR_CONFIG", name + ": expected " + known + ", received " + word);
}

int64_t positive(const Record& config, const std::string& name) {
  const int64_t value = config.integer(name);
  expect_config(value >= 1 && value <= (int64_t{1} << 24),
                name + ": expected 1..16777216, received " + std::to_string(value));
  return value;
}

int32_t special_id(const Record& config, const std::string& name) {
  const int64_t id = config.integer(name);
  expect_config(id >= 0 && id < config.integer("vocabulary"), name + ": expected a token id below the vocabulary of " +
                                                                  std::to_string(config.integer("vocabulary")) +
                                                                  ", received " + std::to_string(id));
  return static_cast<int32_t>(id);
}

}  // namespace merge
