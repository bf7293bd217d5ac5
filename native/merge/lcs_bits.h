// LcsBits: lengths of longest common subsequences as bit rows, 64 columns a word (Hyyro 2004, "Bit-parallel LCS-length
// computation revisited").
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

namespace merge {

// Where each symbol of X stands in Y, as bit masks over Y from the left and from the right.
struct SymbolMasks {
  SymbolMasks(std::span<const int32_t> x, std::span<const int32_t> y);

  int64_t words;
  std::vector<int32_t> symbol;              // [|X|] index of the token's masks, -1 where Y lacks it
  std::vector<uint64_t> forward, backward;  // [symbols, words] bit j, and bit |Y| - 1 - j, for each y[j]
};

// One row of the table: bit j is 0 where the length grows from column j to column j + 1.
class LcsRow {
 public:
  explicit LcsRow(int64_t words) : bits_(static_cast<size_t>(words), ~uint64_t{0}) {}
  // Goes on by one token, whose mask is given.
  void advance(const uint64_t* mask);
  const std::vector<uint64_t>& bits() const { return bits_; }

 private:
  std::vector<uint64_t> bits_;
};

// For rows of bits: the length at any column, that is the zeros below it.
class ZeroCounts {
 public:
  explicit ZeroCounts(int64_t words) : before_(static_cast<size_t>(words)) {}
  void read(const uint64_t* bits);
  int64_t below(int64_t column) const {
    const int64_t word = column / 64;
    // No bit of a further word is read where the column ends one.
    if (word == static_cast<int64_t>(before_.size())) return before_[word - 1] + std::popcount(~bits_[word - 1]);
    return before_[word] + std::popcount(~bits_[word] & ((uint64_t{1} << (column % 64)) - 1));
  }

 private:
  const uint64_t* bits_ = nullptr;
  std::vector<int32_t> before_;  // zeros in the words to the left
};

}  // namespace merge
