// Record: a flat set of named numbers, flags and words; how a decision of TypeScript reaches the engine, and a report
// returns.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <variant>

#include "error.h"

namespace merge {

// Defaults live in TypeScript alone, so every reader throws ERR_CONFIG for a missing field or one of another kind.
class Record {
 public:
  using Value = std::variant<double, bool, std::string>;

  void set(const std::string& name, Value value) { fields_[name] = std::move(value); }
  // Named for each kind: a double must never slip into the overload for whole numbers.
  void set(const std::string& name, double value) { fields_[name] = value; }
  void set(const std::string& name, int64_t value) { fields_[name] = static_cast<double>(value); }
  void set(const std::string& name, bool value) { fields_[name] = value; }
  double number(const std::string& name) const { return get<double>(name, "a number"); }
  bool flag(const std::string& name) const { return get<bool>(name, "true or false"); }
  const std::string& word(const std::string& name) const { return get<std::string>(name, "a word"); }
  int64_t integer(const std::string& name) const {
    const double value = number(name);
    if (value != std::floor(value) || std::abs(value) > 9007199254740991.0) {
      throw Error("ERR_CONFIG", name + ": expected a whole number, received " + std::to_string(value));
    }
    return static_cast<int64_t>(value);
  }
  const std::map<std::string, Value>& fields() const { return fields_; }

 private:
  template <typename T>
  const T& get(const std::string& name, const char* kind) const {
    const auto found = fields_.find(name);
    if (found == fields_.end()) throw Error("ERR_CONFIG", name + ": expected " + kind + ", received nothing");
    const T* value = std::get_if<T>(&found->second);
    if (!value) throw Error("ERR_CONFIG", name + ": expected " + kind + ", received another kind of value");
    return *value;
  }

  std::map<std::string, Value> fields_;
};

}  // namespace merge
