// MergeFamily: the MERGE model as the Session sees it: arguments are checked here, then go to step and round.
#pragma once

#include "family.h"
#include "merge/model.h"

namespace merge {

class MergeFamily : public Family {
 public:
  explicit MergeFamily(const Record& config) : model_(config) {}

  const char* name() const override { return "merge"; }
  const nn::Placement& placement() const override { return model_.options().placement; }
  nn::Parameters& parameters() override { return model_.parameters(); }
  Record run(const Record& step, const TrainBatch& batch, bool learn, const std::atomic<bool>& cancelled) override;
  std::map<std::string, Tensor> inspect(const Rows& rows, const std::vector<std::string>& outputs) override;
  RoundOutput refine_round(const Record& options, const RoundInput& input) override;
  // What one encoding a round keeps of a generation's last filling; slots have no meaning here.
  void forget(int64_t generation, const std::vector<int32_t>& slots) override;
  int64_t cache_bytes() const override;

 private:
  void check_conditions(const Rows& conditions, const Rows& rows) const;
  // The states of the rows from their generation's last filling; undefined in its first round.
  States states_before(int64_t generation, const RoundInput& input) const;

  Model model_;
  std::map<int64_t, States> filled_;  // by generation; one encoding a round alone
};

}  // namespace merge
