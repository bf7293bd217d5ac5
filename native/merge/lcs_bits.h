// LcsBits: lengths of longest common subsequences of suffixes as bit rows, 64 columns a word (Hyyro 2004, "Bit-parallel
// LCS-length computation revisited").
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace merge {

// S(i, t): the length for X from token i on and the last t tokens of Y. Bit t belongs to column t, or to the token
// y[|Y| - 1 - t] that lies between columns t and t + 1.
class LcsBits {
 public:
  LcsBits(std::span<const int32_t> x, std::span<const int32_t> y);

  int64_t words() const { return words_; }
  // [words] bit t: y's token there is x[i]; null where Y lacks x[i].
  const uint64_t* same(int64_t i) const { return symbol_[i] < 0 ? nullptr : &masks_[symbol_[i] * words_]; }
  // [words] bit t is 0 where S(i, t + 1) = S(i, t) + 1, else 1; i from 0 to |X|.
  const uint64_t* level(int64_t i) const { return &level_[i * words_]; }
  // [words] bit t is 1 where S(i, t) = S(i + 1, t) + 1, else 0; i below |X|.
  const uint64_t* loss(int64_t i) const { return &loss_[i * words_]; }
  // S(0, |Y|).
  int64_t length() const;

 private:
  void number_symbols(std::span<const int32_t> x, std::span<const int32_t> y);

  int64_t words_;
  std::vector<int32_t> symbol_;  // [|X|] index of the token's mask, -1 where Y lacks it
  std::vector<uint64_t> masks_, level_, loss_;
};

}  // namespace merge
