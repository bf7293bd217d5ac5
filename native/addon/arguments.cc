// Arguments: one reader a kind; what is refused is shown.
#include "arguments.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace merge {

namespace {

constexpr uint32_t kReservedStrings = 65536;  // a sparse array's length is a claim, not a fact
constexpr size_t kShownLetters = 40;
constexpr size_t kLongestName = 80;
constexpr size_t kLongestPath = 4095;  // PATH_MAX without its NUL

const char* typed_array_name(napi_typedarray_type type) {
  switch (type) {
    case napi_int8_array:
      return "an Int8Array";
    case napi_uint8_array:
      return "a Uint8Array";
    case napi_uint8_clamped_array:
      return "a Uint8ClampedArray";
    case napi_int16_array:
      return "an Int16Array";
    case napi_uint16_array:
      return "a Uint16Array";
    case napi_int32_array:
      return "an Int32Array";
    case napi_uint32_array:
      return "a Uint32Array";
    case napi_float32_array:
      return "a Float32Array";
    case napi_float64_array:
      return "a Float64Array";
    case napi_bigint64_array:
      return "a BigInt64Array";
    case napi_biguint64_array:
      return "a BigUint64Array";
    default:
      return "a typed array of another kind";
  }
}

std::string number_text(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", number);
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  // The shortest text that reads back as the same number.
  for (int digits = 1; digits < 17; ++digits) {
    char shorter[32];
    std::snprintf(shorter, sizeof shorter, "%.*g", digits, number);
    if (std::strtod(shorter, nullptr) == number) return shorter;
  }
  return text;
}

// What was received, in a word or two; runs no JavaScript.
std::string described(const Napi::Value& value) {
  if (value.IsUndefined()) return "nothing";
  if (value.IsNull()) return "null";
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value() ? "true" : "false";
  if (value.IsNumber()) return number_text(value.As<Napi::Number>().DoubleValue());
  if (value.IsString()) {
    const std::string text = value.As<Napi::String>().Utf8Value();
    if (text.size() > kShownLetters) return "a string of " + std::to_string(text.size()) + " bytes";
    return "\"" + text + "\"";
  }
  if (value.IsBigInt()) return "a bigint";
  if (value.IsSymbol()) return "a symbol";
  if (value.IsFunction()) return "a function";
  if (value.IsTypedArray()) {
    napi_typedarray_type type{};
    if (napi_get_typedarray_info(value.Env(), value, &type, nullptr, nullptr, nullptr, nullptr) != napi_ok) {
      return "a typed array of another kind";
    }
    return typed_array_name(type);
  }
  if (value.IsArray()) return "an array";
  if (value.IsArrayBuffer()) return "an ArrayBuffer";
  if (value.IsDataView()) return "a DataView";
  if (value.IsDate()) return "a Date";
  if (value.IsPromise()) return "a Promise";
  return "an object";
}

[[noreturn]] void refuse(const char* code, const std::string& name, const std::string& expected,
                         const std::string& received) {
  const std::string shown = name.size() > kLongestName ? name.substr(0, kLongestName) + "..." : name;
  throw Error(code, shown + ": expected " + expected + ", received " + received);
}

void check(Napi::Env env, napi_status status) {
  if (status != napi_ok) throw Napi::Error::New(env);
}

// The elements of one exact kind of typed array, copied. No JavaScript runs between the check and the copy.
template <typename T>
std::vector<T> read_elements(const Napi::Value& value, const std::string& name, napi_typedarray_type wanted) {
  const Napi::Env env = value.Env();
  const std::string expected = typed_array_name(wanted);
  if (!value.IsTypedArray()) refuse("ERR_INPUT", name, expected, described(value));
  napi_typedarray_type type{};
  napi_value buffer = nullptr;
  if (napi_get_typedarray_info(env, value, &type, nullptr, nullptr, &buffer, nullptr) != napi_ok || type != wanted) {
    refuse("ERR_INPUT", name, expected, described(value));
  }
  bool plain = false;
  check(env, napi_is_arraybuffer(env, buffer, &plain));
  if (!plain) refuse("ERR_INPUT", name, expected, "one over shared memory");
  bool detached = false;
  check(env, napi_is_detached_arraybuffer(env, buffer, &detached));
  if (detached) refuse("ERR_INPUT", name, expected, "one whose buffer is detached");
  if (const Napi::Value resizable = Napi::Object(env, buffer).Get("resizable");
      resizable.IsBoolean() && resizable.As<Napi::Boolean>().Value()) {
    refuse("ERR_INPUT", name, expected, "one over a resizable buffer");
  }
  size_t length = 0;
  void* data = nullptr;
  check(env, napi_get_typedarray_info(env, value, nullptr, &length, &data, nullptr, nullptr));
  std::vector<T> elements(length);
  if (length > 0) std::memcpy(elements.data(), data, length * sizeof(T));
  return elements;
}

// Whether UTF-16 text pairs all of its surrogates.
bool is_well_formed(const std::u16string& text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const char16_t unit = text[i];
    if (unit < 0xD800 || unit > 0xDFFF) continue;
    if (unit > 0xDBFF || i + 1 == text.size() || text[i + 1] < 0xDC00 || text[i + 1] > 0xDFFF) return false;
    ++i;
  }
  return true;
}

