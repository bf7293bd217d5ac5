// RemediFamily: the RemeDi model as the Session sees it: arguments are checked here; it keeps the caches of
// generations.
#pragma once

#include "family.h"
#include "nn/kv_cache.h"
#include "remedi/model.h"

namespace merge {

class RemediFamily : public Family {
 public:
  explicit RemediFamily(const Record& config) : model_(config), nothing_(model_.cache_layers()) {}

  const char* name() const override { return "remedi"; }
  const nn::Placement& placement() const override { return model_.options().placement; }
  nn::Parameters& parameters() override { return model_.parameters(); }
  Record run(const Record& step, const TrainBatch& batch, bool learn, const std::atomic<bool>& cancelled) override;
  std::map<std::string, Tensor> inspect(const Rows& rows, const std::vector<std::string>& outputs) override;
  DenoiseOutput denoise(const Record& options, const DenoiseInput& input) override;
  void remember(const CachedRows& input) override;
  void forget(int64_t generation, const std::vector<int32_t>& slots) override;
  int64_t cache_bytes() const override;
  std::map<std::string, Tensor> inspect_behind(const Rows& prompts, const Rows& rows, const std::string& way,
                                               const std::vector<std::string>& outputs) override;
  std::map<std::string, Tensor> policy_logs(const Record& options, const Trajectory& run) override;
  Record learn_policy(const Record& step, const Trajectory& run, const std::atomic<bool>& cancelled) override;

 private:
  void check_cached(const CachedRows& input) const;
  const nn::KvCache& cache_of(int64_t generation) const;
  std::map<std::string, Tensor> values(const remedi::Streams& streams, const std::vector<std::string>& outputs) const;

  remedi::Model model_;
  nn::KvCache nothing_;  // of a generation that remembers nothing yet
  std::map<int64_t, nn::KvCache> caches_;
};

}  // namespace merge
