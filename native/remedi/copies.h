// Copies: training rows [prompt | clean answer | noisy answer], by which one pass shows every block of an answer in a
// noisy state behind its clean past (spec section 3).
#pragma once

#include "remedi/model.h"

namespace merge::remedi {

// A positions of noisy tokens, row by row.
struct Copies {
  Sequence sequence;
  Tensor bias;
  Tensor noisy_A;  // int64, where the noisy tokens stand among the packed positions
};

// `whole`: prompt and clean answer of each row; `noisy`: the answers' noisy copies, of whole blocks, which take the
// positions of the clean tokens. What comes before the answer in a row of `whole` is its prompt.
Copies copies(const Model& model, const Rows& whole, const Rows& noisy, int64_t block_length);

// Throws ERR_SHAPE unless the rows are as `copies` wants them; ids and lengths against the model.
void check_copies(const ModelOptions& options, const Rows& whole, const Rows& noisy, int64_t block_length);

}  // namespace merge::remedi
