// CPU kernels of the straight-through samplers: plain loops, no torch. Values are float32, arithmetic is double.
#pragma once

#include <cstdint>
#include <vector>

namespace merge::kernels {

// Elements [begin, end): sample = (logit + noise > 0), relaxed = sigmoid((logit + noise) / temperature), slope its
// derivative by the logit.
void bernoulli_forward(const float* logits, const double* noise, float* sample, float* relaxed, float* slope,
                       int64_t begin, int64_t end, double temperature);

// The relaxed top-k of one row, by successive softmax (Xie and Ermon 2019, "Reparameterizable subset sampling via
// continuous relaxations"): w = scores / temperature; k times p = softmax(w), relaxed += p, w += log(1 - p) /
// temperature. A score of -infinity is never taken.
class RelaxedTopK {
 public:
  // `scores` with their noise, [gaps]; takes `k` of them, fewer where fewer are above -infinity.
  RelaxedTopK(const double* scores, int64_t gaps, int64_t k, double temperature);
  // The hard set: 1 at the k largest scores, the lowest index first among equal ones.
  void sample(float* hard) const;
  // [gaps]
  const std::vector<double>& relaxed() const { return relaxed_; }
  // grad_scores += d(sum of grad_relaxed * relaxed) / d scores.
  void backward(const float* grad_relaxed, float* grad_scores) const;

 private:
  // One softmax. 1 - p is the others' share; of the leading gap, whose p may round to 1, it is summed apart.
  struct Turn {
    std::vector<double> weights;
    double log_sum = 0, log_others = 0;  // of exp(weights): over all, over all but `lead`
    int64_t lead = -1;                   // the gap with p above one half
  };
  Turn turn_of(std::vector<double> weights) const;

  const double* scores_;
  int64_t gaps_, k_;
  double temperature_;
  std::vector<Turn> turns_;
  std::vector<double> relaxed_;
};

// Whole numbers for one row's expected ones: their floors, and one more for those with the largest remainders (the
// lowest index first among equal ones) until the sum is the rounded sum of the expected.
void largest_remainder(const float* expected, float* counts, int64_t length);

}  // namespace merge::kernels
