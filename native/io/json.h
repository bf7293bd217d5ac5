// Json: a strict reader for the headers of model files: no duplicate keys, bounded depth, whole numbers only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace merge::io {

struct Json;
using JsonArray = std::vector<Json>;
using JsonObject = std::map<std::string, Json>;

// Numbers are unsigned whole ones: nothing else occurs in a safetensors header, and a sign, fraction or exponent is
// refused.
struct Json {
  std::variant<std::nullptr_t, bool, uint64_t, std::string, JsonArray, JsonObject> value;
};

// What a text may cost to read: nested arrays and objects, and values in all.
struct JsonLimits {
  int depth;
  size_t values;
};

// Throws std::invalid_argument with a sentence. The text may end in spaces.
Json parse_json(std::string_view text, const JsonLimits& limits);

// A JSON string literal, quotes included; no character of it moves a terminal's cursor.
std::string json_string(std::string_view text);

}  // namespace merge::io
