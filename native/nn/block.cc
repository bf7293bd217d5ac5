// Block: pre-norm attention and SwiGLU feed-forward, no biases.
#include "nn/block.h"

#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/swiglu.h"

namespace merge::nn {

Block::Block(Parameters& parameters, const std::string& name, const BlockOptions& options) : options_(options) {
  const int64_t width = options.width, inner = options.feed_forward;
  attention_norm_ = parameters.add(name + ".attention_norm.weight", {width}, {.value = 1});
  const int64_t outputs = width + 2 * options.key_heads * (width / options.heads);
  qkv_ = parameters.add(name + ".attention.qkv.weight", {outputs, width}, {.deviation = options.deviation});
  attention_output_ =
      parameters.add(name + ".attention.output.weight", {width, width}, {.deviation = options.output_deviation});
  feed_forward_norm_ = parameters.add(name + ".feed_forward_norm.weight", {width}, {.value = 1});
  gate_up_ =
      parameters.add(name + ".feed_forward.gate_up.weight", {2 * inner, width}, {.deviation = options.deviation});
  down_ = parameters.add(name + ".feed_forward.down.weight", {width, inner}, {.deviation = options.output_deviation});
}

Tensor Block::forward(const Tensor& x_TD, const View& view) const {
  return forward(x_TD, view.angles_TK,
                 [&](const Tensor& qkv) { return ops::ragged_attention(qkv, view.offsets, heads(), view.bias); });
}

Tensor Block::forward(const Tensor& x_TD, const Tensor& angles_TK, const Attend& attend) const {
  const Tensor qkv = project(ops::rms_norm(x_TD, attention_norm_, options_.norm_epsilon), qkv_);
  // Queries and keys turn, values stay.
  const Tensor turned = angles_TK.defined() ? ops::rope(qkv, angles_TK, options_.heads + options_.key_heads) : qkv;
  const Tensor middle = add_projected(x_TD, attend(turned), attention_output_);
  const Tensor gate_up = project(ops::rms_norm(middle, feed_forward_norm_, options_.norm_epsilon), gate_up_);
  return add_projected(middle, ops::swiglu(gate_up), down_);
}

}  // namespace merge::nn
