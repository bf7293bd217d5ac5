// MaskGitFamily: the mask-predict baseline as the Session sees it: arguments are checked here; it keeps the caches of
// sources.
#pragma once

#include "baselines/maskgit.h"
#include "family.h"

namespace merge {

class MaskGitFamily : public Family {
 public:
  explicit MaskGitFamily(const Record& config) : model_(config) {}

  const char* name() const override { return "maskgit"; }
  const nn::Placement& placement() const override { return model_.placement(); }
  nn::Parameters& parameters() override { return model_.parameters(); }
  // Conditions are sources between their markers, drafts are the targets with masks.
  Record run(const Record& step, const TrainBatch& batch, bool learn, const std::atomic<bool>& cancelled) override;
  // Rows are sources.
  std::map<std::string, Tensor> inspect(const Rows& rows, const std::vector<std::string>& outputs) override;
  // Prompts are sources, rows their targets.
  std::map<std::string, Tensor> inspect_behind(const Rows& prompts, const Rows& rows, const std::string& way,
                                               const std::vector<std::string>& outputs) override;
  LengthOutput predict_lengths(const Record& options, const CachedRows& sources) override;
  DenoiseOutput denoise(const Record& options, const DenoiseInput& input) override;
  void forget(int64_t generation, const std::vector<int32_t>& slots) override;
  int64_t cache_bytes() const override;

 private:
  void check_sources(const char* name, const Rows& sources) const;
  void check_fill(const Record& options, const DenoiseInput& input) const;
  const nn::KvCache& cache_of(const CachedRows& rows) const;

  baselines::MaskGit model_;
  std::map<int64_t, nn::KvCache> caches_;
};

}  // namespace merge
