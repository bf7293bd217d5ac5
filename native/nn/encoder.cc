// Encoder: embedding, local mix, positions, blocks, final norm; the head shares the embedding's matrix.
#include "nn/encoder.h"

#include "ops/relative_bias.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/row_mix.h"

namespace merge::nn {

Encoder::Encoder(Parameters& parameters, const EncoderOptions& options) : options_(options) {
  embedding_ = parameters.add("embedding.weight", {options.vocabulary, options.block.width},
                              {.deviation = options.block.deviation});
  if (options.local_mix > 0) {
    mix_ = parameters.add("encoder.mix.weight", {options.local_mix, options.block.width}, {.deviation = .5});
    // Starts near the identity: a position is itself plus some of its neighbours.
    mix_.detach().select(0, options.local_mix / 2).add_(1);
  }
  if (options.positions == Positions::kRelative) {
    relative_ = parameters.add("encoder.relative.weight", {options.block.heads, ops::kRelativeBuckets},
                               {.deviation = options.block.deviation});
  }
  if (options.positions == Positions::kAbsolute) {
    absolute_ = parameters.add("encoder.positions.weight", {options.max_positions, options.block.width},
                               {.deviation = options.block.deviation});
  }
  for (int64_t i = 0; i < options.layers; ++i) {
    blocks_.emplace_back(parameters, "encoder.blocks." + std::to_string(i), options.block);
  }
  norm_ = parameters.add("encoder.norm.weight", {options.block.width}, {.value = 1});
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
    // Half-width activations still turn by float32 angles.
    view.angles_TK = ops::rope_angles(positions_T, options_.block.width / options_.block.heads, options_.rope_base,
                                      dtype == at::kDouble ? at::kDouble : at::kFloat);
  }
  if (relative_.defined()) view.bias = ops::relative_bias(relative_, positions_T, offsets);
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
  for (const Block& block : blocks_) x_TD = block.forward(x_TD, view);
  return ops::rms_norm(x_TD, norm_, options_.block.norm_epsilon);
}

Tensor Encoder::logits(const Tensor& hidden_MD) const { return widen(project(hidden_MD, embedding_)); }

}  // namespace merge::nn
