// One round of the aligned profile: encode, label, delete, insert, fill, each against the oracle.
#include <ATen/core/grad_mode.h>

#include "merge/unroll.h"
#include "ops/bernoulli_st.h"
#include "ops/upload.h"

namespace merge {
namespace {

// The rows of the way and, for a share of them, a random subsequence of their target as a further row, for the inserter
// alone; the first `learned` rows are those that the deleter and the gate learn from.
struct Extended {
  Way way;
  int64_t learned;
};

Extended with_subsequences(const Model& model, const Way& way, double share, const Draws& draws, Tally& tally) {
  Extended extended{way, way.x.count()};
  if (share <= 0) return extended;
  const Random chosen = draws.of(Purpose::kRollIn);
  const Rows parts = random_subsequence(way.y, draws.of(Purpose::kSubsequence));
  Way added;
  for (int64_t r = 0; r < way.y.count(); ++r) {
    if (chosen.uniform(r, 0) >= share) continue;
    added.x.append(parts.row(r));
    added.y.append(way.y.row(r));
    if (way.beside.conditions.count() > 0) added.beside.conditions.append(way.beside.conditions.row(r));
  }
  for (int64_t r = 0; r < added.x.count(); ++r) {
    extended.way.x.append(added.x.row(r));
    extended.way.y.append(added.y.row(r));
    if (added.beside.conditions.count() > 0) {
      extended.way.beside.conditions.append(added.beside.conditions.row(r));
    }
  }
  if (way.states.hidden_TD.defined() && added.x.count() > 0) {
    // The last round never encoded these.
    const States states = model.encode(added.x, added.beside);
    tally.passes += 1;
    tally.positions += states.offsets.back();
    const int64_t begin = extended.way.states.offsets.back();
    for (size_t r = 1; r < states.offsets.size(); ++r) {
      extended.way.states.offsets.push_back(begin + states.offsets[r]);
    }
    extended.way.states.hidden_TD = at::cat({way.states.hidden_TD, states.hidden_TD});
  }
  return extended;
}

// Which tokens of X stay in S: for a share of the learned rows the model's own draw under its gate (H11), else the
// oracle's. Subsequence rows stay whole. straight_N is the same with the gradient of the own draws.
struct Deletion {
  std::vector<uint8_t> keep_N;
  Tensor straight_N;
};

Deletion draw_deletion(const Rows& x, int64_t learned, const std::vector<uint8_t>& oracle_N, const TokenKeeps& keeps,
                       const Tensor& gate_logits_B, const std::vector<float>& gate_B, const StepOptions& options,
                       const Draws& draws) {
  Deletion deletion{std::vector<uint8_t>(x.tokens.size(), 1), {}};
  const Random chosen = draws.of(Purpose::kRollIn), random = draws.of(Purpose::kDelete);
  std::vector<uint8_t> own_N(oracle_N.size());
  bool any_own = false;
  for (int64_t r = 0; r < learned; ++r) {
    const bool own = chosen.uniform(r, 1) < options.own_deletion;
    any_own |= own;
    std::fill(own_N.begin() + x.offsets[r], own_N.begin() + x.offsets[r + 1], own ? 1 : 0);
  }
  if (options.soft_deletion) {
    const Offsets offsets(x.offsets.begin(), x.offsets.begin() + learned + 1);
    const Tensor sample_N = ops::bernoulli_st(keeps.logits_N, offsets, options.temperature, random).sample;
    const Tensor effective_N = effective_keep(sample_N, keeps.rows_N, gate_logits_B, gate_B, options.edit_threshold);
    const Tensor own = floats(own_N, effective_N), oracle = floats(oracle_N, effective_N);
    const Tensor learned_N = own * effective_N + (1 - own) * oracle;
    const int64_t rest = static_cast<int64_t>(x.tokens.size()) - learned_N.size(0);
    deletion.straight_N = at::cat({learned_N, at::ones({rest}, learned_N.options())});
    // sync: deletion happens on the host.
    const Tensor host_N = deletion.straight_N.detach().to(at::kCPU, at::kFloat).contiguous();
    for (size_t t = 0; t < deletion.keep_N.size(); ++t) deletion.keep_N[t] = host_N.const_data_ptr<float>()[t] > .5f;
    return deletion;
  }
  std::copy(oracle_N.begin(), oracle_N.end(), deletion.keep_N.begin());
  if (!any_own) return deletion;
  // sync: deletion happens on the host.
  const Tensor keep_N = keeps.logits_N.detach().sigmoid().to(at::kCPU, at::kFloat).contiguous();
  for (int64_t r = 0; r < learned; ++r) {
    const bool edits = gate_B[r] > options.edit_threshold;
    for (int32_t t = x.offsets[r]; t < x.offsets[r + 1]; ++t) {
      const float keep = keep_N.const_data_ptr<float>()[t];
      if (own_N[t]) deletion.keep_N[t] = !edits || random.uniform(r, t - x.offsets[r]) < keep;
    }
  }
  return deletion;
}

// Where D2's training puts the number of masks, against the oracle's counts, minus the bonus of spread scores (H10).
Tensor insertion_loss(const Inserter::Output& gaps, CountSource source, const std::vector<int32_t>& counts,
                      const std::vector<int64_t>& gap_rows, int64_t rows, const StepOptions& options) {
  const auto device = gaps.score_G.device();
  const Tensor counts_G = nn::index_tensor({counts.begin(), counts.end()}, device);
  const Tensor rows_G = nn::index_tensor(gap_rows, device);
  Tensor loss;
  switch (source) {
    case CountSource::kCounts:
      loss = count_loss(gaps.count_GC, counts_G, options.count_smoothing);
      break;
    case CountSource::kPoisson:
      loss = poisson_loss(gaps.rate_G, counts_G);
      break;
    case CountSource::kLength:
      loss = poisson_loss(gaps.total_B, at::zeros({rows}, counts_G.options()).index_add(0, rows_G, counts_G)) +
             allotment_loss(gaps.score_G, counts_G, rows_G, rows);
      break;
    default:
      loss = allotment_loss(gaps.score_G, counts_G, rows_G, rows);
  }
  return loss - options.score_entropy * score_entropy(gaps.score_G, rows_G, rows);
}

// What D2 itself would insert, for the report.
Tensor own_counts(const Inserter::Output& gaps, CountSource source) {
  if (source == CountSource::kCounts) return gaps.count_GC.argmax(1);
  if (source == CountSource::kPoisson) return gaps.rate_G.clamp_max(10).exp().round().to(at::kLong);
  return gaps.score_G.gt(0).to(at::kLong);
}

}  // namespace

RoundLoss aligned_round(const Model& model, const StepOptions& options, const Way& way, const RoundDraw& draw,
                        double scale, Tally& tally) {
  const Extended extended = with_subsequences(model, way, options.subsequence, draw.draws, tally);
  const Rows &x = extended.way.x, &y = extended.way.y;
  const int64_t learned = extended.learned;

  // 1) gate, 2) delete: what E(X) says, against the oracle, which aligns while a GPU reads
  const Model::Reading reading = read_way(model, extended.way, tally);
  Labels labels;
  {
    Stopwatch host(tally.host_seconds);
    labels = oracle_labels(way.x, way.y);
  }
  const TokenKeeps keeps = token_keeps(reading, x, learned);
  const Tensor gate_logits_B = reading.gate_B.narrow(0, 0, learned);
  const Tensor keep_N = floats(labels.keep_N, keeps.logits_N), needs_B = floats(labels.needs_B, gate_logits_B);
  const auto gate = drawn_gate(reading, learned, options, draw);
  const Tensor gate_B = ops::upload(gate, gate_logits_B.device()).to(gate_logits_B.scalar_type());
  const Deletion deletion = draw_deletion(x, learned, labels.keep_N, keeps, gate_logits_B, gate, options, draw.draws);

  // 3) insert: what D2 says of S, against the oracle, which again aligns while a GPU computes
  Skeleton skeleton;
  {
    Stopwatch host(tally.host_seconds);
    skeleton = drop(x, deletion.keep_N);
  }
  const Inserter::Output gaps = model.gaps(reading.states, x, skeleton, extended.way.beside, deletion.straight_N);
  tally.passes += model.options().encodings == 3 ? 1 : 0;
  Insertion insertion;
  std::vector<int64_t> gap_rows;
  {
    Stopwatch host(tally.host_seconds);
    insertion = oracle_insertion(skeleton, y, model.options().mask, model.options().max_insert);
    for (int64_t r = 0; r < skeleton.rows.count(); ++r) {
      gap_rows.insert(gap_rows.end(), skeleton.rows.length(r) + 1, r);
    }
  }

  // 4) fill: E(S^), the head at the masks, against the oracle's tokens
  const Model::Filled fill = model.fill(x, skeleton, insertion.masked, extended.way.beside, {deletion.straight_N, {}});
  tally.passes += 1;
  tally.positions += static_cast<int64_t>(insertion.masked.rows.tokens.size()) + 2 * insertion.masked.rows.count();
  const Tensor targets_M = nn::index_tensor(insertion.targets_M, fill.masks_MD.device());
  const bool stops = options.gradient == RoundGradient::kStop;
  const Tensor logits_MV = stops ? Tensor() : model.head().logits(fill.masks_MD);
  const nn::HeadLoss said = stops ? model.head().loss(fill.masks_MD, targets_M, {.smoothing = options.label_smoothing})
                                  : nn::logits_loss(logits_MV, targets_M, options.label_smoothing);

  const bool aligned = options.reconstruction == Reconstruction::kOracle;
  RoundLoss round{
      .terms = {.recon = aligned ? recon_loss(said.loss_M) : unaligned_recon(model, fill.states, y, options),
                .compression = compression_loss(keeps.logits_N, keep_N, keeps.rows_N, gate_B, options.keep_reduction,
                                                options.keep_kl),
                .pointer = insertion_loss(gaps, model.count_source(), insertion.counts_G, gap_rows,
                                          skeleton.rows.count(), options),
                .gate = gate_loss(gate_logits_B, needs_B, options.gate_cost),
                .length = length_loss(keeps.logits_N, keep_N, keeps.rows_N, learned)},
      .total = {},
      .next = {}};
  double value = 0;
  round.total = weighted(round.terms, options, value);

  const Fills fills = stops ? Fills{said.best_M, {}} : relaxed_fill(model, logits_MV, options, draw);
  round.next = next_way(extended.way, insertion.masked, fills, fill.states, learned);

  at::NoGradGuard no_grad;
  tally.add(round.terms, value, scale);
  tally.judge(keeps.logits_N, keep_N, gate_B, scale);
  tally.count(own_counts(gaps, model.count_source()),
              nn::index_tensor({insertion.counts_G.begin(), insertion.counts_G.end()}, targets_M.device()));
  tally.fill(said.best_M, targets_M);
  return round;
}

}  // namespace merge
