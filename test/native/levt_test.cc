// LevT's labels against brute force, and the states its two policies learn from.
#define MERGE_CHECK_MAIN
#include <algorithm>
#include <cmath>
#include <tuple>

#include "baselines/levt_rollin.h"
#include "check.h"
#include "tiny.h"

using namespace merge;
using namespace merge::baselines;

namespace {

using Row = std::vector<int32_t>;

// All rows of up to five tokens over three symbols, 5 to 7.
std::vector<Row> all_rows() {
  std::vector<Row> rows{{}};
  for (size_t r = 0; r < rows.size(); ++r) {
    if (rows[r].size() == 5) continue;
    for (int32_t symbol = 5; symbol < 8; ++symbol) {
      rows.push_back(rows[r]);
      rows.back().push_back(symbol);
    }
  }
  return rows;
}

// A way from X to Y by deletions and insertions: what stays of X, and which tokens of Y it becomes.
struct Way {
  Row stay, become;
  // Most contiguous steps first (both ends count as matched); then pair by pair further left in X, then in Y.
  Row rank(size_t n, size_t m) const {
    Row rank{0};
    int32_t i = -1, j = -1;
    for (size_t p = 0; p < stay.size(); ++p) {
      rank[0] += stay[p] == i + 1 && become[p] == j + 1;
      std::tie(i, j) = std::tie(stay[p], become[p]);
      rank.insert(rank.end(), {-i, -j});
    }
    rank[0] += i + 1 == static_cast<int32_t>(n) && j + 1 == static_cast<int32_t>(m);
    return rank;
  }
};

void try_ways(const Row& x, const Row& y, size_t i, size_t j, Way& current, Way& best) {
  // What stays longest takes the fewest operations, whatever else it is.
  const size_t can = current.stay.size() + std::min(x.size() - i, y.size() - j);
  if (can < best.stay.size()) return;
  const bool is_longer = current.stay.size() > best.stay.size();
  if (is_longer ||
      (current.stay.size() == best.stay.size() && current.rank(x.size(), y.size()) > best.rank(x.size(), y.size()))) {
    best = current;
  }
  for (size_t a = i; a < x.size(); ++a) {
    for (size_t b = j; b < y.size(); ++b) {
      if (x[a] != y[b]) continue;
      current.stay.push_back(static_cast<int32_t>(a));
      current.become.push_back(static_cast<int32_t>(b));
      try_ways(x, y, a + 1, b + 1, current, best);
      current.stay.pop_back();
      current.become.pop_back();
    }
  }
}

Way best_way(const Row& x, const Row& y) {
  Way current, best;
  try_ways(x, y, 0, 0, current, best);
  return best;
}

Rows packed(const std::vector<Row>& rows) {
  Rows result;
  for (const Row& row : rows) result.append(row);
  return result;
}

bool is_subsequence(std::span<const int32_t> part, std::span<const int32_t> whole) {
  size_t next = 0;
  for (const int32_t token : whole) next += next < part.size() && part[next] == token;
  return next == part.size();
}

Record config() {
  Record record = tiny::config();
  record.set("family", std::string("levt"));
  return record;
}

const Draws kDraws{7, 3, 0};

}  // namespace

TEST(labels_of_all_pairs_are_those_of_the_best_way) {
  const std::vector<Row> rows = all_rows();
  CHECK(rows.size() == 364);
  int64_t wrong_fates = 0, wrong_counts = 0, wrong_tokens = 0;
  for (const Row& x : rows) {
    // One X beside every Y, as a batch.
    const Rows drafts = packed(std::vector<Row>(rows.size(), x)), targets = packed(rows);
    const std::vector<uint8_t> keep_N = kept_tokens(drafts, targets);
    const Skeleton skeleton = drop(drafts, keep_N);
    const Insertion insertion = oracle_insertion(skeleton, targets, 3, 5);
    size_t gap = 0, mask = 0;
    for (size_t r = 0; r < rows.size(); ++r) {
      const Row& y = rows[r];
      const Way way = best_way(x, y);
      // 1) deletion: what the best way leaves out
      for (size_t i = 0; i < x.size(); ++i) {
        const bool stays = std::find(way.stay.begin(), way.stay.end(), static_cast<int32_t>(i)) != way.stay.end();
        wrong_fates += keep_N[r * x.size() + i] != (stays ? 1 : 0);
      }
      // 2) placeholders and tokens, of what is left: its own best way loses nothing, so all of it stays
      Row rest;
      for (const int32_t i : way.stay) rest.push_back(x[i]);
      Row become = best_way(rest, y).become;
      wrong_counts += become.size() != rest.size();
      become.push_back(static_cast<int32_t>(y.size()));
      int32_t next = 0;
      for (const int32_t end : become) {
        wrong_counts += insertion.counts_G[gap++] != end - next;
        for (; next < end; ++next) wrong_tokens += insertion.targets_M[mask++] != y[next];
        ++next;
      }
    }
    CHECK(gap == insertion.counts_G.size() && mask == insertion.targets_M.size());
  }
  CHECK(wrong_fates == 0);
  CHECK(wrong_counts == 0);
  CHECK(wrong_tokens == 0);
}

