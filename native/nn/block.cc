// Block: the two halves, and what its options change about them.
#include "nn/block.h"

#include "ops/rope.h"
#include "ops/swiglu.h"

namespace merge::nn {
namespace {

Tensor activated(const Tensor& inner, Activation activation) {
  if (activation == Activation::kSwiglu) return ops::swiglu(inner);
  if (activation == Activation::kGelu) return at::gelu(inner);
  const auto halves = inner.chunk(2, -1);
  return at::gelu(halves[0]) * halves[1];
}

}  // namespace

Block::Block(Parameters& parameters, const std::string& name, const BlockOptions& options) : options_(options) {
  const int64_t width = options.width, inner = options.feed_forward;
  const bool all = options.biases == Biases::kAll, gated = options.activation != Activation::kGelu;
  if (options.attention_norm) attention_norm_ = Norm(parameters, name + ".attention_norm", options.norm_options());
  const int64_t outputs = width + 2 * options.key_heads * (width / options.heads);
  qkv_ =
      Linear(parameters, name + ".attention.qkv", {outputs, width, options.deviation, options.biases != Biases::kNone});
  attention_output_ = Linear(parameters, name + ".attention.output", {width, width, options.output_deviation, all});
  feed_forward_norm_ = Norm(parameters, name + ".feed_forward_norm", options.norm_options());
  up_ = Linear(parameters, name + (gated ? ".feed_forward.gate_up" : ".feed_forward.up"),
               {gated ? 2 * inner : inner, width, options.deviation, all});
  down_ = Linear(parameters, name + ".feed_forward.down", {width, inner, options.output_deviation, all});
}

Tensor Block::forward(const Tensor& x_TD, const View& view) const {
  return forward(x_TD, view.angles_TK,
                 [&](const Tensor& qkv) { return ops::ragged_attention(qkv, view.offsets, heads(), view.bias); });
}

Tensor Block::forward(const Tensor& x_TD, const Tensor& angles_TK, const Attend& attend) const {
  const bool before = options_.norm_place == NormPlace::kBefore;
  const Tensor qkv = qkv_.forward(before ? attention_norm_.forward(x_TD) : x_TD);
  // Queries and keys turn, values stay.
  const Tensor turned = angles_TK.defined() ? ops::rope(qkv, angles_TK, options_.heads + options_.key_heads) : qkv;
  const Tensor mixed_TD = attention_output_.add_to(x_TD, attend(turned));
  const Tensor middle_TD = before ? mixed_TD : attention_norm_.forward(mixed_TD);
  const Tensor inner = up_.forward(before ? feed_forward_norm_.forward(middle_TD) : middle_TD);
  const Tensor out_TD = down_.add_to(middle_TD, activated(inner, options_.activation));
  return before ? out_TD : feed_forward_norm_.forward(out_TD);
}

}  // namespace merge::nn
