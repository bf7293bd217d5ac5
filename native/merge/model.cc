// Model: construction from the configuration record, and the encodings of a round.
#include "merge/model.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "checks.h"
#include "merge/carry.h"
#include "merge/soft_rows.h"
#include "nn/encoder_config.h"
#include "nn/product.h"

namespace merge {
namespace {

constexpr double kSoftKey = 1e-6;  // what a deleted token still weighs as a key (H8)

// A row between its sentinels and, where it stands behind its draft, that and a separator.
int64_t max_positions(const Record& config) {
  const int64_t row = positive(config, "maxLength");
  return row + 2 + (config.word("condition") == "draft" ? row + 1 : 0);
}

int64_t encodings_of(const std::string& word) { return word == "one" ? 1 : word == "two" ? 2 : 3; }

// Packed position of each token of the rows, in order; row r has its BOS at begins[r].
std::vector<int64_t> places_of(const std::vector<int64_t>& begins, const Rows& rows) {
  std::vector<int64_t> places;
  places.reserve(rows.tokens.size());
  for (int64_t r = 0; r < rows.count(); ++r) {
    for (int64_t i = 0; i < rows.length(r); ++i) places.push_back(begins[r] + 1 + i);
  }
  return places;
}

// The positions of rows between their sentinels alone, of those tokens that are solid (empty: all are).
States plain(const nn::Packed& packed, const Rows& rows, const std::vector<uint8_t>& solid, const Tensor& hidden_TD) {
  States states{{0}, hidden_TD};
  std::vector<int64_t> positions;
  for (int64_t r = 0; r < rows.count(); ++r) {
    positions.push_back(packed.begins[r]);
    for (int64_t i = 0; i < rows.length(r); ++i) {
      if (solid.empty() || solid[rows.offsets[r] + i]) positions.push_back(packed.token(r, i));
    }
    positions.push_back(packed.offsets[r + 1] - 1);
    states.offsets.push_back(static_cast<int64_t>(positions.size()));
  }
  if (states.offsets != packed.offsets) {
    states.hidden_TD = hidden_TD.index_select(0, nn::index_tensor(positions, hidden_TD.device()));
  }
  return states;
}

// A view of packed rows in which some tokens are softly deleted: they share the position of the solid one before them
// and their keys weigh log(m + 1e-6).
nn::View soft_view(const nn::Encoder& encoder, const Offsets& offsets, const std::vector<int64_t>& places,
                   const std::vector<int64_t>& source, const std::vector<uint8_t>& solid, const Tensor& keep_N,
                   at::ScalarType dtype) {
  const int64_t total = offsets.back();
  const auto device = keep_N.device();
  std::vector<uint8_t> is_solid(static_cast<size_t>(total), 1);
  std::vector<int64_t> weighed, weights;  // places whose key weighs as their token of X is kept
  for (size_t i = 0; i < places.size(); ++i) {
    is_solid[places[i]] = solid[i];
    if (source[i] < 0) continue;
    weighed.push_back(places[i]);
    weights.push_back(source[i]);
  }
  std::vector<int64_t> positions(static_cast<size_t>(total)), solid_at;
  Offsets solid_offsets{0};
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    int64_t position = -1;
    for (int64_t t = offsets[r]; t < offsets[r + 1]; ++t) {
      position += is_solid[t];
      positions[t] = position;
      if (is_solid[t]) solid_at.push_back(t);
    }
    solid_offsets.push_back(static_cast<int64_t>(solid_at.size()));
  }
  const Tensor weight_N = (keep_N.index_select(0, nn::index_tensor(weights, device)) + kSoftKey).log();
  const Tensor bias_T =
      at::zeros({total}, weight_N.options()).index_copy(0, nn::index_tensor(weighed, device), weight_N);
  nn::View view = encoder.view(nn::index_tensor(positions, device), offsets, dtype, bias_T);
  view.solid_T = nn::index_tensor(solid_at, device);
  view.solid_offsets = solid_offsets;
  return view;
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
      literal(one_of(config, "profile", {"aligned", "literal"}) == "literal"),
      carry(one_of(config, "condition", {"none", "carry", "draft"}) == "carry"),
      encodings(encodings_of(one_of(config, "encodings", {"one", "two", "three"}))),
      placement(config),
      encoder(nn::encoder_options(config, max_positions(config))) {}

Model::Model(const Record& config)
    : options_(config),
      parameters_(config.integer("seed")),
      encoder_(parameters_, options_.encoder),
      deleter_(parameters_, one_of(config, "deleter", {"block", "linear"}), options_.encoder.block),
      inserter_(parameters_, one_of(config, "inserter", {"block", "linear", "pointer"}),
                count_source_of(config.word("countSource")), options_.max_insert, options_.encoder.block),
      gate_(parameters_, one_of(config, "gateFeatures", {"doubt", "mean"}), options_.encoder.block) {
  const int64_t width = options_.encoder.block.width;
  // Decision: H30. Starts at zero, so that the model without it is where training begins.
  if (options_.carry) carry_ = parameters_.add("carry.weight", {width, width}, {.value = 0});
  parameters_.flatten(options_.placement.weights(), options_.placement.device);
}

// places_N: where each token of X stands in the packed rows, -1 if it does not.
Tensor Model::embed(const nn::Packed& packed, const Relaxed& relaxed, const std::vector<int64_t>& places_N) const {
  const Tensor embedded_TD = encoder_.embed(packed, options_.placement.dtype);
  std::vector<int64_t> places, which;
  for (size_t m = 0; m < relaxed.tokens.size(); ++m) {
    const int64_t place = places_N[relaxed.tokens[m]];
    if (place < 0) continue;
    places.push_back(place);
    which.push_back(static_cast<int64_t>(m));
  }
  if (places.empty()) return embedded_TD;
  const auto device = options_.placement.device;
  return embedded_TD.index_add(
      0, nn::index_tensor(places, device),
      relaxed.delta_MD.index_select(0, nn::index_tensor(which, device)).to(embedded_TD.scalar_type()));
}

States Model::encode(const Rows& x, const Beside& beside) const {
  const nn::Packed packed = nn::pack(x, options_.sentinels(), options_.placement.device, beside.conditions);
  const nn::View view = encoder_.view(packed.positions_T, packed.offsets, options_.placement.dtype);
  const Tensor embedded_TD = embed(packed, beside.relaxed, places_of(packed.begins, x));
  return plain(packed, x, {}, encoder_.forward(embedded_TD, view));
}

Model::Reading Model::judge(States states) const {
  Reading reading{std::move(states), {}, {}};
  const Offsets& offsets = reading.states.offsets;
  const Tensor positions_T = nn::row_positions(offsets, options_.placement.device);
  reading.keep_T =
      deleter_.forward(reading.states.hidden_TD, encoder_.view(positions_T, offsets, options_.placement.dtype));
  reading.gate_B = gate_.forward(reading.states.hidden_TD, reading.keep_T, offsets);
  return reading;
}

Inserter::Output Model::gaps(const States& of_x, const Rows& x, const Skeleton& skeleton, const Beside& beside,
                             const Tensor& keep_N) const {
  const auto device = options_.placement.device;
  if (options_.encodings == 3) {
    Beside of_s{beside.conditions, {}};
    const States states = encode(skeleton.rows, of_s);
    const Tensor positions_T = nn::row_positions(states.offsets, device);
    return inserter_.forward(states.hidden_TD, encoder_.view(positions_T, states.offsets, options_.placement.dtype),
                             states.offsets);
  }
  // The kept positions of E(X), sentinels included.
  std::vector<int64_t> kept;
  Offsets offsets{0};
  for (int64_t r = 0; r < skeleton.rows.count(); ++r) {
    kept.push_back(of_x.offsets[r]);
    for (int32_t t = skeleton.rows.offsets[r]; t < skeleton.rows.offsets[r + 1]; ++t) {
      kept.push_back(of_x.token(r, skeleton.source[t]));
    }
    kept.push_back(of_x.offsets[r + 1] - 1);
    offsets.push_back(static_cast<int64_t>(kept.size()));
  }
  const Tensor kept_S = nn::index_tensor(kept, device);
  if (keep_N.defined() && inserter_.has_block()) {
    std::vector<int64_t> source(x.tokens.size());
    std::iota(source.begin(), source.end(), 0);
    std::vector<uint8_t> solid(x.tokens.size(), 0);
    for (int64_t r = 0; r < skeleton.rows.count(); ++r) {
      for (int32_t t = skeleton.rows.offsets[r]; t < skeleton.rows.offsets[r + 1]; ++t) {
        solid[x.offsets[r] + skeleton.source[t]] = 1;
      }
    }
    const nn::View view =
        soft_view(encoder_, of_x.offsets, places_of(of_x.offsets, x), source, solid, keep_N, options_.placement.dtype);
    return inserter_.forward(of_x.hidden_TD, view, offsets, kept_S);
  }
  const Tensor positions_S = nn::row_positions(offsets, device);
  return inserter_.forward(of_x.hidden_TD.index_select(0, kept_S),
                           encoder_.view(positions_S, offsets, options_.placement.dtype), offsets);
}

Tensor Model::carried(const Rows& x, const Skeleton& skeleton, const Masked& masked) const {
  const auto device = options_.placement.device;
  const Carried carried = carried_tokens(x, skeleton, masked);
  const Tensor mean_MD =
      encoder_.mean_embedding(nn::index_tensor(carried.tokens, device), nn::index_tensor(carried.masks, device),
                              nn::index_tensor(carried.counts, device));
  return nn::project(mean_MD.to(options_.placement.dtype), carry_);
}

Model::Filled Model::fill(const Rows& x, const Skeleton& skeleton, const Masked& masked, const Beside& beside,
                          const Straight& straight) const {
  // What is encoded: S^, or S^ with the dropped tokens still in it; and where X's tokens and the masks stand in it.
  const auto device = options_.placement.device;
  const auto dtype = options_.placement.dtype;
  SoftRows soft;
  if (straight.keep_N.defined()) soft = soft_rows(x, masked, options_.mask);
  const Rows& rows = straight.keep_N.defined() ? soft.rows : masked.rows;
  const nn::Packed packed = nn::pack(rows, options_.sentinels(), device, beside.conditions);
  const std::vector<int64_t> places = places_of(packed.begins, rows);
  std::vector<int64_t> of_x(x.tokens.size(), -1), masks;
  if (straight.keep_N.defined()) {
    std::vector<int64_t> solid_places;
    for (size_t t = 0; t < places.size(); ++t) {
      if (soft.source[t] >= 0) of_x[soft.source[t]] = places[t];
      if (soft.solid[t]) solid_places.push_back(places[t]);
    }
    for (const int64_t mask : masked.masks) masks.push_back(solid_places[mask]);
  } else {
    for (int64_t r = 0; r < rows.count(); ++r) {
      for (int32_t t = rows.offsets[r]; t < rows.offsets[r + 1]; ++t) {
        if (masked.source[t] >= 0) of_x[x.offsets[r] + masked.source[t]] = places[t];
      }
    }
    for (const int64_t mask : masked.masks) masks.push_back(places[mask]);
  }
  const Tensor masks_M = nn::index_tensor(masks, device);

  Tensor embedded_TD = embed(packed, beside.relaxed, of_x);
  if (options_.carry) embedded_TD = embedded_TD.index_add(0, masks_M, carried(x, skeleton, masked));
  if (straight.select_M.defined()) {
    const Tensor scale_M1 = (1 + straight.select_M - straight.select_M.detach()).unsqueeze(1).to(dtype);
    embedded_TD = embedded_TD.index_copy(0, masks_M, embedded_TD.index_select(0, masks_M) * scale_M1);
  }
  const nn::View view = straight.keep_N.defined() ? soft_view(encoder_, packed.offsets, places, soft.source, soft.solid,
                                                              straight.keep_N, dtype)
                                                  : encoder_.view(packed.positions_T, packed.offsets, dtype);
  const Tensor hidden_TD = encoder_.forward(embedded_TD, view);
  return {plain(packed, rows, soft.solid, hidden_TD), hidden_TD.index_select(0, masks_M)};
}

void Model::let_learn(Learners learners) const {
  for (const auto& entry : parameters_.entries()) {
    const bool of_encoder =
        entry.name.starts_with("embedding.") || entry.name.starts_with("encoder.") || entry.name.starts_with("head.");
    entry.tensor.requires_grad_(of_encoder || learners.modules);
  }
  encoder_.freeze(learners.frozen_layers);
}

}  // namespace merge
