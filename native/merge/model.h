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
  bool carry;
  nn::Placement placement;
  nn::EncoderOptions encoder;

  explicit ModelOptions(const Record& config);
};

class Model {
 public:
  explicit Model(const Record& config);

  // What one encoding of X says about its rows.
  struct Reading {
    nn::Packed packed;
    Tensor hidden_TD;
    Tensor keep_T;  // keep logits
    Tensor gate_B;  // gate logits
  };
  Reading read(const Rows& x) const;

  // The head at every position of a reading, [T, V]: for inspection.
  Tensor logits(const Reading& reading) const { return encoder_.logits(reading.hidden_TD); }

  // D2 on the kept states of a reading.
  Inserter::Output gaps(const Reading& reading, const Skeleton& skeleton) const;

  // E(S^) and the head at its masks: logits [M, V] of the masks in order. `x` gives what was dropped at each gap.
  Tensor fill(const Rows& x, const Skeleton& skeleton, const Masked& masked) const;

  const ModelOptions& options() const { return options_; }
  nn::Parameters& parameters() { return parameters_; }
  const nn::Parameters& parameters() const { return parameters_; }

 private:
  ModelOptions options_;
  nn::Parameters parameters_;
  nn::Encoder encoder_;
  Deleter deleter_;
  Inserter inserter_;
  Gate gate_;
  Tensor carry_;
};

}  // namespace merge
