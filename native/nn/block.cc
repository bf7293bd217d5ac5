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
  const int64_t keys = options.key_heads * (width / options.heads);
  qkv_ = Linear(parameters, name + ".attention.qkv",
                {.outputs = width + 2 * keys,
                 .inputs = width,
                 .deviation = options.deviation,
                 .bias = options.biases != Biases::kNone,
                 .role = Role::kBlock,
                 .projections = {{"q", width}, {"k", keys}, {"v", keys}},
                 .lora = options.lora});
  attention_output_ = Linear(parameters, name + ".attention.output",
                             {.outputs = width,
                              .inputs = width,
                              .deviation = options.output_deviation,
                              .bias = all,
                              .role = Role::kBlock,
                              .projections = {{"output", width}},
                              .lora = options.lora});
  feed_forward_norm_ = Norm(parameters, name + ".feed_forward_norm", options.norm_options());
  const std::vector<Projection> gate_up{{"gate", inner}, {"up", inner}};
  up_ = Linear(parameters, name + (gated ? ".feed_forward.gate_up" : ".feed_forward.up"),
               {.outputs = gated ? 2 * inner : inner,
                .inputs = width,
                .deviation = options.deviation,
                .bias = all,
                .role = Role::kBlock,
                .projections = gated ? gate_up : std::vector<Projection>{{"up", inner}},
                .lora = options.lora});
  down_ = Linear(parameters, name + ".feed_forward.down",
                 {.outputs = width,
                  .inputs = inner,
                  .deviation = options.output_deviation,
                  .bias = all,
                  .role = Role::kBlock,
                  .projections = {{"down", width}},
                  .lora = options.lora});
}

const Tensor& Block::parameter() const {
  for (const Linear* linear : {&qkv_, &attention_output_, &up_, &down_}) {
    if (!linear->lora().empty()) return linear->lora().matrix();
  }
  return qkv_.weight();
}

Tensor Block::forward(const Tensor& x_TD, const View& view) const {
  return both_halves(x_TD, [&](const Tensor& qkv) {
    return ops::ragged_attention(qkv, view.offsets, heads(), view.bias, view.angles_TK);
  });
}

Tensor Block::forward(const Tensor& x_TD, const Tensor& angles_TK, const Attend& attend) const {
  return both_halves(x_TD, [&](const Tensor& qkv) {
    // Queries and keys turn, values stay.
    return attend(angles_TK.defined() ? ops::rope(qkv, angles_TK, options_.heads + options_.key_heads) : qkv);
  });
}

Tensor Block::both_halves(const Tensor& x_TD, const Attend& attend) const {
  const bool before = options_.norm_place == NormPlace::kBefore;
  const Tensor qkv = qkv_.forward(before ? attention_norm_.forward(x_TD) : x_TD);
  const Tensor mixed_TD = attention_output_.add_to(x_TD, attend(qkv));
  const Tensor middle_TD = before ? mixed_TD : attention_norm_.forward(mixed_TD);
  const Tensor inner = up_.forward(before ? feed_forward_norm_.forward(middle_TD) : middle_TD);
  const Tensor out_TD = down_.add_to(middle_TD, activated(inner, options_.activation));
  return before ? out_TD : feed_forward_norm_.forward(out_TD);
}

}  // namespace merge::nn
