// Counts: one rule per source, then the cut at the longest row.
#include "merge/counts.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace merge {
namespace {

std::vector<float> host_floats(const Tensor& tensor) {
  const Tensor host = tensor.to(at::kCPU, at::kFloat).contiguous();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
}

// The gaps [first, end) of one row, best first; a tie goes to the lowest gap.
std::vector<int64_t> by_score(const std::vector<float>& score_G, int64_t first, int64_t end) {
  std::vector<int64_t> order(static_cast<size_t>(end - first));
  std::iota(order.begin(), order.end(), first);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return score_G[a] > score_G[b]; });
  return order;
}

// Decision: H27. Cuts a row's counts to `room`, from the gap that wants its insertion least; a tie cuts the rightmost.
bool cut_counts(std::vector<int32_t>& counts_G, const std::vector<float>& wish_G, int64_t first, int64_t end,
                int64_t room) {
  int64_t total = std::accumulate(counts_G.begin() + first, counts_G.begin() + end, int64_t{0});
  if (total <= room) return false;
  const auto order = by_score(wish_G, first, end);
  for (auto gap = order.rbegin(); gap != order.rend() && total > room; ++gap) {
    const int64_t cut = std::min<int64_t>(counts_G[*gap], total - room);
    counts_G[*gap] -= static_cast<int32_t>(cut);
    total -= cut;
  }
  return true;
}

// What D2 says, on the host.
struct Wishes {
  std::vector<float> score_G;
  std::vector<float> wish_G;                         // how much a gap wants any insertion: what is cut last
  std::vector<int32_t> likeliest_G, at_least_one_G;  // counts and poisson
  std::vector<float> total_B;                        // length: expected count of a row
};

std::vector<int32_t> host_counts(const Tensor& tensor) {
  const Tensor host = tensor.to(at::kCPU, at::kInt).contiguous();
  return {host.const_data_ptr<int32_t>(), host.const_data_ptr<int32_t>() + host.numel()};
}

Wishes wishes_of(const Inserter::Output& gaps, const CountOptions& options) {
  Wishes wishes;
  wishes.score_G = host_floats(gaps.score_G);
  wishes.wish_G = wishes.score_G;
  if (options.source == CountSource::kCounts) {
    // The likeliest count of a gap that must take some is the likeliest above 0.
    wishes.wish_G = host_floats(1 - at::softmax(gaps.count_GC, 1).select(1, 0));
    wishes.likeliest_G = host_counts(gaps.count_GC.argmax(1));
    wishes.at_least_one_G = host_counts(gaps.count_GC.narrow(1, 1, gaps.count_GC.size(1) - 1).argmax(1) + 1);
  } else if (options.source == CountSource::kPoisson) {
    const Tensor count_G = gaps.rate_G.clamp_max(10).exp().round();
    wishes.wish_G = host_floats(gaps.rate_G);
    wishes.likeliest_G = host_counts(count_G);
    wishes.at_least_one_G = host_counts(count_G.clamp_min(1));
  } else if (options.source == CountSource::kLength) {
    wishes.total_B = host_floats(gaps.total_B.clamp_max(10).exp().round());
  }
  return wishes;
}

// One mask in each of the k best open gaps; those that must take one come first.
void best_gaps(const Wishes& wishes, const std::vector<uint8_t>& open_G, int64_t first, int64_t end, int64_t k,
               std::vector<int32_t>& counts_G) {
  for (const uint8_t wanted : {2, 1}) {
    for (const int64_t gap : by_score(wishes.score_G, first, end)) {
      if (open_G[gap] != wanted || (k <= 0 && wanted == 1)) continue;
      counts_G[gap] = 1;
      --k;
    }
  }
}

// The row's total, shared out over its open gaps by softmax of their scores.
void shared_total(const Wishes& wishes, const std::vector<uint8_t>& open_G, int64_t first, int64_t end, double total,
                  std::vector<int32_t>& counts_G) {
  float top = -INFINITY;
  for (int64_t g = first; g < end; ++g) top = open_G[g] ? std::max(top, wishes.score_G[g]) : top;
  std::vector<double> shares;
  for (int64_t g = first; g < end; ++g) shares.push_back(open_G[g] ? std::exp(wishes.score_G[g] - top) : 0);
  const double mass = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (mass == 0) return;
  for (double& share : shares) share *= total / mass;
  const auto counts = apportion(shares, static_cast<int64_t>(total));
  for (int64_t g = first; g < end; ++g) {
    counts_G[g] = std::max(counts[g - first], open_G[g] == 2 ? 1 : 0);
  }
}

}  // namespace

std::vector<int32_t> apportion(const std::vector<double>& shares, int64_t total) {
  std::vector<int32_t> whole;
  std::vector<double> rest;
  for (const double share : shares) {
    whole.push_back(static_cast<int32_t>(share));
    rest.push_back(share - std::floor(share));
    total -= whole.back();
  }
  std::vector<size_t> order(shares.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return rest[a] > rest[b]; });
  for (size_t i = 0; i < order.size() && total > 0; ++i, --total) ++whole[order[i]];
  return whole;
}

Counts choose_counts(const Inserter::Output& gaps, const Rows& x, const Skeleton& skeleton,
                     const std::vector<uint8_t>& open_G, const std::vector<uint8_t>& closed_B,
                     const CountOptions& options) {
  const Wishes wishes = wishes_of(gaps, options);
  Counts counts{std::vector<int32_t>(open_G.size()), {}};
  for (int64_t r = 0; r < x.count(); ++r) {
    const int64_t length = skeleton.rows.length(r);
    const int64_t first = skeleton.rows.offsets[r] + r, end = first + length + 1;
    if (closed_B[r]) {
      counts.truncated_B.push_back(0);
      continue;
    }
    const int64_t deleted = x.length(r) - length;
    switch (options.source) {
      case CountSource::kCounts:
      case CountSource::kPoisson:
        for (int64_t g = first; g < end; ++g) {
          if (open_G[g]) counts.counts_G[g] = open_G[g] == 2 ? wishes.at_least_one_G[g] : wishes.likeliest_G[g];
        }
        break;
      case CountSource::kLength:
        shared_total(wishes, open_G, first, end, wishes.total_B[r], counts.counts_G);
        break;
      case CountSource::kLiteral: {
        const auto back = static_cast<int64_t>(std::llround(static_cast<double>(deleted) * options.length_ratio));
        best_gaps(wishes, open_G, first, end, std::max<int64_t>(1, back), counts.counts_G);
        break;
      }
      case CountSource::kBudget:
        best_gaps(wishes, open_G, first, end, std::max<int64_t>(0, options.target_length - length), counts.counts_G);
        break;
    }
    const int64_t room = std::max<int64_t>(0, options.max_length - length);
    counts.truncated_B.push_back(cut_counts(counts.counts_G, wishes.wish_G, first, end, room) ? 1 : 0);
  }
  return counts;
}

}  // namespace merge
