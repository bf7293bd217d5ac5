// Head: one product, with BERT's transform before it where the options ask for one.
#include "nn/head.h"

namespace merge::nn {

Head::Head(Parameters& parameters, HeadKind kind, const Tensor& embedding_VD, double deviation, const NormOptions& norm,
           double scale)
    : kind_(kind), weights_{embedding_VD, {}, scale} {
  if (kind == HeadKind::kUntied) {
    weights_.matrix_VD = parameters.add("head.weight", embedding_VD.sizes(), {.deviation = deviation});
  }
  if (kind == HeadKind::kTransform) {
    transform_ = Linear(parameters, "head.transform", {norm.width, norm.width, deviation, norm.bias});
    norm_ = Norm(parameters, "head.norm", norm);
    weights_.bias_V = parameters.add("head.bias", {embedding_VD.size(0)}, {.value = 0});
  }
}

Tensor Head::states(const Tensor& hidden_MD) const {
  return kind_ == HeadKind::kTransform ? norm_.forward(at::gelu(transform_.forward(hidden_MD))) : hidden_MD;
}

}  // namespace merge::nn
