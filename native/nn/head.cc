// Head: one product, with BERT's transform before it where the options ask for one.
#include "nn/head.h"

#include "nn/product.h"

namespace merge::nn {

Head::Head(Parameters& parameters, HeadKind kind, const Tensor& embedding_VD, double deviation, const NormOptions& norm)
    : kind_(kind), matrix_VD_(embedding_VD) {
  if (kind == HeadKind::kUntied) {
    matrix_VD_ = parameters.add("head.weight", embedding_VD.sizes(), {.deviation = deviation});
  }
  if (kind == HeadKind::kTransform) {
    transform_ = Linear(parameters, "head.transform", {norm.width, norm.width, deviation, norm.bias});
    norm_ = Norm(parameters, "head.norm", norm);
    bias_V_ = parameters.add("head.bias", {embedding_VD.size(0)}, {.value = 0});
  }
}

Tensor Head::forward(const Tensor& hidden_MD) const {
  if (kind_ != HeadKind::kTransform) return widen(project(hidden_MD, matrix_VD_));
  const Tensor states_MD = norm_.forward(at::gelu(transform_.forward(hidden_MD)));
  return widen(project(states_MD, matrix_VD_)) + bias_V_;
}

}  // namespace merge::nn
