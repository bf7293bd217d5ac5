// BiGru: one bidirectional GRU over packed rows; a row's state never meets another's.
#pragma once

#include <string>

#include "nn/parameters.h"

namespace merge::nn {

class BiGru {
 public:
  // width of the inputs, and of the state of each direction.
  BiGru(Parameters& parameters, const std::string& name, int64_t width, double deviation);

  // x [T, D] -> [T, 2D] as [forward | backward]. Every row has at least one position.
  Tensor forward(const Tensor& x_TD, const Offsets& offsets) const;

 private:
  int64_t width_;
  std::vector<Tensor> weights_;  // input, state and their biases; forward, then backward
};

}  // namespace merge::nn
