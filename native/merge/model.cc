// Model: construction from the configuration record, and the two encodings of a round.
#include "merge/model.h"

#include <algorithm>
#include <cmath>

#include "checks.h"

namespace merge {
namespace {

nn::EncoderOptions encoder_options(const Record& config) {
  const int64_t width = positive(config, "width"), heads = positive(config, "heads");
  const int64_t layers = positive(config, "layers");
  expect_config(width % heads == 0 && width / heads % 2 == 0,
                "heads: expected a divisor of width " + std::to_string(width) +
                    " that leaves an even head width, received " + std::to_string(heads));
  // Unit-variance products at any width; the LLaMA family's .02 is this rule at width 2500.
  const double deviation = 1.0 / std::sqrt(static_cast<double>(width));
  const int64_t local_mix = config.integer("localMix");
  expect_config(local_mix == 0 || (local_mix % 2 == 1 && local_mix > 0 && local_mix <= 63),
                "localMix: expected 0 or an odd number up to 63, received " + std::to_string(local_mix));
  const nn::BlockOptions block{.width = width,
                               .heads = heads,
                               .key_heads = heads,
                               .feed_forward = positive(config, "feedForward"),
                               .norm_epsilon = config.number("normEpsilon"),
                               .deviation = deviation,
                               .output_deviation = deviation / std::sqrt(2.0 * static_cast<double>(layers))};
  return {.vocabulary = positive(config, "vocabulary"),
          .layers = layers,
          .local_mix = local_mix,
          .rope_base = config.number("ropeBase"),
          .block = block};
}

// Packed position of each mask between the sentinels: row r starts 2r of them later, plus its own first one.
std::vector<int64_t> packed_masks(const Masked& masked) {
  std::vector<int64_t> positions;
  int64_t row = 0;
  for (const int64_t mask : masked.masks) {
    while (mask >= masked.rows.offsets[row + 1]) ++row;
    positions.push_back(mask + 2 * row + 1);
  }
  return positions;
}

// Which dropped tokens each mask carries: those of its gap, shared evenly among the gap's masks in order (spec H30).
struct Carried {
  std::vector<int64_t> tokens, masks;  // one entry per (token, mask)
  std::vector<int64_t> counts;         // [M]
};

Carried carried_tokens(const Rows& x, const Skeleton& skeleton, const Masked& masked) {
  const auto spans = dropped_spans(x, skeleton);
  const size_t masks = masked.masks.size();
  Carried carried;
  for (size_t first = 0; first < masks;) {
    size_t last = first;
    while (last < masks && masked.gaps[last] == masked.gaps[first]) ++last;
    // A mask that stood in X already (gap -1) has nothing dropped beside it.
    const auto [begin, end] = masked.gaps[first] < 0 ? std::pair<int64_t, int64_t>{0, 0} : spans[masked.gaps[first]];
    const int64_t dropped = end - begin, run = static_cast<int64_t>(last - first);
    for (int64_t k = 0; k < run; ++k) {
      const int64_t from = begin + k * dropped / run;
      const int64_t until = std::min(end, std::max(from + 1, begin + (k + 1) * dropped / run));
      for (int64_t t = from; t < until; ++t) {
        carried.tokens.push_back(x.tokens[t]);
        carried.masks.push_back(static_cast<int64_t>(first) + k);
      }
      carried.counts.push_back(until - from);
    }
    first = last;
  }
  return carried;
}

}  // namespace

ModelOptions::ModelOptions(const Record& config)
    : max_length(positive(config, "maxLength")),
      max_insert(positive(config, "maxInsert")),
      pad(special_id(config, "pad")),
      bos(special_id(config, "bos")),
      eos(special_id(config, "eos")),
      mask(special_id(config, "mask")),
      sep(special_id(config, "sep")),
      carry(one_of(config, "condition", {"none", "carry"}) == "carry"),
      placement(config),
      encoder(encoder_options(config)) {
  one_of(config, "encodings", {"two"});
}

Model::Model(const Record& config)
    : options_(config),
      parameters_(config.integer("seed")),
      encoder_(parameters_, options_.encoder),
      deleter_(parameters_, one_of(config, "deleter", {"block", "linear"}), options_.encoder.block),
      inserter_(parameters_, one_of(config, "inserter", {"block", "linear"}), options_.max_insert,
                options_.encoder.block),
      gate_(parameters_, one_of(config, "gateFeatures", {"doubt", "mean"}), options_.encoder.block) {
  const int64_t width = options_.encoder.block.width;
  // Decision: H30. Starts at zero, so that the model without it is where training begins.
  if (options_.carry) carry_ = parameters_.add("carry.weight", {width, width}, {.value = 0});
  parameters_.flatten(options_.placement.weights(), options_.placement.device);
}

Model::Reading Model::read(const Rows& x) const {
  Reading reading;
  reading.packed = nn::pack(x, options_.bos, options_.eos, options_.placement.device);
  const nn::View view = encoder_.view(reading.packed.positions_T, reading.packed.offsets, options_.placement.dtype);
  reading.hidden_TD = encoder_.forward(encoder_.embed(reading.packed, options_.placement.dtype), view);
  reading.keep_T = deleter_.forward(reading.hidden_TD, view);
  reading.gate_B = gate_.forward(reading.hidden_TD, reading.keep_T, reading.packed.offsets);
  return reading;
}

Inserter::Output Model::gaps(const Reading& reading, const Skeleton& skeleton) const {
  std::vector<int64_t> kept;
  Offsets offsets{0};
  for (int64_t r = 0; r < skeleton.rows.count(); ++r) {
    kept.push_back(reading.packed.offsets[r]);
    for (int32_t t = skeleton.rows.offsets[r]; t < skeleton.rows.offsets[r + 1]; ++t) {
      kept.push_back(reading.packed.token(r, skeleton.source[t]));
    }
    kept.push_back(reading.packed.offsets[r + 1] - 1);
    offsets.push_back(static_cast<int64_t>(kept.size()));
  }
  const Tensor kept_SD = reading.hidden_TD.index_select(0, nn::index_tensor(kept, options_.placement.device));
  const Tensor positions_S = nn::row_positions(offsets, options_.placement.device);
  return inserter_.forward(kept_SD, encoder_.view(positions_S, offsets, options_.placement.dtype));
}

Tensor Model::fill(const Rows& x, const Skeleton& skeleton, const Masked& masked) const {
  const nn::Packed packed = nn::pack(masked.rows, options_.bos, options_.eos, options_.placement.device);
  const Tensor masks_M = nn::index_tensor(packed_masks(masked), options_.placement.device);
  Tensor embedded_TD = encoder_.embed(packed, options_.placement.dtype);
  if (options_.carry) {
    const Carried carried = carried_tokens(x, skeleton, masked);
    const Tensor mean_MD = encoder_.mean_embedding(nn::index_tensor(carried.tokens, options_.placement.device),
                                                   nn::index_tensor(carried.masks, options_.placement.device),
                                                   nn::index_tensor(carried.counts, options_.placement.device));
    embedded_TD = embedded_TD.index_add(0, masks_M, nn::project(mean_MD.to(options_.placement.dtype), carry_));
  }
  const nn::View view = encoder_.view(packed.positions_T, packed.offsets, options_.placement.dtype);
  const Tensor hidden_TD = encoder_.forward(embedded_TD, view);
  return encoder_.logits(hidden_TD.index_select(0, masks_M));
}

}  // namespace merge
