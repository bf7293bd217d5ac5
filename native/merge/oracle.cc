// The edit oracle: lengths as bit rows, then a dynamic programme over the few matches that lie on a longest common
// subsequence, walked from the left.
#include "merge/oracle.h"

#include <algorithm>
#include <bit>

#include "merge/lcs_bits.h"

namespace merge {
namespace {

// A match outweighs any number of contiguous steps, of which there are at most |X| + 1.
constexpr int64_t kMatch = int64_t{1} << 24;

// A match x[i] == y[j] on some longest common subsequence, of which it is pair number `rank` (from 0).
struct Match {
  int32_t i, j, rank;
  int32_t diagonal = -1;       // the match (i + 1, j + 1)
  int32_t begin = 0, end = 0;  // the matches that may follow it
  int32_t steps = 0;           // most contiguous steps from here on
};

// All such matches, sorted by rank, then i upwards, then j downwards; and where each rank begins. Of two matches of
// one rank none lies right of and below the other, so j never rises along a rank.
struct Matches {
  std::vector<Match> all;
  std::vector<int32_t> begin;  // [ranks + 1]
};

// Cells (i, t) from which a longest common subsequence of the whole can be completed, as bits of one row i.
class OpenCells {
 public:
  OpenCells(const LcsBits& lengths, int64_t columns)
      : lengths_(lengths), bits_(static_cast<size_t>(lengths.words())), first_(columns / 64), last_(columns / 64) {
    bits_[last_] = uint64_t{1} << (columns % 64);
    spread(0);
  }
  // Words that may hold one.
  int64_t first() const { return first_; }
  int64_t last() const { return last_; }
  uint64_t word(int64_t w) const { return bits_[w]; }
  // Cells t with the token below them, as bits of the tokens.
  uint64_t with_token(int64_t w) const { return bits_[w] >> 1 | (w < last_ ? bits_[w + 1] << 63 : 0); }

  // From row i to row i + 1: leave out x[i] where that loses nothing, or match it.
  void advance(int64_t i) {
    const uint64_t *same = lengths_.same(i), *loss = lengths_.loss(i);
    if (same != nullptr) {
      if (first_ > 0) --first_;
      for (int64_t w = first_; w <= last_; ++w) bits_[w] = (bits_[w] & ~loss[w]) | (with_token(w) & same[w]);
    }
    spread(i + 1);
  }

 private:
  // Leave out tokens of Y where that loses nothing: bits run down along the 1s of the level.
  void spread(int64_t i) {
    const uint64_t* level = lengths_.level(i);
    while (last_ > 0 && bits_[last_] == 0) --last_;
    uint64_t from_above = 0;
    int64_t w = last_;
    for (; w >= first_ || (from_above != 0 && w >= 0); --w) {
      uint64_t along = level[w], reached = bits_[w] | (from_above & along);
      for (int shift = 1; shift < 64; shift *= 2) {
        reached |= (reached >> shift) & along;
        along &= along >> shift;
      }
      bits_[w] = reached;
      from_above = reached << 63;
    }
    first_ = w + 1;
    while (first_ < last_ && bits_[first_] == 0) ++first_;
  }

