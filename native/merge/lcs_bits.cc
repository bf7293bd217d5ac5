// Bit rows of the longest common subsequence: masks, the step of one token, counts.
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

SymbolMasks::SymbolMasks(std::span<const int32_t> x, std::span<const int32_t> y)
    : words((static_cast<int64_t>(y.size()) + 63) / 64) {
  SymbolIndex index(y.size());
  int32_t symbols = 0;
  std::vector<int32_t> of_y(y.size());
  for (size_t j = 0; j < y.size(); ++j) {
    auto& slot = index.at(y[j]);
    if (slot.index < 0) slot = {y[j], symbols++};
    of_y[j] = slot.index;
  }
  forward.assign(static_cast<size_t>(symbols * words), 0);
  backward.assign(forward.size(), 0);
  for (size_t j = 0; j < y.size(); ++j) {
    const size_t back = y.size() - 1 - j;
    forward[of_y[j] * words + j / 64] |= uint64_t{1} << (j % 64);
    backward[of_y[j] * words + back / 64] |= uint64_t{1} << (back % 64);
  }
  for (const int32_t token : x) symbol.push_back(index.at(token).index);
}

void LcsRow::advance(const uint64_t* mask) {
  uint64_t carry = 0;
  for (size_t w = 0; w < bits_.size(); ++w) {
    const uint64_t bits = bits_[w], hit = bits & mask[w];
    const uint64_t sum = bits + hit, carried = sum + carry;
    carry = (sum < bits) | (carried < sum);
    bits_[w] = carried | (bits - hit);
  }
}

void ZeroCounts::read(const uint64_t* bits) {
  bits_ = bits;
  int32_t zeros = 0;
  for (size_t w = 0; w < before_.size(); ++w) {
    before_[w] = zeros;
    zeros += std::popcount(~bits[w]);
  }
}

}  // namespace merge
