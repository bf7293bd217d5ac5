// run_op: one sampler, loss or alignment on arrays from outside; no session, no Node-API and no torch type passes it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "record.h"

namespace merge {

using Array = std::variant<std::vector<int32_t>, std::vector<float>, std::vector<double>>;
using Arrays = std::map<std::string, Array>;

// `name` and the arrays of each op are listed in operation.cc. float32 goes through the kernels, float64 through the
// references; results have the width of the input. An op that is unknown, or an array that is missing or of another
// kind, is ERR_CONFIG. Must be called from the compute thread.
Arrays run_op(const std::string& name, const Record& options, const Arrays& arrays);

}  // namespace merge
