// Unroll: what one round of training takes in and hands on, in both profiles.
#pragma once

#include "merge/model.h"
#include "merge/rollin.h"
#include "merge/step_options.h"
#include "merge/tally.h"

namespace merge {

// Rows X on their way to Y.
struct Way {
  Rows x, y;
  Beside beside;  // conditions of the rows, and what of the last fill still carries a gradient
  States states;  // E(S^) of the last round, whose lengths are X's (one encoding a round); undefined before the first
};

struct RoundDraw {
  Draws draws;
  int64_t round;  // from 0
  bool is_last;
};

// The weighted loss of the round, and X_{l+1} by the model's own hand.
struct RoundLoss {
  Terms terms;
  Tensor total;
  Way next;
};

// One round of the aligned profile: every decision is compared with the oracle's (spec sections 4 and 5).
RoundLoss aligned_round(const Model& model, const StepOptions& options, const Way& way, const RoundDraw& draw,
                        double scale, Tally& tally);
// One round by the seed's own formulas, on-policy from the first (section 5, literal).
RoundLoss literal_round(const Model& model, const StepOptions& options, const Way& way, const RoundDraw& draw,
                        double scale, Tally& tally);

// --- what both rounds are made of ---

// E(X) and what gate and deleter say: encoded anew, or read off the last round's E(S^) when one encoding serves both.
Model::Reading read_way(const Model& model, const Way& way, Tally& tally);
// Keep logits of the rows' tokens without their sentinels, and the row of each.
struct TokenKeeps {
  Tensor logits_N, rows_N;
};
TokenKeeps token_keeps(const Model::Reading& reading, const Rows& x, int64_t rows);
// Gate probabilities with training noise, on the host (H11, H22); zero where the first round must generate (H13).
std::vector<float> drawn_gate(const Model::Reading& reading, int64_t rows, const StepOptions& options,
                              const RoundDraw& draw);
// 1 - g (1 - m) for each token, g hard with the gradient of the gate: g = 0 keeps all, and the gate still learns (H11).
Tensor effective_keep(const Tensor& keep_N, const Tensor& rows_N, const Tensor& gate_logits_B,
                      const std::vector<float>& gate_B, double threshold);
// Which of X's tokens the oracle keeps, and 1 for each row that needs the edit path (g*).
struct Labels {
  std::vector<uint8_t> keep_N, needs_B;
};
Labels oracle_labels(const Rows& x, const Rows& y);
// The terms weighted and added. Throws ERR_NONFINITE.
Tensor weighted(const Terms& terms, const StepOptions& options, double& value);
// The reconstruction loss over all positions of S^ for the readings that align, 0 on no rows.
Tensor unaligned_recon(const Model& model, const States& states, const Rows& y, const StepOptions& options);
// What fills S^ for X_{l+1}.
struct Fills {
  Tensor tokens_M;
  Tensor delta_MD;  // undefined when gradients stop between rounds
};
// Where gradients pass between rounds: the argmax of the logits, noisy ones or not, and what it hands on.
Fills relaxed_fill(const Model& model, const Tensor& logits_MV, const StepOptions& options, const RoundDraw& draw);
// The first `rows` rows of S^, filled, as the next X.
Way next_way(const Way& way, const Masked& masked, const Fills& fills, const States& states, int64_t rows);

// Flags as numbers like those of a tensor.
Tensor floats(const std::vector<uint8_t>& flags, const Tensor& like);

}  // namespace merge
