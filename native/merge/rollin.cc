// Roll-in states, made on the host from counters.
#include "merge/rollin.h"

#include <ATen/core/grad_mode.h>

namespace merge {

Rows random_subsequence(const Rows& y, const Random& random) {
  Rows rows;
  for (int64_t r = 0; r < y.count(); ++r) {
    const double rate = random.uniform(r, 0);
    for (int64_t i = 0; i < y.length(r); ++i) {
      if (random.uniform(r, i + 1) < rate) rows.tokens.push_back(y.row(r)[i]);
    }
    rows.offsets.push_back(static_cast<int32_t>(rows.tokens.size()));
  }
  return rows;
}

Insertion oracle_insertion(const Skeleton& skeleton, const Rows& y, int32_t mask, int64_t max_insert) {
  const int64_t rows = skeleton.rows.count();
  std::vector<Insertions> wanted(static_cast<size_t>(rows));
  at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto s = skeleton.rows.row(r);
      wanted[r] = insertions(static_cast<int64_t>(s.size()), y.row(r), align(s, y.row(r)));
    }
  });
  Insertion insertion;
  for (const Insertions& row : wanted) {
    size_t next = 0;
    for (const int32_t count : row.counts) {
      const int32_t taken = static_cast<int32_t>(std::min<int64_t>(count, max_insert));
      insertion.counts_G.push_back(taken);
      insertion.targets_M.insert(insertion.targets_M.end(), row.targets.begin() + next,
                                 row.targets.begin() + next + taken);
      next += count;
    }
  }
  insertion.masked = insert(skeleton, insertion.counts_G, mask);
  return insertion;
}

Rows filled(const Masked& masked, const Tensor& tokens_M) {
  Rows rows = masked.rows;
  // sync: the next state is made on the host.
  const Tensor host_M = tokens_M.to(at::kCPU).contiguous();
  for (size_t m = 0; m < masked.masks.size(); ++m) {
    rows.tokens[masked.masks[m]] = static_cast<int32_t>(host_M.const_data_ptr<int64_t>()[m]);
  }
  return rows;
}

Rows own_fill(const Model& model, const Rows& x, const Rows& y, const Rows& conditions, double share,
              const Draws& draws) {
  const Random random = draws.of(Purpose::kOwnFill);
  std::vector<int64_t> chosen;
  for (int64_t r = 0; r < x.count(); ++r) {
    if (random.uniform(r, 0) < share) chosen.push_back(r);
  }
  if (chosen.empty()) return x;
  at::NoGradGuard no_grad;
  Rows chosen_y;
  Beside beside;
  for (const int64_t r : chosen) {
    chosen_y.append(y.row(r));
    if (conditions.count() > 0) beside.conditions.append(conditions.row(r));
  }
  const Rows start = random_subsequence(chosen_y, draws.of(Purpose::kOwnFillStart));
  const Skeleton skeleton = drop(start, std::vector<uint8_t>(start.tokens.size(), 1));
  const Insertion insertion = oracle_insertion(skeleton, chosen_y, model.options().mask, model.options().max_insert);
  const Model::Filled fill = model.fill(start, skeleton, insertion.masked, beside);
  const Rows own = filled(insertion.masked, model.head().best_words(fill.masks_MD));
  Rows rows;
  for (int64_t r = 0, next = 0; r < x.count(); ++r) {
    const bool is_own = next < static_cast<int64_t>(chosen.size()) && chosen[next] == r;
    rows.append(is_own ? own.row(next++) : x.row(r));
  }
  return rows;
}

}  // namespace merge
