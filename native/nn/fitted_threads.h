// FittedThreads: as many threads as a pass keeps busy. Waking a thread costs more than a small product of matrices.
#pragma once

#include "nn/parameters.h"
#include "nn/placement.h"

namespace merge::nn {

// Work runs on one thread as long as this lives if its products are small, else as it did.
class FittedThreads {
 public:
  // tokens: read at once by every matrix of the model.
  FittedThreads(const Placement& placement, const Parameters& parameters, int64_t tokens);
  ~FittedThreads();
  FittedThreads(const FittedThreads&) = delete;
  FittedThreads& operator=(const FittedThreads&) = delete;

 private:
  int before_;
};

}  // namespace merge::nn
