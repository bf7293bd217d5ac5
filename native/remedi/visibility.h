// Visibility: which position of a row sees which. A row is a prompt, the clean blocks of an answer, and noisy copies of
// those blocks in any order (spec section 3); generation without a cache has no copies.
#pragma once

#include <vector>

#include "ops/tensor.h"

namespace merge::remedi {

// What a position is part of.
struct Place {
  static constexpr int32_t kPadding = -1;
  static constexpr int32_t kPrompt = 0;

  int32_t block;  // kPrompt, 1 .. of the answer, or kPadding
  bool noisy = false;

  bool operator==(const Place&) const = default;
};

// Decision: block-causal. Prompt sees prompt; a clean block the prompt, earlier clean blocks and itself; a noisy block
// the prompt, the clean blocks before its own, and itself. Of padding, a position sees itself alone, and nobody sees
// it.
bool sees(const Place& query, const Place& key);

// The bias [1, S] for ops::ragged_attention: 0 where a position sees another, -inf elsewhere. Undefined where all see
// all. places_T: one per packed position.
Tensor visibility_bias(const std::vector<Place>& places_T, const Offsets& offsets, at::Device device);

}  // namespace merge::remedi
