// Tally: the numbers of a step, summed over its rounds; the report divides.
#pragma once

#include <chrono>

#include "engine.h"
#include "merge/losses.h"

namespace merge {

struct Tally {
  double recon = 0, total = 0;
  int64_t positions = 0, masks = 0, gaps = 0, tokens = 0, rounds = 0, passes = 0;
  double host_seconds = 0;
  // Sums in float64 that stay on the device until the report, so that no round waits for them; undefined: 0.
  Tensor terms_5, rates_2;  // recon, compression, pointer, gate, length; share of rows edited, of tokens kept
  Tensor keeps_right, counts_right, fills_right;

  // Adds a round's terms, each weighted by the round's share of the step.
  void add(const Terms& terms, double total_value, double scale);
  // Keep logits of tokens and gate probabilities of rows, against the oracle's keep.
  void judge(const Tensor& keep_logits_N, const Tensor& keep_N, const Tensor& gate_B, double scale);
  void count(const Tensor& counts_G, const Tensor& oracle_G);
  void fill(const Tensor& tokens_M, const Tensor& targets_M);
  Record report(const TrainBatch& batch) const;
};

// Adds the seconds of its life to a sum: time the host takes while a device could wait.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds), start_(std::chrono::steady_clock::now()) {}
  ~Stopwatch() { seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& seconds_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace merge
