// The Hungarian algorithm with potentials: one shortest augmenting path for each row (Jonker and Volgenant 1987).
#include "merge/assignment.h"

#include <limits>

namespace merge {

std::vector<int64_t> cheapest_assignment(const std::vector<double>& cost, int64_t n, int64_t m) {
  constexpr int64_t kNone = -1;
  // Reduced costs cost - of_row - of_column are never negative, and 0 where assigned. Column m stands for the row that
  // is being added.
  std::vector<double> of_row(static_cast<size_t>(n)), of_column(static_cast<size_t>(m) + 1);
  std::vector<int64_t> row_at(static_cast<size_t>(m) + 1, kNone), came_from(static_cast<size_t>(m) + 1);
  for (int64_t added = 0; added < n; ++added) {
    std::vector<double> distance(static_cast<size_t>(m), std::numeric_limits<double>::infinity());
    std::vector<uint8_t> is_done(static_cast<size_t>(m) + 1);
    int64_t column = m;
    row_at[m] = added;
    while (row_at[column] != kNone) {
      is_done[column] = 1;
      const int64_t row = row_at[column];
      int64_t nearest = kNone;
      for (int64_t j = 0; j < m; ++j) {
        if (is_done[j]) continue;
        const double reduced = cost[row * m + j] - of_row[row] - of_column[j];
        if (reduced < distance[j]) distance[j] = reduced, came_from[j] = column;
        if (nearest == kNone || distance[j] < distance[nearest]) nearest = j;
      }
      const double step = distance[nearest];
      for (int64_t j = 0; j <= m; ++j) {
        if (is_done[j]) {
          of_row[row_at[j]] += step;
          of_column[j] -= step;
        } else {
          distance[j] -= step;
        }
      }
      column = nearest;
    }
    for (; column != m; column = came_from[column]) row_at[column] = row_at[came_from[column]];
  }
  std::vector<int64_t> assigned(static_cast<size_t>(n));
  for (int64_t j = 0; j < m; ++j) {
    if (row_at[j] != kNone) assigned[row_at[j]] = j;
  }
  return assigned;
}

}  // namespace merge
