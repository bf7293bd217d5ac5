// Unroll: the pieces of a round that both profiles share.
#include "merge/unroll.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "merge/alignment_losses.h"
#include "merge/literal_losses.h"
#include "ops/upload.h"

namespace merge {
namespace {

Rows first_rows(const Rows& rows, int64_t count) {
  Rows first;
  for (int64_t r = 0; r < count; ++r) first.append(rows.row(r));
  return first;
}

}  // namespace

Model::Reading read_way(const Model& model, const Way& way, Tally& tally) {
  if (model.options().encodings == 1 && way.states.hidden_TD.defined()) return model.judge(way.states);
  tally.passes += 1;
  tally.positions +=
      static_cast<int64_t>(way.x.tokens.size() + way.beside.conditions.tokens.size()) + 2 * way.x.count();
  return model.read(way.x, way.beside);
}

TokenKeeps token_keeps(const Model::Reading& reading, const Rows& x, int64_t rows) {
  std::vector<int64_t> tokens_at, token_rows;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < x.length(r); ++i) {
      tokens_at.push_back(reading.states.token(r, i));
      token_rows.push_back(r);
    }
  }
  const auto device = reading.keep_T.device();
  return {reading.keep_T.index_select(0, nn::index_tensor(tokens_at, device)), nn::index_tensor(token_rows, device)};
}

std::vector<float> drawn_gate(const Model::Reading& reading, int64_t rows, const StepOptions& options,
                              const RoundDraw& draw) {
  if (draw.round == 0 && options.generate_first) return std::vector<float>(static_cast<size_t>(rows), 0.0f);
  // sync: the roll-in decides per row on the host.
  const Tensor gate_B = reading.gate_B.narrow(0, 0, rows).detach().sigmoid().to(at::kCPU, at::kFloat).contiguous();
  std::vector<float> gate(gate_B.const_data_ptr<float>(), gate_B.const_data_ptr<float>() + gate_B.numel());
  const Random random = draw.draws.of(Purpose::kGateNoise);
  for (size_t r = 0; options.gate_noise > 0 && r < gate.size(); ++r) {
    const double radius = std::sqrt(-2.0 * std::log(random.uniform(r, 0)));
    const double normal = radius * std::cos(2.0 * std::numbers::pi * random.uniform(r, 1));
    gate[r] = static_cast<float>(std::clamp(gate[r] + options.gate_noise * normal, 0.0, 1.0));
  }
  return gate;
}

Tensor effective_keep(const Tensor& keep_N, const Tensor& rows_N, const Tensor& gate_logits_B,
                      const std::vector<float>& gate_B, double threshold) {
  std::vector<uint8_t> edits(gate_B.size());
  for (size_t r = 0; r < gate_B.size(); ++r) edits[r] = gate_B[r] > threshold;
  const Tensor soft_B = gate_logits_B.sigmoid();
  const Tensor hard_B = floats(edits, soft_B) + soft_B - soft_B.detach();
  return 1 - hard_B.index_select(0, rows_N) * (1 - keep_N);
}

Labels oracle_labels(const Rows& x, const Rows& y) {
  Labels labels;
  labels.keep_N.resize(x.tokens.size());
  labels.needs_B.resize(static_cast<size_t>(x.count()));
  at::parallel_for(0, x.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto keep = kept(x.length(r), align(x.row(r), y.row(r)));
      std::copy(keep.begin(), keep.end(), labels.keep_N.begin() + x.offsets[r]);
      labels.needs_B[r] = std::find(keep.begin(), keep.end(), 0) != keep.end();
    }
  });
  return labels;
}

Tensor weighted(const Terms& terms, const StepOptions& options, double& value) {
  const Weights& weights = options.weights;
  const Tensor total = weights.recon * terms.recon + weights.compression * terms.compression +
                       weights.pointer * terms.pointer + weights.gate * terms.gate + weights.length * terms.length;
  // sync: a bad loss must stop before it reaches the weights.
  value = total.item<double>();
  if (!std::isfinite(value)) {
    throw Error("ERR_NONFINITE", "loss: expected a finite number, received " + std::to_string(value) + " at step " +
                                     std::to_string(options.step));
  }
  return total;
}

Tensor unaligned_recon(const Model& model, const States& states, const Rows& y, const StepOptions& options) {
  // The head reads every token of S^, sentinels aside.
  std::vector<int64_t> places;
  Offsets offsets{0};
  for (int64_t r = 0; r < y.count(); ++r) {
    for (int64_t t = states.offsets[r] + 1; t + 1 < states.offsets[r + 1]; ++t) places.push_back(t);
    offsets.push_back(static_cast<int64_t>(places.size()));
  }
  const auto device = states.hidden_TD.device();
  const Tensor logits_PV = model.head().logits(states.hidden_TD.index_select(0, nn::index_tensor(places, device)));
  switch (options.reconstruction) {
    case Reconstruction::kAxe:
      return axe(logits_PV, offsets, y, model.options().pad, options.axe_penalty);
    case Reconstruction::kOaxe:
      return oaxe(logits_PV, offsets, y, model.options().pad);
    case Reconstruction::kCtc:
      return ctc(logits_PV, offsets, y, model.options().pad);
    default:
      return literal_recon(logits_PV, offsets, y);
  }
}

Fills relaxed_fill(const Model& model, const Tensor& logits_MV, const StepOptions& options, const RoundDraw& draw) {
  Tensor scores_MV = logits_MV;
  if (options.gradient == RoundGradient::kGumbel) {
    const Random random = draw.draws.of(Purpose::kRelaxedFill);
    Tensor noise = at::empty(logits_MV.sizes(), at::kFloat);
    float* values = noise.mutable_data_ptr<float>();
    at::parallel_for(0, noise.numel(), 4096, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) values[i] = static_cast<float>(-std::log(-std::log(random.uniform(i))));
    });
    scores_MV = (logits_MV + noise.to(logits_MV.options())) / options.temperature;
  }
  return {scores_MV.detach().argmax(1), model.relaxed_embedding(at::softmax(scores_MV, 1))};
}

Way next_way(const Way& way, const Masked& masked, const Fills& fills, const States& states, int64_t rows) {
  Way next;
  const Rows all = filled(masked, fills.tokens_M);
  next.x = first_rows(all, rows);
  next.y = first_rows(way.y, rows);
  if (way.beside.conditions.count() > 0) next.beside.conditions = first_rows(way.beside.conditions, rows);
  std::vector<int64_t> which;
  for (size_t m = 0; m < masked.masks.size() && masked.masks[m] < all.offsets[rows]; ++m) {
    next.beside.relaxed.tokens.push_back(masked.masks[m]);
    which.push_back(static_cast<int64_t>(m));
  }
  if (fills.delta_MD.defined() && !which.empty()) {
    next.beside.relaxed.delta_MD = fills.delta_MD.narrow(0, 0, static_cast<int64_t>(which.size()));
  } else {
    next.beside.relaxed = {};
  }
  next.states.offsets.assign(states.offsets.begin(), states.offsets.begin() + rows + 1);
  next.states.hidden_TD = states.hidden_TD.narrow(0, 0, next.states.offsets.back());
  return next;
}

Tensor floats(const std::vector<uint8_t>& flags, const Tensor& like) {
  return ops::upload(std::vector<float>(flags.begin(), flags.end()), like.device()).to(like.scalar_type());
}

}  // namespace merge
