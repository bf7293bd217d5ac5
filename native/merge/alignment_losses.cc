// axe, oaxe and ctc. The first two find their alignment on the host and score it with differentiable ops.
#include "merge/alignment_losses.h"

#include <cmath>

#include "error.h"
#include "merge/assignment.h"
#include "merge/losses.h"
#include "nn/packed.h"
#include "ops/straight_through.h"

namespace merge {
namespace {

// What an alignment takes into a row's loss: -weight * log P_position(token) each, and a constant.
struct Picks {
  std::vector<int64_t> positions, tokens;
  std::vector<double> weights;
  double constant = 0;

  void add(int64_t position, int64_t token, double weight) {
    positions.push_back(position);
    tokens.push_back(token);
    weights.push_back(weight);
  }
};

// Log-probabilities of one row: m positions, V tokens.
struct RowLogits {
  const double* log_p;
  int64_t positions, vocabulary;
  double at(int64_t position, int64_t token) const { return log_p[position * vocabulary + token]; }
};

void check(const char* name, const Tensor& logits_MV, const Offsets& offsets, const Rows& targets, int64_t blank) {
  check_positions(name, logits_MV, offsets, targets);
  if (blank >= 0 && blank < logits_MV.size(1)) return;
  throw Error("ERR_CONFIG", std::string(name) + " blank: expected a token, received " + std::to_string(blank));
}

// Mean over rows of what `pick` takes of each, over max(1, n).
template <typename Pick>
Tensor mean_of_picks(const Tensor& logits_MV, const Offsets& offsets, const Rows& targets, const Pick& pick) {
  const Tensor log_p_MV = ops::full_width(logits_MV).log_softmax(1);
  // sync: alignments are found on the host.
  const Tensor host_MV = log_p_MV.detach().to(at::kCPU, at::kDouble).contiguous();
  const double* host = host_MV.const_data_ptr<double>();
  const int64_t rows = targets.count(), vocabulary = logits_MV.size(1);
  std::vector<Picks> picked(static_cast<size_t>(rows));
  at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      picked[r] =
          pick(RowLogits{host + offsets[r] * vocabulary, offsets[r + 1] - offsets[r], vocabulary}, targets.row(r));
    }
  });
  int64_t taking_part = 0;
  for (int64_t r = 0; r < rows; ++r) taking_part += offsets[r + 1] > offsets[r] || targets.length(r) > 0;
  std::vector<int64_t> flat;
  std::vector<double> weights;
  double constant = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const double share = 1.0 / static_cast<double>(taking_part * std::max<int64_t>(1, targets.length(r)));
    for (size_t i = 0; i < picked[r].weights.size(); ++i) {
      flat.push_back((offsets[r] + picked[r].positions[i]) * vocabulary + picked[r].tokens[i]);
      weights.push_back(-picked[r].weights[i] * share);
    }
    if (taking_part > 0) constant += picked[r].constant * share;
  }
  const Tensor taken = log_p_MV.flatten().index_select(0, nn::index_tensor(flat, logits_MV.device()));
  return (taken * at::tensor(at::ArrayRef<double>(weights), at::kDouble).to(taken.options())).sum() + constant;
}

Picks cheapest_alignment(const RowLogits& row, std::span<const int32_t> y, int64_t blank, double penalty) {
  const int64_t n = static_cast<int64_t>(y.size()), m = row.positions, stride = m + 1;
  Picks picks;
  if (m == 0) {
    picks.constant = penalty * static_cast<double>(n) * std::log(static_cast<double>(row.vocabulary));
    return picks;
  }
  enum Step : uint8_t { kAlign, kSkipPosition, kSkipToken };
  // cost[i, j]: i tokens and j positions are done.
  std::vector<double> cost(static_cast<size_t>((n + 1) * stride));
  std::vector<Step> steps(cost.size());
  for (int64_t i = 0; i <= n; ++i) {
    for (int64_t j = 0; j <= m; ++j) {
      const int64_t here = i * stride + j;
      double best = here == 0 ? 0 : std::numeric_limits<double>::infinity();
      const auto offer = [&](double price, Step step) {
        if (price < best) best = price, steps[here] = step;
      };
      if (i > 0 && j > 0) offer(cost[here - stride - 1] - row.at(j - 1, y[i - 1]), kAlign);
      if (j > 0) offer(cost[here - 1] - row.at(j - 1, blank), kSkipPosition);
      if (i > 0) offer(cost[here - stride] - penalty * row.at(std::max<int64_t>(0, j - 1), y[i - 1]), kSkipToken);
      cost[here] = best;
    }
  }
  for (int64_t i = n, j = m; i > 0 || j > 0;) {
    const Step step = steps[i * stride + j];
    if (step == kAlign) picks.add(--j, y[--i], 1);
    if (step == kSkipPosition) picks.add(--j, blank, 1);
    if (step == kSkipToken) picks.add(std::max<int64_t>(0, j - 1), y[--i], penalty);
  }
  return picks;
}

