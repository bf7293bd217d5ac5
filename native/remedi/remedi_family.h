// RemediFamily: the RemeDi model as the Session sees it: arguments are checked here.
#pragma once

#include "family.h"
#include "remedi/model.h"

namespace merge {

class RemediFamily : public Family {
 public:
  explicit RemediFamily(const Record& config) : model_(config) {}

  const char* name() const override { return "remedi"; }
  const nn::Placement& placement() const override { return model_.options().placement; }
  nn::Parameters& parameters() override { return model_.parameters(); }
  Record run(const Record& step, const TrainBatch& batch, bool learn, const std::atomic<bool>& cancelled) override;
  std::map<std::string, Tensor> inspect(const Rows& rows, const std::vector<std::string>& outputs) override;

 private:
  remedi::Model model_;
};

}  // namespace merge
