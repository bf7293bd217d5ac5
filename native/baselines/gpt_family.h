// GptFamily: the autoregressive baseline as the Session sees it: arguments are checked here; it keeps the caches of
// generations.
#pragma once

#include "baselines/gpt.h"
#include "family.h"
#include "nn/kv_cache.h"

namespace merge {

class GptFamily : public Family {
 public:
  explicit GptFamily(const Record& config) : model_(config) {}

  const char* name() const override { return "gpt"; }
  const nn::Placement& placement() const override { return model_.options().placement; }
  nn::Parameters& parameters() override { return model_.parameters(); }
  // Targets are whole rows; drafts are their last tokens, those that are learned.
  Record run(const Record& step, const TrainBatch& batch, bool learn, const std::atomic<bool>& cancelled) override;
  std::map<std::string, Tensor> inspect(const Rows& rows, const std::vector<std::string>& outputs) override;
  NextOutput next_tokens(const Record& options, const NextInput& input, const std::atomic<bool>& cancelled) override;
  void forget(int64_t generation, const std::vector<int32_t>& slots) override;
  int64_t cache_bytes() const override;

 private:
  void check_next(const Record& options, const NextInput& input) const;

  baselines::Gpt model_;
  std::map<int64_t, nn::KvCache> caches_;
};

}  // namespace merge