Picks cheapest_order(const RowLogits& row, std::span<const int32_t> y, int64_t blank) {
  const int64_t n = static_cast<int64_t>(y.size()), m = row.positions;
  const double unknown = std::log(static_cast<double>(row.vocabulary));
  // The price of a pair, less what its column costs where it is left over (a constant where columns are tokens).
  const bool tokens_first = n <= m;
  const int64_t fewer = std::min(n, m), more = std::max(n, m);
  std::vector<double> cost(static_cast<size_t>(fewer * more));
  for (int64_t a = 0; a < fewer; ++a) {
    for (int64_t b = 0; b < more; ++b) {
      const int64_t token = y[tokens_first ? a : b], position = tokens_first ? b : a;
      cost[a * more + b] = -row.at(position, token) + (tokens_first ? row.at(position, blank) : 0);
    }
  }
  const auto partners = cheapest_assignment(cost, fewer, more);
  std::vector<uint8_t> is_taken(static_cast<size_t>(more));
  Picks picks;
  for (int64_t a = 0; a < fewer; ++a) {
    picks.add(tokens_first ? partners[a] : a, y[tokens_first ? a : partners[a]], 1);
    is_taken[partners[a]] = 1;
  }
  for (int64_t b = 0; b < more; ++b) {
    if (!is_taken[b] && tokens_first) picks.add(b, blank, 1);
  }
  picks.constant = tokens_first ? 0 : static_cast<double>(n - m) * unknown;
  return picks;
}

}  // namespace

Tensor axe(const Tensor& logits_MV, const Offsets& offsets, const Rows& targets, int64_t blank, double penalty) {
  check("axe", logits_MV, offsets, targets, blank);
  if (!(penalty > 0)) {
    throw Error("ERR_CONFIG", "axe penalty: expected a number above 0, received " + std::to_string(penalty));
  }
  return mean_of_picks(logits_MV, offsets, targets, [&](const RowLogits& row, std::span<const int32_t> y) {
    return cheapest_alignment(row, y, blank, penalty);
  });
}

Tensor oaxe(const Tensor& logits_MV, const Offsets& offsets, const Rows& targets, int64_t blank) {
  check("oaxe", logits_MV, offsets, targets, blank);
  return mean_of_picks(logits_MV, offsets, targets,
                       [&](const RowLogits& row, std::span<const int32_t> y) { return cheapest_order(row, y, blank); });
}

Tensor ctc(const Tensor& logits_MV, const Offsets& offsets, const Rows& targets, int64_t blank) {
  check("ctc", logits_MV, offsets, targets, blank);
  std::vector<int64_t> positions, lengths, tokens, starts;
  int64_t longest = 0;
  for (int64_t r = 0; r < targets.count(); ++r) {
    const auto y = targets.row(r);
    int64_t needed = targets.length(r);
    for (size_t i = 0; i < y.size(); ++i) {
      if (y[i] == blank) throw Error("ERR_INPUT", "ctc targets: expected no blank, received one");
      needed += i > 0 && y[i] == y[i - 1];
    }
    const int64_t there = offsets[r + 1] - offsets[r];
    if (there == 0 || there < needed) continue;
    positions.push_back(there);
    lengths.push_back(targets.length(r));
    starts.push_back(offsets[r]);
    tokens.insert(tokens.end(), y.begin(), y.end());
    longest = std::max(longest, there);
  }
  const int64_t rows = static_cast<int64_t>(positions.size());
  if (rows == 0) return 0 * logits_MV.narrow(0, 0, 0).sum();
  // at::ctc_loss wants [T, B, V]; what stands behind a row's end is never read, so its own first position will do.
  std::vector<int64_t> gathered;
  for (int64_t t = 0; t < longest; ++t) {
    for (int64_t r = 0; r < rows; ++r) gathered.push_back(starts[r] + (t < positions[r] ? t : 0));
  }
  const at::Device device = logits_MV.device();
  const Tensor log_p_TBV = ops::full_width(logits_MV)
                               .log_softmax(1)
                               .index_select(0, nn::index_tensor(gathered, device))
                               .view({longest, rows, logits_MV.size(1)});
  const Tensor each_B = at::ctc_loss(log_p_TBV, nn::index_tensor(tokens, device), positions, lengths, blank,
                                     at::Reduction::None, /*zero_infinity=*/false);
  const Tensor length_B = nn::index_tensor(lengths, device).clamp_min(1).to(each_B.scalar_type());
  return (each_B / length_B).mean();
}

}  // namespace merge
