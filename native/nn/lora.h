// Lora: low-rank updates of the projections of a frozen matrix, W + alpha / rank B A (Hu et al. 2021, arXiv
// 2106.09685).
#pragma once

#include <set>
#include <string>
#include <vector>

#include "nn/parameters.h"
#include "record.h"

namespace merge::nn {

struct LoraOptions {
  int64_t rank = 0;  // 0: none
  double alpha = 0;
  std::set<std::string> targets;  // of q, k, v, output, gate, up and down
};

// Throws ERR_CONFIG for a field that is missing or out of its range.
LoraOptions lora_options(const Record& config);

// Rows of a fused matrix that are a projection of their own, from the top down.
struct Projection {
  std::string name;
  int64_t rows;
};

class Lora {
 public:
  Lora() = default;  // updates nothing
  // Adds `<matrix>.lora.<target>.a` [rank, inputs], drawn, and `.b` [rows, rank], zero, for the projections that are
  // targets: at first the matrix is what it was. `matrix` is its name without `.weight`.
  Lora(Parameters& parameters, const std::string& matrix, const std::vector<Projection>& projections, int64_t inputs,
       const LoraOptions& options);

  // Adds what the updates make of x [T, in] to the matrix's own product [T, out], in place.
  void update(const Tensor& product, const Tensor& x) const;

  bool empty() const { return parts_.empty(); }
  // One of its matrices; there must be one.
  const Tensor& matrix() const { return parts_.front().a; }

 private:
  struct Part {
    int64_t begin;
    Tensor a, b;
  };
  std::vector<Part> parts_;
  double scale_ = 0;
};

// Whether a parameter is one of an update's matrices.
inline bool is_lora(const std::string& parameter) { return parameter.find(".lora.") != std::string::npos; }

}  // namespace merge::nn
