// Bit rows of the longest common subsequence: a mask for each symbol, then one addition for each token of X.
#include "merge/lcs_bits.h"

#include <bit>

namespace merge {
namespace {

// Token -> index, open addressing; at least half of the slots stay free.
class SymbolIndex {
 public:
  explicit SymbolIndex(size_t tokens)
      : slots_(std::bit_ceil(2 * tokens + 2)), shift_(64 - std::bit_width(slots_.size() - 1)) {}

  // The token's slot: `index` is -1 where it has none yet.
  struct Slot {
    int32_t token = 0, index = -1;
  };
  Slot& at(int32_t token) {
    size_t place = (static_cast<uint64_t>(static_cast<uint32_t>(token)) * 0x9e3779b97f4a7c15ULL) >> shift_;
    while (slots_[place].index >= 0 && slots_[place].token != token) place = (place + 1) & (slots_.size() - 1);
    return slots_[place];
  }

 private:
  std::vector<Slot> slots_;
  int shift_;
};

}  // namespace

LcsBits::LcsBits(std::span<const int32_t> x, std::span<const int32_t> y)
    : words_(static_cast<int64_t>(y.size()) / 64 + 1) {
  number_symbols(x, y);
  const int64_t n = static_cast<int64_t>(x.size());
  level_.assign(static_cast<size_t>((n + 1) * words_), ~uint64_t{0});
  loss_.assign(static_cast<size_t>(n * words_), 0);
  for (int64_t i = n - 1; i >= 0; --i) {
    const uint64_t* mask = same(i);
    const uint64_t* below = level(i + 1);
    uint64_t* here = &level_[i * words_];
    if (mask == nullptr) {
      std::copy(below, below + words_, here);
      continue;
    }
    // In each stretch of 1s and the 0 at its end, the 0 moves to the first hit: an addition does it, and its carries
    // are the columns between the two, where the length has grown.
    uint64_t carry = 0;
    for (int64_t w = 0; w < words_; ++w) {
      const uint64_t hit = below[w] & mask[w], sum = below[w] + hit, carried = sum + carry;
      carry = (sum < hit) | (carried < carry);
      loss_[i * words_ + w] = below[w] ^ hit ^ carried;
      here[w] = carried | (below[w] ^ hit);
    }
  }
}

void LcsBits::number_symbols(std::span<const int32_t> x, std::span<const int32_t> y) {
  SymbolIndex index(y.size());
  int32_t symbols = 0;
  std::vector<int32_t> of_y(y.size());
  for (size_t j = 0; j < y.size(); ++j) {
    auto& slot = index.at(y[j]);
    if (slot.index < 0) slot = {y[j], symbols++};
    of_y[j] = slot.index;
  }
  masks_.assign(static_cast<size_t>(symbols * words_), 0);
  for (size_t j = 0; j < y.size(); ++j) {
    const size_t t = y.size() - 1 - j;
    masks_[of_y[j] * words_ + t / 64] |= uint64_t{1} << (t % 64);
  }
  symbol_.reserve(x.size());
  for (const int32_t token : x) symbol_.push_back(index.at(token).index);
}

int64_t LcsBits::length() const {
  int64_t zeros = 0;
  for (int64_t w = 0; w < words_; ++w) zeros += std::popcount(~level_[w]);
  return zeros;
}

}  // namespace merge
