// Tally: the numbers of a step, summed over its rounds; the report divides.
#pragma once

#include <chrono>

#include "engine.h"
#include "merge/losses.h"

namespace merge {

struct Tally {
  double recon = 0, compression = 0, pointer = 0, gate = 0, length = 0, total = 0;
  double gate_rate = 0, keep_rate = 0;
  int64_t positions = 0, masks = 0, fills_right = 0, gaps = 0, counts_right = 0, tokens = 0, keeps_right = 0,
          rounds = 0, passes = 0;
  double host_seconds = 0;

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
