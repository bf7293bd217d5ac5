// Remask-SFT: one training step on noisy copies (spec section 3; arXiv 2509.23653, section 3.2). Without wrong tokens
// and without a weight for the confidence it is plain masked diffusion.
#pragma once

#include <atomic>

#include "engine.h"
#include "remedi/model.h"

namespace merge::remedi {

// The unweighted terms of a batch.
struct SftTerms {
  Tensor token;       // sum over masks of -log p(x0) / p_mask, over all positions
  Tensor confidence;  // mean binary cross-entropy of the confidence
};

// What the losses read: log_p_M of the clean tokens at the masks, confidence_A at all noisy positions, int64 clean_A
// and noisy_A. `smoothing` moves the confidence's labels towards one half.
struct SftInput {
  Tensor log_p_M, confidence_A;
  Tensor clean_A, noisy_A;
  int64_t mask, block_length;
  double smoothing;
};
SftTerms sft_terms(const SftInput& input);

// batch.drafts: the noisy copies; batch.targets: prompt and clean answer. With `learn` the gradients are added to the
// model's. Throws ERR_ABORTED between micro-batches once `cancelled` is raised, ERR_NONFINITE on a bad loss.
Record run_sft(Model& model, const Record& step, const TrainBatch& batch, bool learn,
               const std::atomic<bool>& cancelled);

}  // namespace merge::remedi
