// The edit oracle: one dynamic programme over suffixes, walked from the left.
#include "merge/oracle.h"

#include <algorithm>

namespace merge {
namespace {

// A match outweighs any number of contiguous steps, of which there are at most |X| + 1.
constexpr int64_t kMatch = int64_t{1} << 24;

}  // namespace

Alignment align(std::span<const int32_t> x, std::span<const int32_t> y) {
  const int64_t n = static_cast<int64_t>(x.size()), m = static_cast<int64_t>(y.size()), stride = m + 1;
  // Best value of the suffixes x[i:], y[j:]: `apart` when the pair before was not matched, `joined` when it was.
  // Both ends of the rows count as matched, so a match that touches one is contiguous with it.
  std::vector<int64_t> apart(static_cast<size_t>((n + 1) * stride)), joined(apart.size());
  for (int64_t i = n; i >= 0; --i) {
    for (int64_t j = m; j >= 0; --j) {
      const int64_t here = i * stride + j;
      if (i == n && j == m) {
        joined[here] = 1;
        continue;
      }
      int64_t best = -1;
      if (i < n) best = std::max(best, apart[here + stride]);
      if (j < m) best = std::max(best, apart[here + 1]);
      apart[here] = joined[here] = best;
      if (i < n && j < m && x[i] == y[j]) {
        const int64_t match = kMatch + joined[here + stride + 1];
        apart[here] = std::max(best, match);
        joined[here] = std::max(best, match + 1);
      }
    }
  }
  // Leftmost: the first token of X that some best alignment matches, with the first token of Y it is matched to there.
  Alignment pairs;
  bool together = true;
  for (int64_t i = 0, j = 0; i < n && j < m; ++i) {
    const int64_t best = together ? joined[i * stride + j] : apart[i * stride + j];
    for (int64_t k = j; k < m; ++k) {
      const int64_t here = i * stride + k;
      const bool contiguous = together && k == j;
      if (k > j && apart[here] < best) break;
      if (x[i] != y[k] || kMatch + joined[here + stride + 1] + (contiguous ? 1 : 0) != best) continue;
      pairs.emplace_back(static_cast<int32_t>(i), static_cast<int32_t>(k));
      j = k + 1;
      break;
    }
    together = !pairs.empty() && pairs.back().first == i;
  }
  return pairs;
}

Insertions insertions(int64_t length, std::span<const int32_t> y, const Alignment& alignment) {
  Insertions result;
  result.counts.assign(static_cast<size_t>(length) + 1, 0);
  int32_t gap = 0, next = 0;
  const auto fill_gap = [&](int32_t until) {
    result.counts[gap] += until - next;
    result.targets.insert(result.targets.end(), y.begin() + next, y.begin() + until);
  };
  for (const auto& [i, j] : alignment) {
    fill_gap(j);
    gap = i + 1;
    next = j + 1;
  }
  fill_gap(static_cast<int32_t>(y.size()));
  return result;
}

std::vector<uint8_t> kept(int64_t length, const Alignment& alignment) {
  std::vector<uint8_t> keep(static_cast<size_t>(length), 0);
  for (const auto& pair : alignment) keep[pair.first] = 1;
  return keep;
}

}  // namespace merge