// {} or Object.create(null): the prototype is absent or is itself the end of the chain.
bool is_plain_object(const Napi::Value& value) {
  if (!value.IsObject() || value.IsFunction() || value.IsArray() || value.IsTypedArray() || value.IsArrayBuffer() ||
      value.IsDataView() || value.IsDate() || value.IsPromise() || value.IsBuffer()) {
    return false;
  }
  const Napi::Env env = value.Env();
  napi_value prototype = nullptr;
  check(env, napi_get_prototype(env, value, &prototype));
  if (Napi::Value(env, prototype).IsNull()) return true;
  check(env, napi_get_prototype(env, prototype, &prototype));
  return Napi::Value(env, prototype).IsNull();
}

// Own enumerable properties of a plain object.
std::vector<std::pair<std::string, Napi::Value>> read_fields(const Napi::Value& value, const std::string& name) {
  if (!is_plain_object(value)) refuse("ERR_CONFIG", name, "a plain object", described(value));
  const Napi::Env env = value.Env();
  napi_value keys = nullptr;
  check(env, napi_get_all_property_names(env, value, napi_key_own_only,
                                         static_cast<napi_key_filter>(napi_key_enumerable | napi_key_skip_symbols),
                                         napi_key_numbers_to_strings, &keys));
  const Napi::Array names(env, keys);
  const auto object = value.As<Napi::Object>();
  std::vector<std::pair<std::string, Napi::Value>> fields;
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const Napi::Value key = names.Get(i);
    fields.emplace_back(key.As<Napi::String>().Utf8Value(), object.Get(key));
  }
  return fields;
}

}  // namespace

int64_t read_integer(const Napi::Value& value, const std::string& name, int64_t least, int64_t most) {
  const std::string expected = "a whole number " + std::to_string(least) + ".." + std::to_string(most);
  if (!value.IsNumber()) refuse("ERR_CONFIG", name, expected, described(value));
  const double number = value.As<Napi::Number>().DoubleValue();
  // Written so that NaN fails.
  if (!(number >= static_cast<double>(least) && number <= static_cast<double>(most)) || number != std::floor(number)) {
    refuse("ERR_CONFIG", name, expected, described(value));
  }
  return static_cast<int64_t>(number);
}

std::string read_string(const Napi::Value& value, const std::string& name) {
  if (!value.IsString()) refuse("ERR_INPUT", name, "a string", described(value));
  std::string text = value.As<Napi::String>().Utf8Value();
  // Only a text with U+FFFD in it can have lost something on the way.
  if (text.find("\xEF\xBF\xBD") != std::string::npos && !is_well_formed(value.As<Napi::String>().Utf16Value())) {
    refuse("ERR_INPUT", name, "well-formed text", "a lone surrogate");
  }
  return text;
}

std::string read_path(const Napi::Value& value, const std::string& name) {
  std::string path = read_string(value, name);
  if (path.empty()) refuse("ERR_INPUT", name, "a path", "an empty string");
  if (path.size() > kLongestPath) {
    refuse("ERR_INPUT", name, "a path of at most " + std::to_string(kLongestPath) + " bytes",
           std::to_string(path.size()));
  }
  if (path.find('\0') != std::string::npos) refuse("ERR_INPUT", name, "a path", "one with a NUL character");
  return path;
}

std::string read_choice(const Napi::Value& value, const std::string& name, const std::vector<std::string>& choices) {
  std::string expected;
  for (const auto& choice : choices) {
    if (value.IsString() && value.As<Napi::String>().Utf8Value() == choice) return choice;
    expected += (expected.empty() ? "\"" : " or \"") + choice + "\"";
  }
  refuse("ERR_CONFIG", name, expected, described(value));
}

std::vector<std::string> read_strings(const Napi::Value& value, const std::string& name) {
  if (!value.IsArray()) refuse("ERR_INPUT", name, "an array of strings", described(value));
  const auto array = value.As<Napi::Array>();
  const uint32_t length = array.Length();
  std::vector<std::string> strings;
  strings.reserve(std::min(length, kReservedStrings));
  for (uint32_t i = 0; i < length; ++i) {
    const Napi::HandleScope scope(value.Env());
    const Napi::Value element = array.Get(i);
    // The element's name is made for the message alone: there may be millions.
    if (!element.IsString()) refuse("ERR_INPUT", name + "[" + std::to_string(i) + "]", "a string", described(element));
    strings.push_back(read_string(element, name));
  }
  return strings;
}

