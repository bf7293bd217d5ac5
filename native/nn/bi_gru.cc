// BiGru: libtorch's packed GRU, which wants rows by falling length and time before rows.
#include "nn/bi_gru.h"

#include <algorithm>
#include <numeric>

#include "nn/packed.h"

namespace merge::nn {

BiGru::BiGru(Parameters& parameters, const std::string& name, int64_t width, double deviation) : width_(width) {
  for (const std::string direction : {".forward", ".backward"}) {
    weights_.push_back(
        parameters.add(name + direction + ".input.weight", {3 * width, width}, {.deviation = deviation}));
    weights_.push_back(
        parameters.add(name + direction + ".state.weight", {3 * width, width}, {.deviation = deviation}));
    weights_.push_back(parameters.add(name + direction + ".input.bias", {3 * width}, {.value = 0}));
    weights_.push_back(parameters.add(name + direction + ".state.bias", {3 * width}, {.value = 0}));
  }
}

Tensor BiGru::forward(const Tensor& x_TD, const Offsets& offsets) const {
  const int64_t rows = static_cast<int64_t>(offsets.size()) - 1;
  std::vector<int64_t> order(static_cast<size_t>(rows));
  std::iota(order.begin(), order.end(), 0);
  const auto length = [&](int64_t r) { return offsets[r + 1] - offsets[r]; };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return length(a) > length(b); });
  // Position in time-major order -> packed position, and back.
  std::vector<int64_t> there, back(static_cast<size_t>(offsets.back())), sizes;
  for (int64_t time = 0; rows > 0 && time < length(order.front()); ++time) {
    int64_t alive = 0;
    for (; alive < rows && length(order[alive]) > time; ++alive) {
      back[offsets[order[alive]] + time] = static_cast<int64_t>(there.size());
      there.push_back(offsets[order[alive]] + time);
    }
    sizes.push_back(alive);
  }
  const Tensor data = x_TD.index_select(0, index_tensor(there, x_TD.device()));
  const Tensor start = at::zeros({2, rows, width_}, x_TD.options());
  std::vector<Tensor> weights;
  for (const Tensor& weight : weights_) weights.push_back(weight.to(x_TD.scalar_type()));
  const auto out = std::get<0>(at::gru(data, index_tensor(sizes, at::kCPU), start, weights, /*has_biases=*/true,
                                       /*num_layers=*/1, /*dropout=*/0, /*train=*/false, /*bidirectional=*/true));
  return out.index_select(0, index_tensor(back, x_TD.device()));
}

}  // namespace merge::nn
