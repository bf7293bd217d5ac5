// Counts: every source's rule on rows worked out by hand, which gaps may take masks, ties, and the cut at the longest
// row.
#define MERGE_CHECK_MAIN
#include "merge/counts.h"

#include "check.h"

using namespace merge;

namespace {

Rows rows_of(const std::vector<int64_t>& lengths) {
  Rows rows;
  for (const int64_t length : lengths) rows.append(std::vector<int32_t>(static_cast<size_t>(length), 7));
  return rows;
}

// Rows of `before` tokens of which `after` are left; S has a gap more than tokens in each row.
struct Case {
  std::vector<int64_t> before, after;
  Inserter::Output gaps;
  std::vector<uint8_t> open;  // empty: all gaps are open
  CountOptions options;
  std::vector<uint8_t> closed = {};

  Counts counts() const {
    const Rows x = rows_of(before);
    const Skeleton skeleton{rows_of(after), {}};
    size_t all = 0;
    for (const int64_t length : after) all += static_cast<size_t>(length) + 1;
    const auto open_G = open.empty() ? std::vector<uint8_t>(all, 1) : open;
    const auto closed_B = closed.empty() ? std::vector<uint8_t>(before.size()) : closed;
    return choose_counts(gaps, x, skeleton, open_G, closed_B, options);
  }
};

constexpr int64_t kLong = 100;
using Numbers = std::vector<int32_t>;
using Flags = std::vector<uint8_t>;

Tensor floats(const std::vector<float>& values) { return at::tensor(values); }

Inserter::Output scored(const std::vector<float>& scores) {
  return {.score_G = floats(scores), .count_GC = {}, .rate_G = {}, .total_B = {}};
}

// Logits of the counts 0, 1, 2 of each gap.
Inserter::Output counted(const std::vector<float>& logits) {
  const auto gaps = static_cast<int64_t>(logits.size()) / 3;
  return {.score_G = at::zeros({gaps}), .count_GC = floats(logits).view({gaps, 3}), .rate_G = {}, .total_B = {}};
}

CountOptions from(CountSource source, int64_t max_length = kLong) {
  return {.source = source, .length_ratio = 1, .target_length = 0, .max_length = max_length};
}

}  // namespace

TEST(counts_are_the_likeliest_and_at_least_one_where_they_must) {
  // Likeliest 2, 0 and 1; of those above 0: 2, 2 and 1. A tie is the lower count.
  const auto gaps = counted({0, 1, 2, 3, 0, 1, 0, 4, 4});
  CHECK((Case{{2}, {2}, gaps, {1, 1, 1}, from(CountSource::kCounts)}.counts().counts_G == Numbers{2, 0, 1}));
  CHECK((Case{{2}, {2}, gaps, {0, 1, 0}, from(CountSource::kCounts)}.counts().counts_G == Numbers{0, 0, 0}));
  CHECK((Case{{2}, {2}, gaps, {2, 2, 2}, from(CountSource::kCounts)}.counts().counts_G == Numbers{2, 2, 1}));
}

TEST(expected_counts_are_rounded) {
  Inserter::Output gaps = scored({0, 0, 0, 0});
  gaps.rate_G = floats({std::log(.4F), std::log(1.4F), std::log(2.6F), -50});
  CHECK((Case{{3}, {3}, gaps, {}, from(CountSource::kPoisson)}.counts().counts_G == Numbers{0, 1, 3, 0}));
  CHECK((Case{{3}, {3}, gaps, {2, 1, 0, 2}, from(CountSource::kPoisson)}.counts().counts_G == Numbers{1, 1, 0, 1}));
}

