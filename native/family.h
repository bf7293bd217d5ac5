// Family: what a kind of model answers behind a Session. Each family lives in its own folder and builds on nn and ops.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine.h"
#include "nn/parameters.h"
#include "nn/placement.h"

namespace merge {

class Family {
 public:
  virtual ~Family() = default;

  // The word of the configuration's `family`.
  virtual const char* name() const = 0;
  virtual const nn::Placement& placement() const = 0;
  virtual nn::Parameters& parameters() = 0;

  // The losses of a batch; with `learn` their gradients are added to the parameters'. Returns the report's numbers.
  // Throws ERR_ABORTED between rounds or micro-batches once `cancelled` is raised, ERR_NONFINITE on a bad loss.
  virtual Record run(const Record& step, const TrainBatch& batch, bool learn, const std::atomic<bool>& cancelled) = 0;

  // Copies of inner values by name.
  virtual std::map<std::string, Tensor> inspect(const Rows& rows, const std::vector<std::string>& outputs) = 0;

  // One round of refinement; a family without one refuses.
  virtual RoundOutput refine_round(const Record& options, const RoundInput& input);

  // Generation by blocks over a cache; a family without it refuses.
  virtual DenoiseOutput denoise(const Record& options, const DenoiseInput& input);
  virtual void remember(const CachedRows& input);
  virtual void forget(int64_t generation, const std::vector<int32_t>& slots);
  virtual int64_t cache_bytes() const { return 0; }
  virtual std::map<std::string, Tensor> inspect_behind(const Rows& prompts, const Rows& rows, const std::string& way,
                                                       const std::vector<std::string>& outputs);

  // Writing from left to right over a cache; a family without it refuses. Throws ERR_ABORTED between tokens.
  virtual NextOutput next_tokens(const Record& options, const NextInput& input, const std::atomic<bool>& cancelled);

  // Sources into a cache, and how long their targets are; a family without a length predictor refuses.
  virtual LengthOutput predict_lengths(const Record& options, const CachedRows& sources);

  // Remask-RL; a family without it refuses.
  virtual std::map<std::string, Tensor> policy_logs(const Record& options, const Trajectory& run);
  virtual Record learn_policy(const Record& step, const Trajectory& run, const std::atomic<bool>& cancelled);

 private:
  [[noreturn]] void refuse(const char* call, const char* families) const;
};

// The family that the configuration names.
std::unique_ptr<Family> make_family(const Record& config);

}  // namespace merge
