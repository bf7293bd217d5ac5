// Model: the MERGE network: encoder, head, gate, deleter, inserter, and the carry of condition H30.
#pragma once

#include <memory>

#include "merge/deleter.h"
#include "merge/edit.h"
#include "merge/gate.h"
#include "merge/inserter.h"
#include "nn/placement.h"
#include "record.h"

namespace merge {

struct ModelOptions {
  int64_t max_length, max_insert;
  int32_t pad, bos, eos, mask, sep;
  bool literal;       // profile: trained by the seed's own formulas
  bool carry;         // condition: masks remember what was deleted in their gap
  int64_t encodings;  // encoder passes a round: 1, 2 or 3 (H17)
  nn::Placement placement;
  nn::EncoderOptions encoder;

  explicit ModelOptions(const Record& config);
  nn::Sentinels sentinels() const { return {bos, eos, sep}; }
};

// Hidden states of rows between their sentinels: row r is positions offsets[r] .. offsets[r + 1], BOS first.
struct States {
  Offsets offsets;
  Tensor hidden_TD;

  int64_t token(int64_t r, int64_t i) const { return offsets[r] + 1 + i; }
};

// Tokens of X that an earlier round filled, and what their choice adds to their embedding: zeros with a gradient
// (rounds gradient `st` and `gumbel`).
struct Relaxed {
  std::vector<int64_t> tokens;  // packed index in X
  Tensor delta_MD;
};

// What may stand beside X in an encoding; all of it may be absent.
struct Beside {
  Rows conditions;  // no rows at all, or one for each row of X: read-only tokens before it (H18)
  Relaxed relaxed;
};

class Model {
 public:
  explicit Model(const Record& config);

  // E of rows.
  States encode(const Rows& x, const Beside& beside = {}) const;

  // What the gate and the deleter say about encoded rows.
  struct Reading {
    States states;
    Tensor keep_T;  // keep logits
    Tensor gate_B;  // gate logits
  };
  Reading judge(States states) const;
  Reading read(const Rows& x, const Beside& beside = {}) const { return judge(encode(x, beside)); }

  const nn::Head& head() const { return encoder_.head(); }

  // D2 on S: on the kept states of E(X), or with three encodings on E(S). keep_N, if given, is the straight-through
  // keep of X's tokens: dropped ones then stay as soft keys of D2's block (H8).
  Inserter::Output gaps(const States& of_x, const Rows& x, const Skeleton& skeleton, const Beside& beside = {},
                        const Tensor& keep_N = {}) const;

  // E(S^), and what the head reads at its masks, in order. `x` gives what was dropped at each gap.
  struct Filled {
    States states;  // of S^
    Tensor masks_MD;
  };
  // Gradients that reach the filling: keep_N as in gaps; select_M, the relaxed selection of each mask's gap, scales the
  // mask's embedding by 1 + z - sg(z).
  struct Straight {
    Tensor keep_N, select_M;
  };
  Filled fill(const Rows& x, const Skeleton& skeleton, const Masked& masked, const Beside& beside = {},
              const Straight& straight = {}) const;

  // p - sg(p) over the vocabulary, as an embedding: [M, V] -> [M, D]; zeros with a gradient.
  Tensor relaxed_embedding(const Tensor& probability_MV) const { return encoder_.mixed_embedding(probability_MV); }

  // What learns until the next call: E but for its first layers (nn::Encoder::freeze) and H, and the other modules.
  struct Learners {
    int64_t frozen_layers;
    bool modules;
  };
  void let_learn(Learners learners) const;

  const ModelOptions& options() const { return options_; }
  // Where D2's training puts the number of masks; literal and budget need its scores alone.
  CountSource count_source() const { return inserter_.source(); }
  nn::Parameters& parameters() { return parameters_; }
  const nn::Parameters& parameters() const { return parameters_; }

 private:
  Tensor embed(const nn::Packed& packed, const Relaxed& relaxed, const std::vector<int64_t>& places_N) const;
  Tensor carried(const Rows& x, const Skeleton& skeleton, const Masked& masked) const;

  ModelOptions options_;
  nn::Parameters parameters_;
  nn::Encoder encoder_;
  Deleter deleter_;
  Inserter inserter_;
  Gate gate_;
  Tensor carry_;
};

}  // namespace merge
