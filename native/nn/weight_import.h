// Weight import: tensors of other programs' files, put together to ours as a plan says. Which name goes where is the
// plan's matter (src/pretrained/).
#pragma once

#include <string>
#include <vector>

#include "nn/parameters.h"

namespace merge::nn {

// One tensor of a file and its part in one of ours. Parts of a target are put below each other in the plan's order.
struct WeightSource {
  // kWhole: all of its rows. kRows: its first `rows` rows; rows that the target has beyond them are new and start from
  // their mean, a matrix with a tenth of their spread as noise, so that no two are alike. kCut: as many of its rows as
  // the target has. kAdded: its first row is added to every row so far.
  enum class Use { kWhole, kRows, kCut, kAdded };

  std::string target, file, tensor;
  Use use = Use::kWhole;
  int64_t rows = 0;  // with kRows
};

// Fills the targets, all or none; entries that are no target stay as they are. Throws ERR_CHECKPOINT with the names of
// what does not fit: a tensor that is missing, not floating-point, not finite or of another shape.
void import_tensors(const std::vector<Parameters::Entry>& entries, const std::vector<WeightSource>& sources);

}  // namespace merge::nn