TEST(a_total_is_shared_out_by_score) {
  // Shares of 5 among e^0, e^log 2, e^log 2: 1, 2, 2; without the last gap 5 / 3 and 10 / 3: the larger rest gets the
  // one.
  Inserter::Output gaps = scored({0, std::log(2.F), std::log(2.F)});
  gaps.total_B = floats({std::log(5.F)});
  CHECK((Case{{2}, {2}, gaps, {}, from(CountSource::kLength)}.counts().counts_G == Numbers{1, 2, 2}));
  CHECK((Case{{2}, {2}, gaps, {1, 1, 0}, from(CountSource::kLength)}.counts().counts_G == Numbers{2, 3, 0}));
  CHECK((Case{{2}, {2}, gaps, {0, 0, 0}, from(CountSource::kLength)}.counts().counts_G == Numbers{0, 0, 0}));
  gaps.total_B = floats({-20});
  CHECK((Case{{2}, {2}, gaps, {2, 1, 1}, from(CountSource::kLength)}.counts().counts_G == Numbers{1, 0, 0}));
}

TEST(the_seeds_rule_brings_back_what_was_deleted_one_a_gap) {
  // Three of five deleted: two of three gaps at ratio .5 (1.5 is rounded up), the best ones; a tie is the lower gap.
  CountOptions options = from(CountSource::kLiteral);
  options.length_ratio = .5;
  CHECK((Case{{5}, {2}, scored({1, 3, 1}), {}, options}.counts().counts_G == Numbers{1, 1, 0}));
  // At least one, even if nothing was deleted; gaps that must take one come first and are not limited by k.
  CHECK((Case{{2}, {2}, scored({1, 3, 1}), {}, options}.counts().counts_G == Numbers{0, 1, 0}));
  CHECK((Case{{2}, {2}, scored({1, 3, 1}), {2, 1, 2}, options}.counts().counts_G == Numbers{1, 0, 1}));
  CHECK((Case{{5}, {2}, scored({1, 3, 1}), {0, 0, 1}, options}.counts().counts_G == Numbers{0, 0, 1}));
}

TEST(a_budget_fills_up_to_the_wanted_length) {
  CountOptions options = from(CountSource::kBudget);
  options.target_length = 4;
  CHECK((Case{{2}, {2}, scored({1, 3, 2}), {}, options}.counts().counts_G == Numbers{0, 1, 1}));
  options.target_length = 1;
  CHECK((Case{{2}, {2}, scored({1, 3, 2}), {}, options}.counts().counts_G == Numbers{0, 0, 0}));
}

TEST(rows_have_their_own_gaps_and_closed_ones_none) {
  const auto gaps = counted({0, 9, 0, 0, 0, 9, 9, 0, 0, 0, 9, 0, 0, 9, 0});
  const Case both{{1, 2}, {1, 2}, gaps, {}, from(CountSource::kCounts)};
  CHECK((both.counts().counts_G == Numbers{1, 2, 0, 1, 1}));
  Case closed = both;
  closed.closed = {1, 0};
  CHECK((closed.counts().counts_G == Numbers{0, 0, 0, 1, 1}));
  CHECK((closed.counts().truncated_B == Flags{0, 0}));
}

TEST(a_cut_takes_from_the_gap_that_wants_least) {
  // Wanted 2, 1 and 2; the middle gap is the least sure to want any, and of the equal ones the right is cut first.
  const auto gaps = counted({0, 0, 9, 0, 1, 0, 0, 0, 9});
  const auto cut = [&](int64_t max_length) {
    return Case{{2}, {2}, gaps, {}, from(CountSource::kCounts, max_length)}.counts();
  };
  CHECK((cut(7).counts_G == Numbers{2, 1, 2} && cut(7).truncated_B == Flags{0}));
  CHECK((cut(6).counts_G == Numbers{2, 0, 2} && cut(6).truncated_B == Flags{1}));
  CHECK((cut(5).counts_G == Numbers{2, 0, 1} && cut(5).truncated_B == Flags{1}));
  CHECK((cut(3).counts_G == Numbers{1, 0, 0} && cut(3).truncated_B == Flags{1}));
  CHECK((cut(2).counts_G == Numbers{0, 0, 0} && cut(2).truncated_B == Flags{1}));
}

TEST(shares_become_whole_numbers_with_the_same_sum) {
  CHECK((apportion({1.5, .5, 2}, 4) == Numbers{2, 0, 2}));
  CHECK((apportion({.4, .4, .2}, 1) == Numbers{1, 0, 0}));
  CHECK((apportion({}, 3) == Numbers{}));
}
