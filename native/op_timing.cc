// The ops that time_op knows, each on inputs of the shape that an encoder gives it.
#include "op_timing.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <chrono>
#include <functional>

#include "nn/head_loss.h"
#include "nn/prepared.h"
#include "nn/product.h"
#include "ops/bernoulli_st.h"
#include "ops/cached_attention.h"
#include "ops/counts_st.h"
#include "ops/pointer_st.h"
#include "ops/ragged_attention.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/row_mix.h"
#include "ops/row_pool.h"
#include "ops/swiglu.h"

namespace merge {
namespace {

using Way = std::function<Tensor()>;

struct Contest {
  Way fast, reference;
  std::vector<Tensor> inputs;  // what may have a gradient
};

struct Shape {
  explicit Shape(const Record& options)
      : rows(options.integer("rows")),
        length(options.integer("length")),
        width(options.integer("width")),
        heads(options.integer("heads")),
        feed_forward(options.integer("feedForward")),
        layers(options.integer("layers")),
        vocabulary(options.integer("vocabulary")),
        type(options.word("dtype") == "bfloat16" ? at::kBFloat16 : at::kFloat) {
    for (int64_t r = 0; r <= rows; ++r) offsets.push_back(r * length);
  }
  int64_t tokens() const { return rows * length; }
  int64_t head_width() const { return width / heads; }
  // Any finite values will do; these need no generator.
  Tensor values(at::IntArrayRef sizes) const {
    const int64_t count = c10::multiply_integers(sizes);
    return at::arange(count, at::kFloat).mul_(0.7).sin_().view(sizes).to(type);
  }

