// Random numbers as a function of (seed, step, round, purpose, index): no state, so a resumed step draws the same.
#pragma once

#include <cstdint>

namespace merge {

enum class Purpose : uint64_t {
  kInit = 1,
  kDelete,
  kSubsequence,
  kOwnFill,
  kRollIn,
  kGateNoise,
  kSample,
  kOwnFillStart,
  kBernoulliSt,
  kPointerSt,
  kRelaxedFill,
  kDenoiseToken,
  kDenoiseOrder,
  kOwnMistake,
  kNewRow,
  kPretrainMask,
  kNextToken,
  kMaskGitToken,
  kMaskGitOrder,
};

// splitmix64 of its inputs, chained; passes as a counter-based generator for sampling (not for cryptography).
// constexpr, so that CUDA kernels draw the same bits.
class Random {
 public:
  constexpr Random(uint64_t seed, uint64_t step, uint64_t round, Purpose purpose)
      : key_(mix(mix(mix(mix(seed) ^ step) ^ round) ^ static_cast<uint64_t>(purpose))) {}

  // Uniform in (0, 1), both ends excluded, so that a logarithm of it or of its complement is finite.
  constexpr double uniform(uint64_t index) const {
    return (static_cast<double>(mix(key_ ^ index) >> 12) + 0.5) * (1.0 / 4503599627370496.0);
  }
  constexpr double uniform(uint64_t row, uint64_t index) const { return uniform(mix(row) ^ index); }

 private:
  static constexpr uint64_t mix(uint64_t value) {
    value += 0x9e3779b97f4a7c15ULL;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
  }
  uint64_t key_;
};

}  // namespace merge
