// Policy: the log-probability of what a denoising run did, and one step of Remask-RL on it (spec section 4; arXiv
// 2509.23653, section 3.3; LLaDOU, arXiv 2505.10446). One pass shows all blocks of a row in the same denoising step.
#pragma once

#include <atomic>

#include "engine.h"
#include "remedi/model.h"

namespace merge::remedi {

// How the run was drawn.
struct PolicyOptions {
  explicit PolicyOptions(const Record& record);

  int64_t block_length;
  double temperature, order_temperature;  // of the tokens, of the set
  std::string policy;                     // "plackett-luce" or "bernoulli" over all positions; "masked": Plackett-Luce
                                          // over masked ones alone (LLaDOU)
};

// Where the answer of each row begins among all answers' positions, and their number at last.
Offsets answer_offsets(const Trajectory& run);

// J blocks of all rows, one after the other: log-probabilities of what one denoising step did to each.
struct StepLogs {
  Tensor token_J;  // of the tokens that came to stand where a mask was
  Tensor set_J;    // of the positions that stayed or became visible; 0 in the last step, which takes them all
};

StepLogs step_logs(const Model& model, const PolicyOptions& options, const Trajectory& run, int64_t step);

// The set's log-probability: h_JL raw confidences; ranks_JL the place of each position in the ordered set, -1 outside;
// hidden_JL 1 where a mask stood. On the host but for h.
Tensor set_log_probability(const PolicyOptions& options, const Tensor& h_JL, const std::vector<int32_t>& ranks_JL,
                           const std::vector<uint8_t>& hidden_JL);

// token and set, [S, J] each.
std::map<std::string, Tensor> policy_logs(const Model& model, const Record& options, const Trajectory& run);

// The clipped losses of a run; their gradients are added to the model's. Returns the report's numbers.
Record run_policy(Model& model, const Record& step, const Trajectory& run, const std::atomic<bool>& cancelled);

// Throws ERR_SHAPE unless the run is a whole one.
void check_trajectory(const ModelOptions& options, int64_t block_length, const Trajectory& run);

}  // namespace merge::remedi
