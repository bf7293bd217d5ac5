// StepOptions: what a training step's record says, read once.
#pragma once

#include "ops/tensor.h"
#include "record.h"

namespace merge {

// What of a filled token's choice reaches the next round: nothing, p - sg(p) of its logits, or of its noisy logits.
enum class RoundGradient { kStop, kStraight, kGumbel };

// What the fill is compared with: the oracle's token of each mask, Y position by position, or Y under an alignment.
enum class Reconstruction { kOracle, kPositional, kAxe, kOaxe, kCtc };

struct Weights {
  double recon, compression, pointer, gate, length;
};

struct StepOptions {
  explicit StepOptions(const Record& record);

  uint64_t seed, step;
  int64_t rounds, accumulation;
  int64_t window;  // rounds between two backward passes: how far a gradient goes back
  Weights weights;
  double temperature;  // of the straight-through samplers
  double edit_threshold;
  double keep_reduction, keep_kl, count_smoothing, score_entropy, gate_cost, label_smoothing, gate_noise;
  double own_deletion, subsequence, own_fill;
  bool soft_deletion;   // deleted tokens stay as soft keys, so that the fill reaches D1 (H8)
  bool generate_first;  // g_0 = 0: the first round deletes nothing (H13)
  RoundGradient gradient;
  Reconstruction reconstruction;
  double axe_penalty;  // of a token that the alignment skips
};

}  // namespace merge
