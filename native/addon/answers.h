// Answers: engine types in, JavaScript values out.
#pragma once

#include <napi.h>

#include <map>
#include <string>
#include <vector>

#include "engine.h"
#include "operation.h"

namespace merge {

Napi::Value to_value(Napi::Env env, const Record& record);
Napi::Value to_value(Napi::Env env, const DenoiseOutput& step);
Napi::Value to_value(Napi::Env env, const NextOutput& output);
Napi::Value to_value(Napi::Env env, const LengthOutput& output);
Napi::Value to_value(Napi::Env env, const RoundOutput& round);
Napi::Value to_value(Napi::Env env, const std::map<std::string, NamedArray>& arrays);
Napi::Value to_value(Napi::Env env, const Arrays& arrays);
Napi::Value to_value(Napi::Env env, const std::vector<ParameterInfo>& parameters);

// Defines an own property; unlike Set() it never meets a setter that somebody put on Object.prototype.
void put(const Napi::Object& object, const char* name, napi_value value);

}  // namespace merge
