// StepOptions: the one reader of a step's record.
#include "merge/step_options.h"

#include "checks.h"

namespace merge {
namespace {

RoundGradient gradient_of(const Record& record) {
  const std::string& word = one_of(record, "gradient", {"stop", "st", "gumbel"});
  return word == "stop" ? RoundGradient::kStop : word == "st" ? RoundGradient::kStraight : RoundGradient::kGumbel;
}

Reconstruction reconstruction_of(const Record& record) {
  const std::string& word = one_of(record, "reconstruction", {"oracle", "positional", "axe", "oaxe", "ctc"});
  if (word == "oracle") return Reconstruction::kOracle;
  if (word == "positional") return Reconstruction::kPositional;
  return word == "axe" ? Reconstruction::kAxe : word == "oaxe" ? Reconstruction::kOaxe : Reconstruction::kCtc;
}

}  // namespace

StepOptions::StepOptions(const Record& record)
    : seed(static_cast<uint64_t>(record.integer("seed"))),
      step(static_cast<uint64_t>(record.integer("step"))),
      rounds(record.integer("rounds")),
      accumulation(record.integer("accumulation")),
      window(record.integer("window")),
      weights{record.number("weightRecon"), record.number("weightCompression"), record.number("weightPointer"),
              record.number("weightGate"), record.number("weightLength")},
      temperature(record.number("temperature")),
      edit_threshold(record.number("editThreshold")),
      keep_reduction(record.number("keepReduction")),
      keep_kl(record.number("keepKl")),
      count_smoothing(record.number("countSmoothing")),
      score_entropy(record.number("scoreEntropy")),
      gate_cost(record.number("gateCost")),
      label_smoothing(record.number("labelSmoothing")),
      gate_noise(record.number("gateNoise")),
      own_deletion(record.number("ownDeletion")),
      subsequence(record.number("subsequence")),
      own_fill(record.number("ownFill")),
      soft_deletion(one_of(record, "deletion", {"hard", "soft"}) == "soft"),
      generate_first(one_of(record, "firstRound", {"gate", "generate"}) == "generate"),
      gradient(gradient_of(record)),
      reconstruction(reconstruction_of(record)),
      axe_penalty(record.number("axePenalty")) {}

}  // namespace merge
