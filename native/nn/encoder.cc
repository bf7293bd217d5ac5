// Encoder: embedding, local mix, positions, blocks, final norm, head.
#include "nn/encoder.h"

#include "nn/position_bias.h"
#include "nn/recompute.h"
#include "ops/row_mix.h"

namespace merge::nn {
namespace {

Tensor embedding_of(Parameters& parameters, const EncoderOptions& options) {
  return parameters.add("embedding.weight", {options.vocabulary, options.block.width},
                        {.deviation = options.block.deviation});
}

}  // namespace

Encoder::Encoder(Parameters& parameters, const EncoderOptions& options)
    : options_(options),
      embedding_(embedding_of(parameters, options)),
      // The head adds nothing before the blocks but with a kind of its own.
      head_(parameters, options.head, embedding_, options.block.deviation, options.block.norm_options()),
      rotary_(options.block.width / options.block.heads, options.rope_base),
      window_rotary_(options.block.width / options.block.heads, options.window_rope_base) {
  const size_t first = parameters.entries().size();
  stack_.push_back(embedding_);
  if (options.local_mix > 0) {
    mix_ = parameters.add("encoder.mix.weight", {options.local_mix, options.block.width}, {.deviation = .5});
    // Starts near the identity: a position is itself plus some of its neighbours.
    mix_.detach().select(0, options.local_mix / 2).add_(1);
  }
  if (options.positions == Positions::kRelative) {
    relative_ = parameters.add("encoder.relative.weight", {options.block.heads, kRelativeBuckets},
                               {.deviation = options.block.deviation});
  }
  if (options.positions == Positions::kAbsolute) {
    absolute_ = parameters.add("encoder.positions.weight", {options.max_positions, options.block.width},
                               {.deviation = options.block.deviation});
  }
  const bool before = options.block.norm_place == NormPlace::kBefore;
  if (options.embedding_norm) embedding_norm_ = Norm(parameters, "embedding.norm", options.block.norm_options());
  for (int64_t i = 0; i < options.layers; ++i) {
    heights_.push_back(parameters.entries().size() - first + 1);
    BlockOptions block = options.block;
    block.attention_norm = i > 0 || !options.embedding_norm || !before;
    blocks_.emplace_back(parameters, "encoder.blocks." + std::to_string(i), block);
  }
  heights_.push_back(parameters.entries().size() - first + 1);
  for (size_t e = first; e < parameters.entries().size(); ++e) stack_.push_back(parameters.entries()[e].tensor);
  // Norms that stand after a block have normalised the last one, too.
  if (before) norm_ = Norm(parameters, "encoder.norm", options.block.norm_options());
}

void Encoder::freeze(int64_t layers) const {
  const size_t frozen = layers > 0 ? heights_[static_cast<size_t>(std::min(layers, options_.layers))] : 0;
  for (size_t i = 0; i < stack_.size(); ++i) stack_[i].requires_grad_(i >= frozen);
}

Tensor Encoder::embed(const Packed& packed, at::ScalarType dtype) const {
  return at::embedding(embedding_, packed.tokens_T).to(dtype);
}

View Encoder::view(const Tensor& positions_T, const Offsets& offsets, at::ScalarType dtype,
                   const Tensor& key_bias_T) const {
  View view;
  view.offsets = offsets;
  view.positions_T = positions_T;
  if (options_.positions == Positions::kRope) {
    view.angles_TK = rotary_.angles(positions_T, dtype);
  }
  if (relative_.defined()) view.bias = relative_bias(relative_, positions_T, offsets);
  if (key_bias_T.defined()) {
    const Tensor key_bias = ops::key_bias(key_bias_T, offsets);
    view.bias = view.bias.defined() ? view.bias + key_bias : key_bias;
  }
  return view;
}

Tensor Encoder::mean_embedding(const Tensor& tokens_N, const Tensor& groups_N, const Tensor& counts_M) const {
  const Tensor embedded_ND = at::embedding(embedding_, tokens_N);
  const Tensor sum_MD =
      at::zeros({counts_M.size(0), embedded_ND.size(1)}, embedded_ND.options()).index_add(0, groups_N, embedded_ND);
  return sum_MD / counts_M.clamp_min(1).unsqueeze(1).to(sum_MD.scalar_type());
}

Tensor Encoder::mixed_embedding(const Tensor& probability_MV) const {
  return at::mm(probability_MV - probability_MV.detach(), embedding_.to(probability_MV.scalar_type()));
}

Tensor Encoder::forward(const Tensor& embedded_TD, const View& view) const {
  Tensor x_TD = embedded_TD;
  if (mix_.defined() && view.solid_T.defined()) {
    x_TD = x_TD.index_copy(0, view.solid_T, ops::row_mix(x_TD.index_select(0, view.solid_T), mix_, view.solid_offsets));
  } else if (mix_.defined()) {
    x_TD = ops::row_mix(x_TD, mix_, view.offsets);
  }
  if (absolute_.defined()) x_TD = x_TD + at::embedding(absolute_, view.positions_T).to(x_TD.scalar_type());
  x_TD = embedding_norm_.forward(x_TD);
  const View nearby = options_.window > 0 ? local(view) : View();
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const bool global = options_.window == 0 || static_cast<int64_t>(i) % options_.global_every == 0;
    const View& seen = global ? view : nearby;
    x_TD = options_.recompute ? recomputed(blocks_[i], x_TD, seen) : blocks_[i].forward(x_TD, seen);
  }
  return norm_.forward(x_TD);
}

// The view of the blocks that see no farther than the window.
View Encoder::local(const View& view) const {
  View nearby = view;
  if (view.angles_TK.defined()) {
    nearby.angles_TK = window_rotary_.angles(view.positions_T, view.angles_TK.scalar_type());
  }
  const Tensor bias = window_bias(view.positions_T, view.offsets, options_.window);
  nearby.bias = view.bias.defined() ? view.bias + bias : bias;
  return nearby;
}

}  // namespace merge::nn
