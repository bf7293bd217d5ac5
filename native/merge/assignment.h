// The cheapest assignment of each of n rows to a column of its own among m >= n (Hungarian algorithm, O(n^2 m)).
#pragma once

#include <cstdint>
#include <vector>

namespace merge {

// cost [n * m], row-major and finite -> the column of each row.
std::vector<int64_t> cheapest_assignment(const std::vector<double>& cost, int64_t n, int64_t m);

}  // namespace merge
