// The edit oracle: which tokens of X to keep and what to insert so that X becomes Y (spec section 4).
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace merge {

// Matched pairs (i, j) with x[i] == y[j], increasing in both: a longest common subsequence. Among those of equal length
// the one with the most contiguous steps (the sentinels count as a match before and after), then the leftmost in X.
using Alignment = std::vector<std::pair<int32_t, int32_t>>;

Alignment align(std::span<const int32_t> x, std::span<const int32_t> y);
// The same by one plain dynamic programme over all pairs of suffixes.
Alignment align_reference(std::span<const int32_t> x, std::span<const int32_t> y);

// What to insert into S, gap by gap: gap g lies before token g of S, gap |S| after the last.
// targets are the missing tokens of all gaps, one gap after the other. Tokens of S that Y lacks stay where they are;
// what is missing around them goes into the first gap after the match on their left.
struct Insertions {
  std::vector<int32_t> counts;   // [|S| + 1]
  std::vector<int32_t> targets;  // [sum of counts]
};

Insertions insertions(int64_t length, std::span<const int32_t> y, const Alignment& alignment);

// 1 for each token of X that the alignment matches.
std::vector<uint8_t> kept(int64_t length, const Alignment& alignment);

}  // namespace merge
