// Levt: the Levenshtein Transformer (Gu et al. 2019, arXiv 1905.11006): MERGE's encoder under the paper's three heads.
// Decision: the paper reads a source through an encoder and cross attention, and edits y^0 under it. Here the draft is
// y^0 and the only input, as where the paper refines; so every family of this package sees the same of an example.
#pragma once

#include "merge/model.h"

namespace merge::baselines {

struct LevtOptions {
  int64_t max_length, max_insert;
  int32_t pad, bos, eos, mask, sep;  // the mask is the paper's placeholder
  nn::Placement placement;
  nn::EncoderOptions encoder;

  explicit LevtOptions(const Record& config);
  // Ids that are places, not text.
  std::vector<int64_t> places() const { return {pad, bos, eos, mask, sep}; }
};

class Levt {
 public:
  explicit Levt(const Record& config);

  // The backbone that the three policies share.
  States encode(const Rows& rows) const;
  // pi_del: the logit that a token stays, of every position, [T]. A softmax over stay and go is the sigmoid of their
  // difference.
  Tensor keep(const Tensor& hidden_TD) const;
  // pi_plh: logits of 0 .. max_insert placeholders for each gap between neighbours, [G, C].
  Tensor placeholders(const States& states) const;
  // pi_tok.
  const nn::Head& head() const { return encoder_.head(); }

  const LevtOptions& options() const { return options_; }
  nn::Parameters& parameters() { return parameters_; }

 private:
  LevtOptions options_;
  nn::Parameters parameters_;
  nn::Encoder encoder_;
  Tensor deletion_, deletion_bias_, left_, right_, placeholder_bias_;
};

// Packed positions of the rows' tokens, without their sentinels.
std::vector<int64_t> token_positions(const States& states);

// What the head reads at the masks of some rows, in order, [M, D]; rows without a mask are not read. `passes` and
// `positions` count what was.
struct Reading {
  int64_t passes = 0, positions = 0;
};
Tensor mask_states(const Levt& model, const Masked& masked, Reading& reading);

}  // namespace merge::baselines