  const LcsBits& lengths_;
  std::vector<uint64_t> bits_;
  int64_t first_, last_;
};

Matches find_matches(std::span<const int32_t> x, std::span<const int32_t> y) {
  const int64_t n = static_cast<int64_t>(x.size()), m = static_cast<int64_t>(y.size());
  const LcsBits lengths(x, y);
  const int64_t longest = lengths.length();
  Matches matches;
  matches.begin.assign(static_cast<size_t>(longest) + 1, 0);
  // 1) by rows: an open cell whose token matches
  std::vector<Match> found;
  found.reserve(static_cast<size_t>(2 * std::max(n, m)));
  std::vector<int32_t> newest(static_cast<size_t>(m) + 1, -1);  // by j + 1: the newest match (i, j), a row up or older
  OpenCells open(lengths, m);
  for (int64_t i = 0; i < n; open.advance(i++)) {
    const uint64_t* same = lengths.same(i);
    if (same == nullptr) continue;
    const uint64_t* level = lengths.level(i);
    int64_t below = 0;  // S(i, t) at the first column of word w
    for (int64_t w = 0; w <= open.last(); below += std::popcount(~level[w++])) {
      for (uint64_t bits = open.with_token(w) & same[w]; bits != 0; bits &= bits - 1) {
        const uint64_t lowest = bits & -bits;
        const int64_t t = w * 64 + std::countr_zero(bits), j = m - 1 - t;
        const int64_t rank = longest - (below + std::popcount(~level[w] & (lowest | (lowest - 1))));  // - S(i, t + 1)
        const auto number = static_cast<int32_t>(found.size());
        found.push_back({static_cast<int32_t>(i), static_cast<int32_t>(j), static_cast<int32_t>(rank)});
        // Columns of Y are met downwards, so the match one column left is still that of an earlier row.
        if (const int32_t up = newest[j]; up >= 0 && found[up].i == i - 1) found[up].diagonal = number;
        newest[j + 1] = number;
        ++matches.begin[rank + 1];
      }
    }
  }
  // 2) by rank
  for (int64_t r = 0; r < longest; ++r) matches.begin[r + 1] += matches.begin[r];
  std::vector<int32_t> next = matches.begin, place(found.size());
  for (size_t f = 0; f < found.size(); ++f) place[f] = next[found[f].rank]++;
  matches.all.resize(found.size());
  for (size_t f = 0; f < found.size(); ++f) {
    if (found[f].diagonal >= 0) found[f].diagonal = place[found[f].diagonal];
    matches.all[place[f]] = found[f];
  }
  return matches;
}

// Most contiguous steps from each match on, last rank first. What may follow a match is a stretch of the next rank that
// only moves to the right along this one: its maximum comes from a queue of falling values.
void count_steps(Matches& matches, int32_t n, int32_t m) {
  std::vector<Match>& all = matches.all;
  const int64_t ranks = static_cast<int64_t>(matches.begin.size()) - 1;
  std::vector<int32_t> queue(all.size());
  for (int64_t r = ranks - 1; r >= 0; --r) {
    const bool is_last = r + 1 == ranks;
    int32_t begin = matches.begin[r + 1], end = begin;
    const int32_t limit = is_last ? begin : matches.begin[r + 2];
    size_t front = 0, back = 0;
    for (int32_t f = matches.begin[r]; f < matches.begin[r + 1]; ++f) {
      Match& match = all[f];
      if (is_last) {
        match.steps = match.i == n - 1 && match.j == m - 1;
        continue;
      }
      for (; end < limit && all[end].j > match.j; ++end) {
        while (back > front && all[queue[back - 1]].steps <= all[end].steps) --back;
        queue[back++] = end;
      }
      while (begin < end && all[begin].i <= match.i) ++begin;
      while (front < back && queue[front] < begin) ++front;
      match.begin = begin;
      match.end = end;
      match.steps = all[queue[front]].steps;
      if (match.diagonal >= 0) match.steps = std::max(match.steps, all[match.diagonal].steps + 1);
    }
  }
}

}  // namespace

Alignment align(std::span<const int32_t> x, std::span<const int32_t> y) {
  // A shared beginning is matched in the best alignment: moving the first token's partner to the front loses at most
  // one contiguous step, wins one, and lies further left. (A shared end is not: there the tie goes to the left.)
  Alignment pairs;
  int32_t shared = 0;
  const size_t shorter = std::min(x.size(), y.size());
  for (; static_cast<size_t>(shared) < shorter && x[shared] == y[shared]; ++shared) pairs.emplace_back(shared, shared);
  if (static_cast<size_t>(shared) == shorter) return pairs;
  const auto rest_x = x.subspan(static_cast<size_t>(shared)), rest_y = y.subspan(static_cast<size_t>(shared));
  Matches matches = find_matches(rest_x, rest_y);
  const int64_t ranks = static_cast<int64_t>(matches.begin.size()) - 1;
  if (ranks == 0) return pairs;
  count_steps(matches, static_cast<int32_t>(rest_x.size()), static_cast<int32_t>(rest_y.size()));
  // Among the best followers the leftmost in X, then in Y; within one i they come with j downwards.
  const std::vector<Match>& all = matches.all;
  int32_t begin = matches.begin[0], end = matches.begin[1], diagonal = -1;
  for (int64_t r = 0; r < ranks; ++r) {
    int32_t best = -1, best_steps = -1;
    for (int32_t f = begin; f < end; ++f) {
      const bool contiguous = r == 0 ? all[f].i == 0 && all[f].j == 0 : f == diagonal;
      const int32_t steps = all[f].steps + (contiguous ? 1 : 0);
      if (steps < best_steps || (steps == best_steps && all[f].i != all[best].i)) continue;
      best = f;
      best_steps = steps;
    }
    pairs.emplace_back(shared + all[best].i, shared + all[best].j);
    begin = all[best].begin;
    end = all[best].end;
    diagonal = all[best].diagonal;
  }
  return pairs;
}

Alignment align_reference(std::span<const int32_t> x, std::span<const int32_t> y) {
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