TEST(states_that_kept_wrong_tokens_get_what_they_lack_and_no_more) {
  const std::vector<Row> rows = all_rows();
  int64_t wrong = 0;
  for (size_t i = 0; i < rows.size(); i += 7) {
    const Rows states = packed(std::vector<Row>(rows.size(), rows[i])), targets = packed(rows);
    const Skeleton whole = drop(states, std::vector<uint8_t>(states.tokens.size(), 1));
    const Insertion insertion = oracle_insertion(whole, targets, 3, 5);
    Rows done = insertion.masked.rows;
    for (size_t m = 0; m < insertion.masked.masks.size(); ++m) {
      done.tokens[insertion.masked.masks[m]] = static_cast<int32_t>(insertion.targets_M[m]);
    }
    for (size_t r = 0; r < rows.size(); ++r) {
      const size_t lacks = rows[r].size() - best_way(rows[i], rows[r]).stay.size();
      const auto row = done.row(static_cast<int64_t>(r));
      wrong += row.size() != rows[i].size() + lacks || !is_subsequence(rows[r], row);
    }
  }
  CHECK(wrong == 0);
}

TEST(no_gap_learns_more_placeholders_than_there_are) {
  const Rows states = packed({{5, 9}}), targets = packed({{5, 6, 7, 8, 9, 10}});
  const Insertion insertion = oracle_insertion(drop(states, {1, 1}), targets, 3, 2);
  CHECK(insertion.counts_G == std::vector<int32_t>({0, 2, 1}));
  CHECK(insertion.targets_M == std::vector<int64_t>({6, 7, 10}));
}

TEST(insertion_learns_on_the_experts_rest_of_the_draft_or_on_parts_of_the_target) {
  const Levt model(config());
  std::vector<Row> xs, ys;
  for (int32_t r = 0; r < 400; ++r) {
    Row x, y;
    for (int32_t i = 0; i < 8; ++i) x.push_back(5 + (r * 3 + i * 5) % 11), y.push_back(5 + (r * 7 + i * 3) % 13);
    xs.push_back(x);
    ys.push_back(y);
  }
  const Rows x = packed(xs), y = packed(ys), rest = drop(x, kept_tokens(x, y)).rows;
  Reading reading;
  const Rows of_draft = insertion_states(model, x, y, {0, 0, 0}, kDraws, reading);
  CHECK(of_draft.tokens == rest.tokens && of_draft.offsets == rest.offsets);
  const Rows of_target = insertion_states(model, x, y, {1, 0, 0}, kDraws, reading);
  int64_t parts = 0, kept_all = 0, tokens = 0;
  for (int64_t r = 0; r < y.count(); ++r) {
    parts += is_subsequence(of_target.row(r), y.row(r));
    kept_all += of_target.length(r) == y.length(r);
    tokens += of_target.length(r);
  }
  CHECK(parts == 400);
  // The keep rate is uniform, so half of the tokens stay, and a ninth of the rows stays whole.
  CHECK_NEAR(static_cast<double>(tokens) / 3200, .5, .05);
  CHECK_NEAR(static_cast<double>(kept_all) / 400, 1.0 / 9, .05);
  CHECK(reading.passes == 0);
  const Rows mixed = insertion_states(model, x, y, {.5, 0, 0}, kDraws, reading);
  int64_t drafts = 0;
  for (int64_t r = 0; r < y.count(); ++r) {
    const auto row = mixed.row(r), from_draft = of_draft.row(r), from_target = of_target.row(r);
    const bool is_draft = std::equal(row.begin(), row.end(), from_draft.begin(), from_draft.end());
    CHECK(is_draft || std::equal(row.begin(), row.end(), from_target.begin(), from_target.end()));
    drafts += is_draft;
  }
  CHECK_NEAR(static_cast<double>(drafts) / 400, .5, .1);
}

