// Choice: the token that fills a mask.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/head.h"

namespace merge {

struct Choice {
  int64_t token;
  float probability;  // the model's own, at temperature 1
};

// What may be written, and where.
struct FillRules {
  std::vector<int64_t> places;         // ids that are places, not text: padding, sentinels, masks and separators
  int64_t shift;                       // the token that changes the one behind it, -1: there is none
  std::vector<int64_t> before_locked;  // masks that may not become it
};

// softmax over the tokens that may be written: logits [m, V] of the masks from `begin` on -> [m, V].
Tensor fill_probability(const Tensor& logits_mV, int64_t begin, const FillRules& rules);

// The most probable token of each mask, of which the head reads masks_MD; ties go to the lower id.
std::vector<Choice> likeliest(const nn::Head& head, const Tensor& masks_MD, const FillRules& rules);

}  // namespace merge
