// Arguments: JavaScript values in, engine types out. Everything is copied on the JavaScript thread.
// Each reader throws merge::Error with what was expected and what was received; nothing is coerced.
#pragma once

#include <napi.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine.h"
#include "operation.h"

namespace merge {

// `name` is the argument's name in messages.
int64_t read_integer(const Napi::Value& value, const std::string& name, int64_t least, int64_t most);
// Well-formed UTF-16 only: a lone surrogate would silently become another text.
std::string read_string(const Napi::Value& value, const std::string& name);
// A string that is not empty and holds no NUL.
std::string read_path(const Napi::Value& value, const std::string& name);
// One of a few words.
std::string read_choice(const Napi::Value& value, const std::string& name, const std::vector<std::string>& choices);
std::vector<std::string> read_strings(const Napi::Value& value, const std::string& name);
// A plain object of finite numbers, true or false, and strings; own enumerable properties only.
Record read_record(const Napi::Value& value, const std::string& name);
// {tokens, offsets}: offsets start at 0, never fall, and end at tokens.length.
Rows read_rows(const Napi::Value& value, const std::string& name);
// A plain object of Int32Array, Float32Array and Float64Array; own enumerable properties only.
Arrays read_arrays(const Napi::Value& value, const std::string& name);
std::vector<int32_t> read_int32s(const Napi::Value& value, const std::string& name);
// A Uint8Array of `length` values from 0 to `most`.
std::vector<uint8_t> read_flags(const Napi::Value& value, const std::string& name, int64_t length, uint8_t most);

// A plain object of Float64Arrays.
std::map<std::string, std::vector<double>> read_columns(const Napi::Value& value, const std::string& name);

}  // namespace merge