TEST(own_deletions_follow_the_models_probabilities) {
  const Levt model(config());
  const Rows x = packed(std::vector<Row>(2000, Row{5, 6, 7, 8, 9})), y = packed(std::vector<Row>(2000, Row{}));
  Reading reading;
  const Rows states = insertion_states(model, x, y, {0, 1, 0}, kDraws, reading);
  CHECK(reading.passes == 1);
  const Tensor keep = model.keep(model.encode(packed({{5, 6, 7, 8, 9}})).hidden_TD).sigmoid();
  for (int32_t token = 5; token < 10; ++token) {
    const auto stayed = std::count(states.tokens.begin(), states.tokens.end(), token);
    CHECK_NEAR(static_cast<double>(stayed) / 2000, keep[token - 4].item<double>(), .04);
  }
}

TEST(deletion_learns_on_the_draft_or_on_tokens_drawn_from_the_model) {
  const Levt model(config());
  const int64_t rows = 3000, vocabulary = 20;
  std::vector<Row> xs(rows, Row{5, 6}), parts(rows, Row{7});
  const Rows x = packed(xs);
  const Masked masked = insert(
      drop(packed(parts), std::vector<uint8_t>(rows, 1)),
      [&] {
        std::vector<int32_t> counts;
        for (int64_t r = 0; r < rows; ++r) counts.insert(counts.end(), {0, 1});
        return counts;
      }(),
      3);
  const Tensor logits_V = at::sin(at::arange(vocabulary, at::kFloat)) * 2;
  const Tensor logits_MV = logits_V.expand({rows, vocabulary});
  // In two parts, as a large vocabulary has it.
  const Tensor drawn_M = at::cat({drawn_tokens(model.options(), 0, logits_MV.narrow(0, 0, 1000), kDraws),
                                  drawn_tokens(model.options(), 1000, logits_MV.narrow(0, 1000, rows - 1000), kDraws)});
  CHECK(drawn_M.equal(drawn_tokens(model.options(), 0, logits_MV, kDraws)));
  CHECK(deletion_states(x, masked, drawn_M, 0, kDraws).tokens == x.tokens);
  const Rows own = deletion_states(x, masked, drawn_M, 1, kDraws);
  // The five ids that are places are never written; the others as often as the softmax over the rest says.
  const Tensor wanted = at::softmax(logits_V.narrow(0, 5, 15), 0);
  std::vector<int64_t> seen(vocabulary, 0);
  for (int64_t r = 0; r < rows; ++r) {
    CHECK(own.length(r) == 2 && own.row(r)[0] == 7);
    ++seen[own.row(r)[1]];
  }
  for (int64_t id = 0; id < 5; ++id) CHECK(seen[id] == 0);
  double chi = 0;
  for (int64_t id = 5; id < vocabulary; ++id) {
    const double expected = wanted[id - 5].item<double>() * rows;
    chi += std::pow(static_cast<double>(seen[id]) - expected, 2) / expected;
  }
  // Chi-squared with 14 degrees of freedom: above 36.1 once in 1000.
  CHECK(chi < 36.1);
  const Rows mixed = deletion_states(x, masked, drawn_M, .5, kDraws);
  const auto drafts = std::count(mixed.tokens.begin(), mixed.tokens.end(), 6);
  CHECK(drafts > rows * 4 / 10);
}

TEST(deletion_states_without_a_placeholder_are_the_insertions_states) {
  const Rows x = packed({{5, 6}, {7}}), part = packed({{8}, {}});
  const Masked masked = insert(drop(part, {1}), {0, 0, 0}, 3);
  const Rows own = deletion_states(x, masked, {}, 1, kDraws);
  CHECK(own.tokens == part.tokens && own.offsets == part.offsets);
}