Record read_record(const Napi::Value& value, const std::string& name) {
  Record record;
  for (const auto& [field, content] : read_fields(value, name)) {
    if (content.IsBoolean()) {
      record.set(field, Record::Value(content.As<Napi::Boolean>().Value()));
    } else if (content.IsString()) {
      record.set(field, Record::Value(read_string(content, field)));
    } else if (content.IsNumber() && std::isfinite(content.As<Napi::Number>().DoubleValue())) {
      record.set(field, Record::Value(content.As<Napi::Number>().DoubleValue()));
    } else {
      refuse("ERR_CONFIG", field, "a finite number, true or false, or a string", described(content));
    }
  }
  return record;
}

Rows read_rows(const Napi::Value& value, const std::string& name) {
  if (!value.IsObject()) refuse("ERR_INPUT", name, "{tokens, offsets}", described(value));
  const auto object = value.As<Napi::Object>();
  // Both are fetched before either is copied: a getter may detach the other one's buffer.
  const Napi::Value tokens = object.Get("tokens");
  const Napi::Value offsets = object.Get("offsets");
  Rows rows;
  rows.tokens = read_elements<int32_t>(tokens, name + ".tokens", napi_int32_array);
  rows.offsets = read_elements<int32_t>(offsets, name + ".offsets", napi_int32_array);
  const std::string offsets_name = name + ".offsets";
  if (rows.offsets.empty()) refuse("ERR_SHAPE", offsets_name, "rows + 1 numbers", "none");
  if (rows.offsets.front() != 0) {
    refuse("ERR_SHAPE", offsets_name + "[0]", "0", std::to_string(rows.offsets.front()));
  }
  for (size_t i = 1; i < rows.offsets.size(); ++i) {
    if (rows.offsets[i] < rows.offsets[i - 1]) {
      refuse("ERR_SHAPE", offsets_name + "[" + std::to_string(i) + "]",
             "at least " + std::to_string(rows.offsets[i - 1]), std::to_string(rows.offsets[i]));
    }
  }
  if (static_cast<size_t>(rows.offsets.back()) != rows.tokens.size()) {
    refuse("ERR_SHAPE", offsets_name, "an end at tokens.length = " + std::to_string(rows.tokens.size()),
           std::to_string(rows.offsets.back()));
  }
  return rows;
}

Arrays read_arrays(const Napi::Value& value, const std::string& name) {
  const auto values = read_fields(value, name);
  Arrays arrays;
  // All are fetched before any is copied: a getter may detach another one's buffer.
  for (const auto& [field, content] : values) {
    const bool is_typed = content.IsTypedArray();
    const auto type = is_typed ? content.As<Napi::TypedArray>().TypedArrayType() : napi_int8_array;
    if (type == napi_int32_array) {
      arrays[field] = read_elements<int32_t>(content, field, type);
    } else if (type == napi_float32_array) {
      arrays[field] = read_elements<float>(content, field, type);
    } else if (type == napi_float64_array) {
      arrays[field] = read_elements<double>(content, field, type);
    } else {
      refuse("ERR_INPUT", field, "an Int32Array, a Float32Array or a Float64Array", described(content));
    }
  }
  return arrays;
}

std::vector<int32_t> read_int32s(const Napi::Value& value, const std::string& name) {
  return read_elements<int32_t>(value, name, napi_int32_array);
}

std::vector<uint8_t> read_flags(const Napi::Value& value, const std::string& name, int64_t length, uint8_t most) {
  auto flags = read_elements<uint8_t>(value, name, napi_uint8_array);
  if (static_cast<int64_t>(flags.size()) != length) {
    refuse("ERR_SHAPE", name, std::to_string(length) + " flags", std::to_string(flags.size()));
  }
  for (size_t i = 0; i < flags.size(); ++i) {
    if (flags[i] <= most) continue;
    refuse("ERR_INPUT", name + "[" + std::to_string(i) + "]", "0.." + std::to_string(most), std::to_string(flags[i]));
  }
  return flags;
}

std::map<std::string, std::vector<double>> read_columns(const Napi::Value& value, const std::string& name) {
  if (!is_plain_object(value)) refuse("ERR_CONFIG", name, "a plain object", described(value));
  const auto object = value.As<Napi::Object>();
  const Napi::Array names = object.GetPropertyNames();
  std::map<std::string, std::vector<double>> columns;
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const Napi::HandleScope scope(value.Env());
    const std::string field = names.Get(i).As<Napi::String>().Utf8Value();
    columns[field] = read_elements<double>(object.Get(field), name + "." + field, napi_float64_array);
  }
  return columns;
}

}  // namespace merge
