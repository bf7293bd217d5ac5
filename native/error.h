// Error: what the engine throws; its code is one of the closed set that TypeScript's MergeError knows.
#pragma once

#include <stdexcept>
#include <string>

namespace merge {

struct Error : std::runtime_error {
  Error(std::string error_code, const std::string& message)
      : std::runtime_error(message), code(std::move(error_code)) {}
  std::string code;  // ERR_CONFIG ERR_INPUT ERR_SHAPE ERR_DEVICE ERR_MEMORY ERR_NONFINITE ERR_CHECKPOINT ...
};

}  // namespace merge
