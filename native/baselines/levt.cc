// Levt: construction from the configuration record, and the three policies.
#include "baselines/levt.h"

#include "checks.h"
#include "nn/encoder_config.h"
#include "nn/product.h"

namespace merge::baselines {

// What a policy left standing of a draft, and all that the target has beside it, may stand in one row.
LevtOptions::LevtOptions(const Record& config)
    : max_length(positive(config, "maxLength")),
      max_insert(positive(config, "maxInsert")),
      pad(special_id(config, "pad")),
      bos(special_id(config, "bos")),
      eos(special_id(config, "eos")),
      mask(special_id(config, "mask")),
      sep(special_id(config, "sep")),
      placement(config),
      encoder(nn::encoder_options(config, 2 * max_length + 2)) {}

Levt::Levt(const Record& config)
    : options_(config), parameters_(config.integer("seed")), encoder_(parameters_, options_.encoder) {
  const int64_t width = options_.encoder.block.width, counts = options_.max_insert + 1;
  const double deviation = options_.encoder.block.deviation;
  deletion_ = parameters_.add("deletion.weight", {1, width}, {.deviation = deviation});
  // Most tokens of a draft stay, so the policy starts from keeping, as MERGE's deleter does.
  deletion_bias_ = parameters_.add("deletion.bias", {1}, {.value = 2});
  // The product of a pair of states with one matrix is two products and a sum.
  left_ = parameters_.add("placeholder.left.weight", {counts, width}, {.deviation = deviation});
  right_ = parameters_.add("placeholder.right.weight", {counts, width}, {.deviation = deviation});
  placeholder_bias_ = parameters_.add("placeholder.bias", {counts}, {.value = 0});
  parameters_.flatten(options_.placement.weights(), options_.placement.device);
}

States Levt::encode(const Rows& rows) const {
  const nn::Packed packed = nn::pack(rows, {options_.bos, options_.eos, options_.sep}, options_.placement.device);
  const auto dtype = options_.placement.dtype;
  const nn::View view = encoder_.view(packed.positions_T, packed.offsets, dtype);
  return {packed.offsets, encoder_.forward(encoder_.embed(packed, dtype), view)};
}

Tensor Levt::keep(const Tensor& hidden_TD) const {
  return at::addmm(deletion_bias_, nn::widen(hidden_TD), deletion_.t()).squeeze(1);
}

Tensor Levt::placeholders(const States& states) const {
  std::vector<int64_t> lefts;
  for (size_t r = 0; r + 1 < states.offsets.size(); ++r) {
    for (int64_t t = states.offsets[r]; t + 1 < states.offsets[r + 1]; ++t) lefts.push_back(t);
  }
  const Tensor left_G = nn::index_tensor(lefts, states.hidden_TD.device());
  const Tensor hidden_TD = nn::widen(states.hidden_TD);
  return at::addmm(placeholder_bias_, hidden_TD, left_.t()).index_select(0, left_G) +
         at::mm(hidden_TD, right_.t()).index_select(0, left_G + 1);
}

std::vector<int64_t> token_positions(const States& states) {
  std::vector<int64_t> positions;
  for (size_t r = 0; r + 1 < states.offsets.size(); ++r) {
    for (int64_t t = states.offsets[r] + 1; t + 1 < states.offsets[r + 1]; ++t) positions.push_back(t);
  }
  return positions;
}

Tensor mask_states(const Levt& model, const Masked& masked, Reading& reading) {
  // Masks come in the order of their rows.
  Rows read;
  std::vector<int64_t> positions;
  size_t mask = 0;
  for (int64_t r = 0; r < masked.rows.count(); ++r) {
    const size_t first = mask;
    // Packed position of the row's first token: every row before it has its two sentinels, this one its BOS.
    const int64_t begin = read.offsets.back() + 2 * read.count() + 1;
    for (; mask < masked.masks.size() && masked.masks[mask] < masked.rows.offsets[r + 1]; ++mask) {
      positions.push_back(begin + masked.masks[mask] - masked.rows.offsets[r]);
    }
    if (mask > first) read.append(masked.rows.row(r));
  }
  const States states = model.encode(read);
  reading.passes += 1;
  reading.positions += states.offsets.back();
  return states.hidden_TD.index_select(0, nn::index_tensor(positions, states.hidden_TD.device()));
}

}  // namespace merge::baselines
