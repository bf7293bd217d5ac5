// The edit oracle against brute force, and the law apply(X, oracle(X, Y)) == Y.
#define MERGE_CHECK_MAIN
#include "merge/oracle.h"

#include <tuple>

#include "check.h"
#include "merge/edit.h"
#include "random.h"

using namespace merge;

namespace {

// (matches, contiguous steps with both sentinels matched, then the pairs themselves: lowest first).
using Score = std::tuple<int, int>;

Score score(const Alignment& alignment, int32_t n, int32_t m) {
  int contiguous = 0;
  int32_t i = -1, j = -1;
  for (const auto& pair : alignment) {
    contiguous += pair.first == i + 1 && pair.second == j + 1;
    std::tie(i, j) = pair;
  }
  contiguous += i == n - 1 && j == m - 1;
  return {static_cast<int>(alignment.size()), contiguous};
}

// Every common subsequence of x[i:] and y[j:], by taking or leaving x[i].
void enumerate(const std::vector<int32_t>& x, const std::vector<int32_t>& y, int32_t i, int32_t j, Alignment& current,
               Alignment& best) {
  if (i == static_cast<int32_t>(x.size())) {
    const auto n = static_cast<int32_t>(x.size()), m = static_cast<int32_t>(y.size());
    const auto here = score(current, n, m), top = score(best, n, m);
    if (here > top || (here == top && current < best)) best = current;
    return;
  }
  for (int32_t k = j; k < static_cast<int32_t>(y.size()); ++k) {
    if (y[k] != x[i]) continue;
    current.emplace_back(i, k);
    enumerate(x, y, i + 1, k + 1, current, best);
    current.pop_back();
  }
  enumerate(x, y, i + 1, j, current, best);
}

std::vector<std::vector<int32_t>> all_strings(int longest, int symbols) {
  std::vector<std::vector<int32_t>> strings{{}};
  for (size_t from = 0, length = 0; length < static_cast<size_t>(longest); ++length) {
    const size_t until = strings.size();
    for (; from < until; ++from) {
      for (int s = 0; s < symbols; ++s) {
        strings.push_back(strings[from]);
        strings.back().push_back(s);
      }
    }
  }
  return strings;
}

std::vector<int32_t> random_string(const Random& random, uint64_t key, int longest, int symbols) {
  std::vector<int32_t> s(static_cast<size_t>(random.uniform(key, 0) * (longest + 1)));
  for (size_t i = 0; i < s.size(); ++i) s[i] = static_cast<int32_t>(random.uniform(key, i + 1) * symbols);
  return s;
}

// Deletes what is not kept, inserts masks, writes the targets into them.
std::vector<int32_t> apply(const std::vector<int32_t>& x, const std::vector<int32_t>& y) {
  Rows rows;
  rows.append(x);
  const auto alignment = align(x, y);
  const Skeleton skeleton = drop(rows, kept(static_cast<int64_t>(x.size()), alignment));
  const auto s = skeleton.rows.row(0);
  const auto wanted = insertions(static_cast<int64_t>(s.size()), y, align(s, y));
  Masked masked = insert(skeleton, wanted.counts, -7);
  for (size_t m = 0; m < masked.masks.size(); ++m) masked.rows.tokens[masked.masks[m]] = wanted.targets[m];
  return masked.rows.tokens;
}

}  // namespace

TEST(agrees_with_brute_force_on_all_pairs_up_to_length_6_over_3_symbols) {
  const auto strings = all_strings(6, 3);
  int64_t wrong = 0;
  for (size_t a = 0; a < strings.size(); ++a) {
    for (size_t b = 0; b < strings.size(); ++b) {
      Alignment current, best;
      enumerate(strings[a], strings[b], 0, 0, current, best);
      wrong += align(strings[a], strings[b]) != best;
    }
  }
  CHECK(wrong == 0);
}

TEST(agrees_with_the_plain_dynamic_programme_on_longer_rows) {
  const Random random(2, 0, 0, Purpose::kSample);
  int64_t wrong = 0;
  for (uint64_t pair = 0; pair < 6000; ++pair) {
    const int symbols = 1 + static_cast<int>(pair % 40), longest = pair % 3 == 0 ? 150 : 70;
    const auto x = random_string(random, 2 * pair, longest, symbols);
    auto y = random_string(random, 2 * pair + 1, longest, symbols);
    if (pair % 2 == 0) {  // X with some tokens lost, doubled or changed: long common runs and a shared beginning
      y.clear();
      for (size_t i = 0; i < x.size(); ++i) {
        const double draw = random.uniform(pair, 1000 + i);
        if (draw > .1) y.push_back(draw < .2 ? static_cast<int32_t>(pair % symbols) : x[i]);
        if (draw > .9) y.push_back(x[i]);
      }
    }
    wrong += align(x, y) != align_reference(x, y);
  }
  CHECK(wrong == 0);
}

TEST(rows_of_whole_words_and_one_beside) {
  const Random random(3, 0, 0, Purpose::kSample);
  for (const size_t n : {63, 64, 65, 128, 129}) {
    for (const size_t m : {63, 64, 65, 128, 129}) {
      std::vector<int32_t> x(n), y(m);
      for (size_t i = 0; i < n; ++i) x[i] = static_cast<int32_t>(random.uniform(n, i) * 3) - 1;
      for (size_t j = 0; j < m; ++j) y[j] = static_cast<int32_t>(random.uniform(m + 1000, j) * 3) - 1;
      CHECK(align(x, y) == align_reference(x, y));
    }
  }
}

TEST(applied_oracle_gives_the_target_for_100000_random_pairs) {
  const Random random(1, 0, 0, Purpose::kSample);
  int64_t wrong = 0;
  for (uint64_t pair = 0; pair < 100000; ++pair) {
    const int symbols = 1 + static_cast<int>(pair % 7);
    const auto x = random_string(random, 2 * pair, 14, symbols), y = random_string(random, 2 * pair + 1, 14, symbols);
    wrong += apply(x, y) != y;
  }
  CHECK(wrong == 0);
}

TEST(doubled_letters_keep_the_leftmost_contiguous_run) {
  const std::vector<int32_t> x{1, 2, 2, 2, 3}, y{1, 2, 2, 3};
  const auto keep = kept(5, align(x, y));
  CHECK(keep == std::vector<uint8_t>({1, 1, 1, 0, 1}));
}

TEST(wrong_tokens_that_stayed_leave_their_gap_to_the_left) {
  const std::vector<int32_t> s{9, 1, 8, 3}, y{1, 2, 3, 4};
  const auto wanted = insertions(4, y, align(s, y));
  CHECK(wanted.counts == std::vector<int32_t>({0, 0, 1, 0, 1}));
  CHECK(wanted.targets == std::vector<int32_t>({2, 4}));
}

TEST(dropped_spans_name_what_stood_at_each_gap) {
  Rows x;
  x.append(std::vector<int32_t>{5, 6, 7, 8});
  x.append(std::vector<int32_t>{});
  x.append(std::vector<int32_t>{9});
  const auto spans = dropped_spans(x, drop(x, {0, 1, 0, 0, 0}));
  const std::vector<std::pair<int64_t, int64_t>> expected{{0, 1}, {2, 4}, {4, 4}, {4, 5}};
  CHECK(spans == expected);
}
