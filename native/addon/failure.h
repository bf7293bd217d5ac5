// Failure: what a caught exception becomes before it crosses to JavaScript: a closed code and one clean message.
#pragma once

#include <napi.h>

#include <string>

namespace merge {

struct Failure {
  std::string code;
  std::string message;
};

// Call inside a catch block. Messages lose backtraces and everything else that only describes the build.
Failure current_failure();
// `Error` with the property `code`; src/native.ts turns it into a MergeError.
Napi::Error to_error(Napi::Env env, const Failure& failure);

}  // namespace merge
