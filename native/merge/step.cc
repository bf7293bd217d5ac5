// One training step: encode, label, delete, insert, fill, and on to the model's own next state.
#include "merge/step.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <chrono>
#include <cmath>
#include <numbers>

#include "merge/losses.h"
#include "merge/rollin.h"

namespace merge {
namespace {

struct Weights {
  double recon, compression, pointer, gate, length;
};

// What a step's record says, read once.
struct StepOptions {
  explicit StepOptions(const Record& record)
      : seed(static_cast<uint64_t>(record.integer("seed"))),
        step(static_cast<uint64_t>(record.integer("step"))),
        rounds(record.integer("rounds")),
        accumulation(record.integer("accumulation")),
        weights{record.number("weightRecon"), record.number("weightCompression"), record.number("weightPointer"),
                record.number("weightGate"), record.number("weightLength")},
        keep_reduction(record.number("keepReduction")),
        keep_kl(record.number("keepKl")),
        count_smoothing(record.number("countSmoothing")),
        score_entropy(record.number("scoreEntropy")),
        gate_cost(record.number("gateCost")),
        label_smoothing(record.number("labelSmoothing")),
        gate_noise(record.number("gateNoise")),
        own_deletion(record.number("ownDeletion")),
        subsequence(record.number("subsequence")),
        own_fill(record.number("ownFill")) {}

