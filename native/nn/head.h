// Head H: hidden states to logits over the vocabulary.
#pragma once

#include "nn/linear.h"
#include "nn/norm.h"

namespace merge::nn {

// kTied: the embedding's matrix. kUntied: a matrix of its own. kTransform: a projection, GELU and a norm before the
// embedding's matrix, and a bias behind it (BERT).
enum class HeadKind { kTied, kUntied, kTransform };

class Head {
 public:
  Head(Parameters& parameters, HeadKind kind, const Tensor& embedding_VD, double deviation, const NormOptions& norm);

  // hidden [M, D] -> logits [M, V], in float32 or wider.
  Tensor forward(const Tensor& hidden_MD) const;

 private:
  HeadKind kind_;
  Tensor matrix_VD_, bias_V_;
  Linear transform_;
  Norm norm_;
};

}  // namespace merge::nn
