// Attention of every position to the positions of its own row, over packed rows: no padding exists to be masked.
#pragma once

#include "ops/tensor.h"

namespace merge::ops {

// Heads of queries, H, and of keys and values, G; H / G neighbouring query heads share a key head.
struct Heads {
  int64_t queries;
  int64_t keys;
};

// qkv [T, (H + 2G) K] as [q | k | v] -> [T, H K]; softmax(q k^T / sqrt(K) + bias) v inside each row.
// bias, if given: [1 or H, S], what is added to the scores (query, key) of each row, all rows packed one after another
// as square_offsets says; -inf hides a key (its weight is 0), as
// long as the query sees another. It may carry a gradient.
// angles, if given: [T, K] of ops::rope_angles, by which queries and keys turn first, as ops::rope does.
Tensor ragged_attention(const Tensor& qkv, const Offsets& offsets, Heads heads, const Tensor& bias = {},
                        const Tensor& angles_TK = {});
Tensor ragged_attention_reference(const Tensor& qkv, const Offsets& offsets, Heads heads, const Tensor& bias = {});

// Where the n x n scores of each row begin; the last entry is their total S.
std::vector<int64_t> square_offsets(const Offsets& offsets);

// The bias [1, S] that adds bias_T of a key to each of its scores.
Tensor key_bias(const Tensor& bias_T, const Offsets& offsets);

}  // namespace merge::ops
