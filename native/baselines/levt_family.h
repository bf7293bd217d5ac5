// LevtFamily: the Levenshtein Transformer as the Session sees it: arguments are checked here.
#pragma once

#include "baselines/levt.h"
#include "family.h"

namespace merge {

class LevtFamily : public Family {
 public:
  explicit LevtFamily(const Record& config) : model_(config) {}

  const char* name() const override { return "levt"; }
  const nn::Placement& placement() const override { return model_.options().placement; }
  nn::Parameters& parameters() override { return model_.parameters(); }
  Record run(const Record& step, const TrainBatch& batch, bool learn, const std::atomic<bool>& cancelled) override;
  // Of every position: hidden, logits, keep; of every gap: counts.
  std::map<std::string, Tensor> inspect(const Rows& rows, const std::vector<std::string>& outputs) override;
  RoundOutput refine_round(const Record& options, const RoundInput& input) override;

 private:
  baselines::Levt model_;
};

}  // namespace merge
