// Answers: every number is copied into memory that JavaScript owns.
#include "answers.h"

#include <cstring>

namespace merge {

namespace {

template <typename Array, typename T>
Array to_array(Napi::Env env, const std::vector<T>& elements) {
  Array array = Array::New(env, elements.size());
  if (!elements.empty()) std::memcpy(array.Data(), elements.data(), elements.size() * sizeof(T));
  return array;
}

Napi::Array to_shape(Napi::Env env, const std::vector<int64_t>& shape) {
  Napi::Array array = Napi::Array::New(env, shape.size());
  for (uint32_t i = 0; i < shape.size(); ++i) array.Set(i, Napi::Number::New(env, static_cast<double>(shape[i])));
  return array;
}

}  // namespace

Napi::Value to_value(Napi::Env env, const Record& record) {
  Napi::Object object = Napi::Object::New(env);
  for (const auto& [name, value] : record.fields()) {
    if (const auto* number = std::get_if<double>(&value)) {
      put(object, name.c_str(), Napi::Number::New(env, *number));
    } else if (const auto* flag = std::get_if<bool>(&value)) {
      put(object, name.c_str(), Napi::Boolean::New(env, *flag));
    } else {
      put(object, name.c_str(), Napi::String::New(env, std::get<std::string>(value)));
    }
  }
  return object;
}

Napi::Value to_value(Napi::Env env, const RoundOutput& round) {
  Napi::Object object = Napi::Object::New(env);
  put(object, "tokens", to_array<Napi::Int32Array>(env, round.rows.tokens));
  put(object, "offsets", to_array<Napi::Int32Array>(env, round.rows.offsets));
  put(object, "source", to_array<Napi::Int32Array>(env, round.source));
  put(object, "confidence", to_array<Napi::Float32Array>(env, round.confidence));
  put(object, "keep", to_array<Napi::Float32Array>(env, round.keep_N));
  put(object, "gate", to_array<Napi::Float32Array>(env, round.gate_B));
  put(object, "edited", to_array<Napi::Uint8Array>(env, round.edited_B));
  put(object, "truncated", to_array<Napi::Uint8Array>(env, round.truncated_B));
  put(object, "encoderPasses", Napi::Number::New(env, static_cast<double>(round.encoder_passes)));
  return object;
}

Napi::Value to_value(Napi::Env env, const DenoiseOutput& step) {
  Napi::Object object = Napi::Object::New(env);
  put(object, "tokens", to_array<Napi::Int32Array>(env, step.tokens));
  put(object, "candidate", to_array<Napi::Int32Array>(env, step.candidate));
  put(object, "confidence", to_array<Napi::Float32Array>(env, step.confidence));
  put(object, "score", to_array<Napi::Float32Array>(env, step.score));
  put(object, "probability", to_array<Napi::Float32Array>(env, step.probability));
  return object;
}

Napi::Value to_value(Napi::Env env, const NextOutput& output) {
  Napi::Object object = Napi::Object::New(env);
  put(object, "tokens", to_array<Napi::Int32Array>(env, output.rows.tokens));
  put(object, "offsets", to_array<Napi::Int32Array>(env, output.rows.offsets));
  put(object, "probability", to_array<Napi::Float32Array>(env, output.probability));
  return object;
}

Napi::Value to_value(Napi::Env env, const LengthOutput& output) {
  Napi::Object object = Napi::Object::New(env);
  put(object, "lengths", to_array<Napi::Int32Array>(env, output.lengths));
  put(object, "probability", to_array<Napi::Float32Array>(env, output.probability));
  return object;
}

Napi::Value to_value(Napi::Env env, const std::map<std::string, NamedArray>& arrays) {
  Napi::Object object = Napi::Object::New(env);
  for (const auto& [name, array] : arrays) {
    Napi::Object entry = Napi::Object::New(env);
    put(entry, "shape", to_shape(env, array.shape));
    put(entry, "values", to_array<Napi::Float32Array>(env, array.values));
    put(object, name.c_str(), entry);
  }
  return object;
}

Napi::Value to_value(Napi::Env env, const Arrays& arrays) {
  Napi::Object object = Napi::Object::New(env);
  for (const auto& [name, array] : arrays) {
    if (const auto* integers = std::get_if<std::vector<int32_t>>(&array)) {
      put(object, name.c_str(), to_array<Napi::Int32Array>(env, *integers));
    } else if (const auto* narrow = std::get_if<std::vector<float>>(&array)) {
      put(object, name.c_str(), to_array<Napi::Float32Array>(env, *narrow));
    } else {
      put(object, name.c_str(), to_array<Napi::Float64Array>(env, std::get<std::vector<double>>(array)));
    }
  }
  return object;
}

Napi::Value to_value(Napi::Env env, const std::vector<ParameterInfo>& parameters) {
  Napi::Array list = Napi::Array::New(env, parameters.size());
  for (uint32_t i = 0; i < parameters.size(); ++i) {
    Napi::Object entry = Napi::Object::New(env);
    put(entry, "name", Napi::String::New(env, parameters[i].name));
    put(entry, "shape", to_shape(env, parameters[i].shape));
    list.Set(i, entry);
  }
  return list;
}

void put(const Napi::Object& object, const char* name, napi_value value) {
  napi_property_descriptor property{};
  property.utf8name = name;
  property.value = value;
  property.attributes = napi_default_jsproperty;
  if (napi_define_properties(object.Env(), object, 1, &property) != napi_ok) throw Napi::Error::New(object.Env());
}

}  // namespace merge
