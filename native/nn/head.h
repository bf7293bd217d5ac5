// Head H: hidden states to logits over the vocabulary.
#pragma once

#include "nn/head_loss.h"
#include "nn/linear.h"
#include "nn/norm.h"

namespace merge::nn {

// kTied: the embedding's matrix. kUntied: a matrix of its own. kTransform: a projection, GELU and a norm before the
// embedding's matrix, and a bias behind it (BERT).
enum class HeadKind { kTied, kUntied, kTransform };

class Head {
 public:
  Head() = default;
  // scale: what the logits are multiplied by.
  Head(Parameters& parameters, HeadKind kind, const Tensor& embedding_VD, double deviation, const NormOptions& norm,
       double scale = 1);

  // hidden [M, D] -> logits [M, V], in float32 or wider: all at a time.
  Tensor logits(const Tensor& hidden_MD) const { return weights_.logits(states(hidden_MD)); }

  // The same a part after the other: see nn/head_loss.h.
  HeadLoss loss(const Tensor& hidden_MD, const Tensor& targets_M, const HeadLossOptions& options = {}) const {
    return head_loss(weights_, states(hidden_MD), targets_M, options);
  }
  void look(const Tensor& hidden_MD, const Look& look) const { look_at_logits(weights_, states(hidden_MD), look); }
  Tensor best_words(const Tensor& hidden_MD) const { return nn::best_words(weights_, states(hidden_MD)); }

 private:
  // What the matrix reads.
  Tensor states(const Tensor& hidden_MD) const;

  HeadKind kind_ = HeadKind::kTied;
  HeadWeights weights_;
  Linear transform_;
  Norm norm_;
};

}  // namespace merge::nn