  uint64_t seed, step;
  int64_t rounds, accumulation;
  Weights weights;
  double keep_reduction, keep_kl, count_smoothing, score_entropy, gate_cost, label_smoothing, gate_noise;
  double own_deletion, subsequence, own_fill;
};

// Sums over the step's rounds; the report divides.
struct Sums {
  double recon = 0, compression = 0, pointer = 0, gate = 0, length = 0, total = 0;
  double gate_rate = 0, keep_rate = 0;
  int64_t positions = 0, masks = 0, fills_right = 0, gaps = 0, counts_right = 0, tokens = 0, keeps_right = 0,
          rounds = 0;
  double host_seconds = 0;
};

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

Tensor floats(const std::vector<uint8_t>& flags, const Tensor& like) {
  Tensor tensor = at::empty({static_cast<int64_t>(flags.size())}, at::kFloat);
  std::copy(flags.begin(), flags.end(), tensor.mutable_data_ptr<float>());
  return tensor.to(like.options());
}

// The oracle's word on each row of X: which tokens to keep, and whether the row needs the edit path at all (g*).
struct Labels {
  std::vector<uint8_t> keep_N, needs_B;
};

Labels label(const Rows& x, const Rows& y) {
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

// Gate probabilities with training noise, hard and soft; on the host, without gradient (H11, H22).
std::vector<float> noisy_gate(const Tensor& gate_logits_B, double noise, const Random& random) {
  // sync: the roll-in decides per row on the host.
  const Tensor gate_B = gate_logits_B.detach().sigmoid().to(at::kCPU, at::kFloat).contiguous();
  std::vector<float> gate(gate_B.const_data_ptr<float>(), gate_B.const_data_ptr<float>() + gate_B.numel());
  for (size_t r = 0; noise > 0 && r < gate.size(); ++r) {
    const double radius = std::sqrt(-2.0 * std::log(random.uniform(r, 0)));
    const double normal = radius * std::cos(2.0 * std::numbers::pi * random.uniform(r, 1));
    gate[r] = static_cast<float>(std::clamp(gate[r] + noise * normal, 0.0, 1.0));
  }
  return gate;
}

// One state to learn from: rows X, the first `learned` of which the deleter and the gate learn from; the others are
// random subsequences of their targets, for the inserter alone.
struct State {
  Rows x, y;
  int64_t learned;
};

// The rows of X and, for a share of them, a random subsequence of their target as a further row.
State with_subsequences(const Rows& x, const Rows& y, double share, const Draws& draws) {
  State state{x, y, x.count()};
  if (share <= 0) return state;
  const Random chosen = draws.of(Purpose::kRollIn);
  const Rows parts = random_subsequence(y, draws.of(Purpose::kSubsequence));
  for (int64_t r = 0; r < y.count(); ++r) {
    if (chosen.uniform(r, 0) >= share) continue;
    state.x.append(parts.row(r));
    state.y.append(y.row(r));
  }
  return state;
}

// Which tokens of X stay in S: for a share of the learned rows a draw of the model's own effective keep probability
// 1 - g (1 - p_keep), g hard (H11), else the oracle's. Subsequence rows stay whole.
std::vector<uint8_t> keep_flags(const State& state, const std::vector<uint8_t>& oracle_N, const Tensor& keep_logits_N,
                                const std::vector<float>& gate_B, double own_share, const Draws& draws) {
  std::vector<uint8_t> flags(state.x.tokens.size(), 1);
  // sync: deletion happens on the host.
  const Tensor keep_N = keep_logits_N.detach().sigmoid().to(at::kCPU, at::kFloat).contiguous();
  const Random chosen = draws.of(Purpose::kRollIn), random = draws.of(Purpose::kDelete);
  for (int64_t r = 0; r < state.learned; ++r) {
    const bool own = chosen.uniform(r, 1) < own_share, edits = gate_B[r] > .5f;
    for (int32_t t = state.x.offsets[r]; t < state.x.offsets[r + 1]; ++t) {
      const float keep = keep_N.const_data_ptr<float>()[t];
      flags[t] = own ? !edits || random.uniform(r, t - state.x.offsets[r]) < keep : oracle_N[t];
    }
  }
  return flags;
}

// One round over one state: adds to the sums (and the gradients) and returns the model's own next rows.
Rows run_round(const Model& model, const StepOptions& options, const State& state, const Draws& draws, double scale,
               bool learn, Sums& sums) {
  auto host = Clock::now();
  Rows learned_x;
  for (int64_t r = 0; r < state.learned; ++r) learned_x.append(state.x.row(r));
  const Labels labels = label(learned_x, state.y);
  sums.host_seconds += seconds_since(host);

  // 1) gate, 2) delete: what E(X) says, against the oracle
  const Model::Reading reading = model.read(state.x);
  std::vector<int64_t> tokens_at, token_rows;
  for (int64_t r = 0; r < state.learned; ++r) {
    for (int64_t i = 0; i < learned_x.length(r); ++i) {
      tokens_at.push_back(reading.packed.token(r, i));
      token_rows.push_back(r);
    }
  }
  const at::Device device = model.options().placement.device;
  const Tensor rows_N = nn::index_tensor(token_rows, device);
  const Tensor keep_logits_N = reading.keep_T.index_select(0, nn::index_tensor(tokens_at, device));
  const Tensor gate_logits_B = reading.gate_B.narrow(0, 0, state.learned);
  const Tensor keep_N = floats(labels.keep_N, keep_logits_N), needs_B = floats(labels.needs_B, gate_logits_B);
  const auto gate = noisy_gate(gate_logits_B, options.gate_noise, draws.of(Purpose::kGateNoise));
  const Tensor gate_B = at::tensor(at::ArrayRef<float>(gate)).to(gate_logits_B.options());

  // 3) insert: counts for S, the oracle's or the model's own
  host = Clock::now();
  const Skeleton skeleton =
      drop(state.x, keep_flags(state, labels.keep_N, keep_logits_N, gate, options.own_deletion, draws));
  const Insertion insertion = oracle_insertion(skeleton, state.y, model.options().mask, model.options().max_insert);
  std::vector<int64_t> gap_rows;
  for (int64_t r = 0; r < skeleton.rows.count(); ++r) gap_rows.insert(gap_rows.end(), skeleton.rows.length(r) + 1, r);
  sums.host_seconds += seconds_since(host);
  const Inserter::Output gaps = model.gaps(reading, skeleton);
  const Tensor counts_G =
      nn::index_tensor(std::vector<int64_t>(insertion.counts_G.begin(), insertion.counts_G.end()), device);

  // 4) fill: E(S^), the head at the masks, against the oracle's tokens
  const Tensor logits_MV = model.fill(state.x, skeleton, insertion.masked);
  const Tensor targets_M = nn::index_tensor(insertion.targets_M, device);

  const Terms terms{
      .recon = recon_loss(logits_MV, targets_M, options.label_smoothing),
      .compression = compression_loss(keep_logits_N, keep_N, rows_N, gate_B, options.keep_reduction, options.keep_kl),
      .pointer = pointer_loss(gaps.count_GC, counts_G, gaps.score_G, nn::index_tensor(gap_rows, device),
                              skeleton.rows.count(), options.count_smoothing, options.score_entropy),
      .gate = gate_loss(gate_logits_B, needs_B, options.gate_cost),
      .length = length_loss(keep_logits_N, keep_N, rows_N, state.learned)};
  const Weights& weights = options.weights;
  const Tensor total = weights.recon * terms.recon + weights.compression * terms.compression +
                       weights.pointer * terms.pointer + weights.gate * terms.gate + weights.length * terms.length;
  // sync: a bad loss must stop before it reaches the weights.
  const double value = total.item<double>();
  if (!std::isfinite(value)) {
    throw Error("ERR_NONFINITE", "loss: expected a finite number, received " + std::to_string(value) + " at step " +
                                     std::to_string(options.step));
  }
  if (learn) torch::autograd::backward({total * scale}, {});

  at::NoGradGuard no_grad;
  const Tensor fills_M = logits_MV.argmax(1);
  sums.total += value * scale;
  sums.recon += terms.recon.item<double>() * scale;
  sums.compression += terms.compression.item<double>() * scale;
  sums.pointer += terms.pointer.item<double>() * scale;
  sums.gate += terms.gate.item<double>() * scale;
  sums.length += terms.length.item<double>() * scale;
  sums.gate_rate += gate.empty() ? 0 : gate_B.gt(.5).to(at::kDouble).mean().item<double>() * scale;
  sums.keep_rate += keep_N.numel() == 0 ? scale : keep_logits_N.gt(0).to(at::kDouble).mean().item<double>() * scale;
  sums.keeps_right += keep_logits_N.gt(0).eq(keep_N.gt(.5)).sum().item<int64_t>();
  sums.tokens += keep_N.numel();
  sums.counts_right += gaps.count_GC.argmax(1).eq(counts_G).sum().item<int64_t>();
  sums.gaps += counts_G.numel();
  sums.fills_right += fills_M.eq(targets_M).sum().item<int64_t>();
  sums.masks += targets_M.numel();
  sums.positions += reading.packed.offsets.back() + static_cast<int64_t>(insertion.masked.rows.tokens.size()) +
                    2 * insertion.masked.rows.count();
  sums.rounds += 1;

  const Rows next = filled(insertion.masked, fills_M);
  Rows own;
  for (int64_t r = 0; r < state.learned; ++r) own.append(next.row(r));
  return own;
}

Rows slice(const Rows& rows, int64_t begin, int64_t end) {
  Rows part;
  for (int64_t r = begin; r < end; ++r) part.append(rows.row(r));
  return part;
}

Record report_of(const Sums& sums, const TrainBatch& batch) {
  const auto share = [](int64_t right, int64_t of) {
    return of == 0 ? 1.0 : static_cast<double>(right) / static_cast<double>(of);
  };
  Record report;
  report.set("total", sums.total);
  report.set("recon", sums.recon);
  report.set("compression", sums.compression);
  report.set("pointer", sums.pointer);
  report.set("gate", sums.gate);
  report.set("length", sums.length);
  report.set("gateRate", sums.gate_rate);
  report.set("keepRate", sums.keep_rate);
  report.set("fillAccuracy", share(sums.fills_right, sums.masks));
  report.set("keepAccuracy", share(sums.keeps_right, sums.tokens));
  report.set("countAccuracy", share(sums.counts_right, sums.gaps));
  report.set("masks", sums.masks);
  report.set("tokens", sums.positions);
  report.set("targetTokens", static_cast<int64_t>(batch.targets.tokens.size()));
  report.set("rounds", sums.rounds);
  report.set("passes", 2 * sums.rounds);
  report.set("hostSeconds", sums.host_seconds);
  return report;
}

}  // namespace

Record run_rounds(Model& model, const Record& step, const TrainBatch& batch, bool learn,
                  const std::atomic<bool>& cancelled) {
  const StepOptions options(step);
  const int64_t rows = batch.drafts.count(), parts = std::min(options.accumulation, rows);
  Sums sums;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t begin = rows * part / parts, end = rows * (part + 1) / parts;
    const Rows y = slice(batch.targets, begin, end);
    // A micro-batch weighs as its rows, a round as one of those that run (H25).
    const double scale =
        static_cast<double>(end - begin) / static_cast<double>(rows) / static_cast<double>(options.rounds);
    Rows x = slice(batch.drafts, begin, end);
    for (int64_t round = 0; round < options.rounds; ++round) {
      if (cancelled.load()) throw Error("ERR_ABORTED", "the step was cancelled");
      const Draws draws{options.seed, options.step, static_cast<uint64_t>(part * 64 + round)};
      if (round == 0 && options.own_fill > 0) x = own_fill(model, x, y, options.own_fill, draws);
      x = run_round(model, options, with_subsequences(x, y, options.subsequence, draws), draws, scale, learn, sums);
    }
  }
  return report_of(sums, batch);
}

}  // namespace merge
