// Encoder E and its head H: one set of weights for all rounds.
#pragma once

#include <vector>

#include "nn/block.h"
#include "nn/head.h"
#include "nn/packed.h"
#include "nn/rotary.h"

namespace merge::nn {

// How attention learns where positions stand: queries and keys that turn, a bias by distance (T5) that all blocks
// share, or a learned embedding of each position.
enum class Positions { kRope, kRelative, kAbsolute };

struct EncoderOptions {
  int64_t vocabulary;
  int64_t layers;
  int64_t local_mix;  // taps of the convolution over the embeddings, odd; 0: none
  double rope_base;
  BlockOptions block;
  Positions positions = Positions::kRope;
  int64_t max_positions = 0;    // of a row with its sentinels, where positions are kAbsolute
  bool embedding_norm = false;  // of the embeddings; where norms stand before, it is that of the first block, too
  HeadKind head = HeadKind::kTied;
  // Local blocks see `window` positions to each side and turn by another base; every global_every-th block, from the
  // first, sees the whole row (ModernBERT). 0: all do.
  int64_t window = 0;
  int64_t global_every = 1;
  double window_rope_base = 0;
  bool recompute = false;  // activations of the blocks are computed again in the backward pass, not kept
};

class Encoder {
 public:
  Encoder(Parameters& parameters, const EncoderOptions& options);

  // Embeddings of the packed tokens, [T, D], in the compute dtype.
  Tensor embed(const Packed& packed, at::ScalarType dtype) const;
  // Mean embedding of groups of tokens: token i belongs to group groups_N[i] of counts_M[group] tokens -> [M, D];
  // zero for an empty group.
  Tensor mean_embedding(const Tensor& tokens_N, const Tensor& groups_N, const Tensor& counts_M) const;
  // How the positions of packed rows see each other. positions_T (int64) need not be those of the rows: tokens that are
  // softly deleted share one with their neighbour. key_bias_T, if given, is added to every score of a key.
  View view(const Tensor& positions_T, const Offsets& offsets, at::ScalarType dtype,
            const Tensor& key_bias_T = {}) const;
  // Embeddings weighted by p - sg(p) over the vocabulary: [M, V] -> [M, D], zeros with a gradient for p.
  Tensor mixed_embedding(const Tensor& probability_MV) const;
  // Hidden states of embedded rows, normalised: [T, D] -> [T, D].
  Tensor forward(const Tensor& embedded_TD, const View& view) const;
  const Head& head() const { return head_; }

  // The embedding and the first `layers` blocks learn nothing until the next call; 0: all learn. Where gradients of
  // anything before them are wanted, they still pass.
  void freeze(int64_t layers) const;

  const EncoderOptions& options() const { return options_; }

 private:
  View local(const View& view) const;

  EncoderOptions options_;
  Tensor embedding_, mix_, relative_, absolute_;
  Norm embedding_norm_, norm_;
  std::vector<Block> blocks_;
  Head head_;
  Rotary rotary_, window_rotary_;
  std::vector<Tensor> stack_;    // what stands before the final norm, bottom up
  std::vector<size_t> heights_;  // how many of them stand below block 0, 1, ..
};

}  // namespace merge::nn