  int64_t rows, length, width, heads, feed_forward, layers, vocabulary;
  at::ScalarType type;
  Offsets offsets;
};

Contest rms_norm(const Shape& s) {
  const Tensor x = s.values({s.tokens(), s.width}), weight = at::ones({s.width});
  return {
      [=] { return ops::rms_norm(x, weight, 1e-5); }, [=] { return ops::rms_norm_reference(x, weight, 1e-5); }, {x}};
}

Contest swiglu(const Shape& s) {
  const Tensor x = s.values({s.tokens(), 2 * s.feed_forward});
  return {[=] { return ops::swiglu(x); }, [=] { return ops::swiglu_reference(x); }, {x}};
}

Contest rope(const Shape& s) {
  const Tensor x = s.values({s.tokens(), 3 * s.width}), positions = at::arange(s.tokens()).remainder(s.length);
  const Tensor angles = ops::rope_angles(positions, s.head_width(), 10000, s.type);
  const int64_t heads = 2 * s.heads;  // of queries and keys
  return {[=] { return ops::rope(x, angles, heads); }, [=] { return ops::rope_reference(x, angles, heads); }, {x}};
}

Contest ragged_attention(const Shape& s) {
  const Tensor qkv = s.values({s.tokens(), 3 * s.width});
  const ops::Heads heads{s.heads, s.heads};
  const Offsets offsets = s.offsets;
  return {[=] { return ops::ragged_attention(qkv, offsets, heads); },
          [=] { return ops::ragged_attention_reference(qkv, offsets, heads); },
          {qkv}};
}

// One new position a row, `length` behind it.
Contest cached_attention(const Shape& s) {
  const Tensor qkv = s.values({s.rows, 3 * s.width});
  const ops::Heads heads{s.heads, s.heads};
  const std::vector<Tensor> past(static_cast<size_t>(s.rows), s.values({s.length, 2 * s.width}));
  Offsets offsets;
  for (int64_t r = 0; r <= s.rows; ++r) offsets.push_back(r);
  const auto among = ops::Among::kEarlier;
  return {[=] { return ops::cached_attention(qkv, offsets, heads, past, among); },
          [=] { return ops::cached_attention_reference(qkv, offsets, heads, past, among); },
          {}};
}

Contest row_mix(const Shape& s) {
  const Tensor x = s.values({s.tokens(), s.width}), weight = s.values({7, s.width});
  const Offsets offsets = s.offsets;
  return {[=] { return ops::row_mix(x, weight, offsets); },
          [=] { return ops::row_mix_reference(x, weight, offsets); },
          {x, weight}};
}

Contest row_mean_max(const Shape& s) {
  const Tensor x = s.values({s.tokens(), s.width});
  const Offsets offsets = s.offsets;
  return {[=] { return ops::row_mean_max(x, offsets); }, [=] { return ops::row_mean_max_reference(x, offsets); }, {x}};
}

Contest bernoulli_st(const Shape& s) {
  const Tensor logits = s.values({s.tokens()}),
               noise = ops::logistic_noise(s.offsets, Random(0, 0, 0, Purpose::kBernoulliSt));
  return {[=] { return ops::bernoulli_st(logits, noise, 1).sample; },
          [=] { return ops::bernoulli_st_reference(logits, noise, 1).sample; },
          {logits}};
}

Contest pointer_st(const Shape& s) {
  const Tensor scores = s.values({s.tokens()}),
               noise = ops::gumbel_noise(s.offsets, Random(0, 0, 0, Purpose::kPointerSt));
  const std::vector<int64_t> k(static_cast<size_t>(s.rows), s.length / 8);
  const Offsets offsets = s.offsets;
  return {[=] { return ops::pointer_st(scores, noise, offsets, k, 1).sample; },
          [=] { return ops::pointer_st_reference(scores, noise, offsets, k, 1).sample; },
          {scores}};
}

Contest counts_st(const Shape& s) {
  const Tensor expected = s.values({s.tokens()}).abs();
  const Offsets offsets = s.offsets;
  return {[=] { return ops::counts_st(expected, offsets).sample; },
          [=] { return ops::counts_st_reference(expected, offsets).sample; },
          {expected}};
}

Contest encoder_gemms(const Shape& s) {
  const Tensor x = s.values({s.tokens(), s.width}), inner = s.values({s.tokens(), s.feed_forward});
  const auto weight = [&](int64_t outputs, int64_t inputs) { return s.values({outputs, inputs}).to(at::kFloat); };
  const Tensor qkv = weight(3 * s.width, s.width), output = weight(s.width, s.width),
               gate_up = weight(2 * s.feed_forward, s.width), down = weight(s.width, s.feed_forward);
  const int64_t layers = s.layers;
  // As inference has them: where they are narrower than the weights, in the order that the processor wants.
  const auto prepared = std::make_shared<nn::Prepared>();
  return {[=] {
            const nn::UsePrepared use(*prepared);
            Tensor last;
            for (int64_t layer = 0; layer < layers; ++layer) {
              nn::project(x, qkv);
              nn::project(x, output);
              nn::project(x, gate_up);
              last = nn::project(inner, down);
            }
            return last;
          },
          nullptr,
          {}};
}

// The loss of a tied head at every token, `positions` of them at a time (0: as many as it chooses).
Contest head_loss(const Shape& s, int64_t positions) {
  // Logits of a width that models have: probabilities far below them would be denormal, and slow.
  const Tensor states = s.values({s.tokens(), s.width});
  const Tensor matrix = s.values({s.vocabulary, s.width}).to(at::kFloat).mul(.05);
  const Tensor targets = at::arange(s.tokens()).remainder(s.vocabulary);
  return {[=] { return nn::head_loss({matrix, {}}, states, targets, {.positions = positions}).loss_M; },
          nullptr,
          {states, matrix}};
}

const std::map<std::string, std::function<Contest(const Shape&)>>& contests() {
  static const std::map<std::string, std::function<Contest(const Shape&)>> all{
      {"rmsNorm", rms_norm},
      {"swiglu", swiglu},
      {"rope", rope},
      {"raggedAttention", ragged_attention},
      {"cachedAttention", cached_attention},
      {"rowMix", row_mix},
      {"rowMeanMax", row_mean_max},
      {"bernoulliSt", bernoulli_st},
      {"pointerSt", pointer_st},
      {"countsSt", counts_st},
      {"encoderGemms", encoder_gemms},
      {"headLoss", [](const Shape& s) { return head_loss(s, 0); }},
      {"headLossWhole", [](const Shape& s) { return head_loss(s, s.tokens()); }},
  };
  return all;
}

double milliseconds(const Way& way, const std::vector<Tensor>& inputs) {
  const auto start = std::chrono::steady_clock::now();
  const Tensor out = way();
  if (!inputs.empty()) torch::autograd::grad({out}, inputs, {at::ones_like(out)});
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Arrays time_op(const Record& options) {
  const auto found = contests().find(options.word("op"));
  if (found == contests().end()) throw Error("ERR_CONFIG", "op: expected one that is timed, received another");
  const Contest contest = found->second(Shape(options));
  const bool backward = options.flag("backward");
  if (backward && contest.inputs.empty()) throw Error("ERR_CONFIG", "backward: expected false, received true");
  const at::AutoGradMode gradients(backward);
  std::vector<Tensor> inputs;
  if (backward) inputs = contest.inputs;
  for (Tensor& input : inputs) input.requires_grad_(true);

  const int64_t pairs = options.integer("pairs");
  std::vector<double> fast, reference;
  for (int64_t pair = -1; pair < pairs; ++pair) {
    const double quick = milliseconds(contest.fast, inputs);
    const double slow = contest.reference ? milliseconds(contest.reference, inputs) : 0;
    // The first pair warms up.
    if (pair < 0) continue;
    fast.push_back(quick);
    if (contest.reference) reference.push_back(slow);
  }
  return {{"fast", std::move(fast)}, {"reference", std::move(reference)}};
}

}  // namespace merge
