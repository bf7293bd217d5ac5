// Rows: ragged rows of token ids, packed; row r is tokens[offsets[r] .. offsets[r + 1]).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace merge {

struct Rows {
  std::vector<int32_t> tokens;
  std::vector<int32_t> offsets{0};

  int64_t count() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t length(int64_t row) const { return offsets[row + 1] - offsets[row]; }
  std::span<const int32_t> row(int64_t r) const { return {tokens.data() + offsets[r], static_cast<size_t>(length(r))}; }
  void append(std::span<const int32_t> row_tokens) {
    tokens.insert(tokens.end(), row_tokens.begin(), row_tokens.end());
    offsets.push_back(static_cast<int32_t>(tokens.size()));
  }
};

}  // namespace merge
