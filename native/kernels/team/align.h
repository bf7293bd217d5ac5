// The edit oracle of a pair of rows by a team: dynamic programming along anti-diagonals, whose cells do not depend on
// each other. Definitions and ties are those of merge/oracle.h.
#pragma once

#include "kernels/team/team.h"

namespace merge::kernels {

// One match weighs more than all contiguous steps together.
constexpr int32_t kMatchWeight = 1 << 15;

struct Pair {
  const int32_t* x;
  const int32_t* y;
  int64_t n, m;  // their lengths, each below 2^15
};

// Levenshtein's distance of x and y; diagonals [3, n + 1] is room for the last three.
template <typename Team>
MERGE_KERNEL int32_t distance_pair(Team& team, const Pair& pair, int32_t* diagonals) {
  const int64_t n = pair.n, m = pair.m, width = n + 1;
  for (int64_t d = 0; d <= n + m; ++d) {
    int32_t* now = diagonals + d % 3 * width;
    const int32_t* one = diagonals + (d + 2) % 3 * width;  // cells (i - 1, j) and (i, j - 1)
    const int32_t* two = diagonals + (d + 1) % 3 * width;  // cell (i - 1, j - 1)
    const int64_t first = d > m ? d - m : 0, last = d < n ? d : n;
    for (int64_t i = first + team.rank(); i <= last; i += team.size()) {
      const int64_t j = d - i;
      if (i == 0 || j == 0) {
        now[i] = static_cast<int32_t>(d);
        continue;
      }
      const int32_t either = (one[i - 1] < one[i] ? one[i - 1] : one[i]) + 1;
      const int32_t both = two[i - 1] + (pair.x[i - 1] == pair.y[j - 1] ? 0 : 1);
      now[i] = either < both ? either : both;
    }
    team.wait();
  }
  return diagonals[(n + m) % 3 * width + n];
}

// Best values of all pairs of suffixes, [(n + 1) (m + 1)] each: `apart` when the pair before was not matched, `joined`
// when it was. Both ends of the rows count as matched.
struct Suffixes {
  int32_t* apart;
  int32_t* joined;
};

template <typename Team>
MERGE_KERNEL void value_suffixes(Team& team, const Pair& pair, Suffixes best) {
  const int64_t n = pair.n, m = pair.m, stride = m + 1;
  for (int64_t d = n + m; d >= 0; --d) {
    const int64_t first = d > m ? d - m : 0, last = d < n ? d : n;
    for (int64_t i = first + team.rank(); i <= last; i += team.size()) {
      const int64_t j = d - i, here = i * stride + j;
      if (d == n + m) {
        best.apart[here] = 0;
        best.joined[here] = 1;
        continue;
      }
      int32_t apart = -1;
      if (i < n) apart = best.apart[here + stride];
      if (j < m && best.apart[here + 1] > apart) apart = best.apart[here + 1];
      int32_t joined = apart;
      if (i < n && j < m && pair.x[i] == pair.y[j]) {
        const int32_t match = kMatchWeight + best.joined[here + stride + 1];
        if (match > apart) apart = match;
        if (match + 1 > joined) joined = match + 1;
      }
      best.apart[here] = apart;
      best.joined[here] = joined;
    }
    team.wait();
  }
}

// partner[i] = the token of y that x[i] is matched with, or -1: the leftmost of the best alignments.
template <typename Team>
MERGE_KERNEL void align_pair(Team& team, const Pair& pair, Suffixes best, int32_t* partner) {
  value_suffixes(team, pair, best);
  const int64_t stride = pair.m + 1;
  bool together = true;
  for (int64_t i = 0, j = 0; i < pair.n; ++i) {
    const int32_t value = together ? best.joined[i * stride + j] : best.apart[i * stride + j];
    int64_t found = pair.m;
    for (int64_t k = j + team.rank(); k < pair.m; k += team.size()) {
      const int64_t here = i * stride + k;
      if (k > j && best.apart[here] < value) break;  // it only falls to the right
      if (pair.x[i] != pair.y[k]) continue;
      const int32_t contiguous = together && k == j ? 1 : 0;
      if (kMatchWeight + best.joined[here + stride + 1] + contiguous != value) continue;
      found = k;
      break;
    }
    found = team.least(found);
    together = found < pair.m;
    if (team.rank() == 0) partner[i] = together ? static_cast<int32_t>(found) : -1;
    if (together) j = found + 1;
  }
}

}  // namespace merge::kernels
