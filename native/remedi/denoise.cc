// One denoising step, without gradients.
#include "remedi/denoise.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "nn/packed.h"
#include "random.h"
#include "remedi/proposal.h"

namespace merge::remedi {
namespace {

enum Fate : uint8_t { kFree = 0, kStays = 1, kMasked = 2 };

struct StepOptions {
  explicit StepOptions(const Record& record)
      : policy(record.word("policy")),
        source(record.word("confidenceSource")),
        sampling{record.number("temperature"), record.number("topP"), record.integer("topK")},
        order_temperature(record.number("orderTemperature")),
        vocabulary(record.integer("vocabulary")),
        seed(static_cast<uint64_t>(record.integer("seed"))) {}

  // Whether the source asks the token stream about visible tokens, too.
  bool reads_all() const { return source != "ups" && source != "random"; }

  std::string policy, source;
  SamplingOptions sampling;
  double order_temperature;  // of the Plackett-Luce draw of the order; 0: the order of the scores
  int64_t vocabulary;        // ids below it may be written
  uint64_t seed;
};

// One row of the step: its tokens' range, its numbers, its random streams.
struct RowPlan {
  RowPlan(const DenoiseInput& input, const StepOptions& options, int64_t r)
      : begin(input.blocks.rows.offsets[r]),
        end(input.blocks.rows.offsets[r + 1]),
        keep(static_cast<int64_t>(input.columns_B.at("keep")[r])),
        fill_threshold(input.columns_B.at("fillThreshold")[r]),
        remask_threshold(input.columns_B.at("remaskThreshold")[r]),
        tokens(options.seed, draw(input, r), key(input, r), Purpose::kDenoiseToken),
        order(options.seed, draw(input, r), key(input, r), Purpose::kDenoiseOrder) {}

  static uint64_t draw(const DenoiseInput& input, int64_t r) {
    return static_cast<uint64_t>(input.columns_B.at("draw")[r]);
  }
  static uint64_t key(const DenoiseInput& input, int64_t r) {
    return static_cast<uint64_t>(input.columns_B.at("key")[r]);
  }

  int64_t begin, end, keep;
  double fill_threshold, remask_threshold;
  Random tokens, order;  // by the place within the block
};

std::vector<float> host_floats(const Tensor& tensor) {
  const Tensor host = tensor.to(at::kCPU, at::kFloat).contiguous();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// The confidence of a position by its source: 0..1, but for margins of visible tokens (-1..1) and raw logits.
double confidence_of(const StepOptions& options, double h, const Proposal& proposal, double uniform) {
  if (options.source == "ups") return sigmoid(h);
  if (options.source == "probability") return proposal.probability;
  if (options.source == "logit") return proposal.logit;
  if (options.source == "margin") return proposal.margin;
  if (options.source == "entropy") return 1 - proposal.entropy / std::log(static_cast<double>(options.vocabulary));
  return uniform;
}

// 1 for each position that is visible after the step.
std::vector<uint8_t> kept_positions(const DenoiseInput& input, const std::vector<bool>& masked_N,
                                    const DenoiseOutput& output, const StepOptions& options, const RowPlan& plan) {
  const int64_t n = plan.end - plan.begin;
  std::vector<uint8_t> kept(static_cast<size_t>(n), 0);
  std::vector<int64_t> order;
  int64_t left = plan.keep;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = plan.begin + i;
    const uint8_t fate = input.fate_N[at];
    if (fate == kStays) kept[i] = 1;
    if (options.policy == "rank") {
      if (fate == kStays) --left;
      if (fate == kFree) order.push_back(i);
    } else if (fate == kFree && masked_N[at]) {
      kept[i] = output.confidence[at] >= plan.fill_threshold;
      order.push_back(i);
    } else if (fate == kFree) {
      kept[i] = output.confidence[at] >= plan.remask_threshold;
    }
  }
  // The best of the free positions; ties go to the leftmost.
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return output.score[plan.begin + a] > output.score[plan.begin + b]; });
  for (int64_t i = 0; i < std::min<int64_t>(left, static_cast<int64_t>(order.size())); ++i) kept[order[i]] = 1;
  return kept;
}

}  // namespace

DenoiseOutput denoise_blocks(const Model& model, const nn::KvCache& cache, const Record& record,
                             const DenoiseInput& input) {
  at::NoGradGuard no_grad;
  const StepOptions options(record);
  const CachedRows& blocks = input.blocks;
  const Rows& rows = blocks.rows;
  const int32_t mask = model.options().mask;
  const at::Device device = model.options().placement.device;
  const size_t tokens = rows.tokens.size();
  std::vector<RowPlan> plans;
  for (int64_t r = 0; r < rows.count(); ++r) plans.emplace_back(input, options, r);

  // 1) read both streams behind the cache
  const Sequence sequence = model.sequence(rows, blocks.positions);
  const Streams streams = model.forward(sequence, [&](int64_t layer, const Tensor& qkv) {
    return cache.read(layer, qkv, sequence.offsets, blocks.slots, model.heads(), ops::Among::kAll);
  });
  const auto h_N = host_floats(streams.confidence_T);

  // 2) propose: a token for each mask, and what the token stream says of the visible ones if the source asks for it
  std::vector<bool> masked_N(tokens);
  std::vector<int64_t> asked, row_of(tokens);
  for (int64_t r = 0; r < rows.count(); ++r)
    std::fill(row_of.begin() + rows.offsets[r], row_of.begin() + rows.offsets[r + 1], r);
  for (size_t t = 0; t < tokens; ++t) {
    masked_N[t] = rows.tokens[t] == mask;
    if (masked_N[t] || options.reads_all()) asked.push_back(static_cast<int64_t>(t));
  }
  std::vector<int64_t> forbidden(input.forbidden.begin(), input.forbidden.end());
  forbidden.push_back(mask);
  const Tensor forbidden_F = nn::index_tensor(forbidden, device);
  std::vector<Proposal> proposal_N(tokens, Proposal{});
  for (size_t t = 0; t < tokens; ++t) proposal_N[t].token = rows.tokens[t];
  const Tensor asked_MD = streams.hidden_TD.index_select(0, nn::index_tensor(asked, device));
  model.head().look(asked_MD, [&](int64_t first, const Tensor& logits_mV) {
    // A visible token may be forbidden to be written anew; its own probability is asked for all the same.
    const Tensor shown_mV = options.reads_all() ? logits_mV.to(at::kCPU, at::kFloat).contiguous() : Tensor();
    const Tensor host_mV = logits_mV.index_fill(1, forbidden_F, -INFINITY).to(at::kCPU, at::kFloat).contiguous();
    const int64_t width = host_mV.size(1);
    at::parallel_for(0, host_mV.size(0), 1, [&](int64_t begin, int64_t end) {
      for (int64_t m = begin; m < end; ++m) {
        const int64_t at = asked[first + m];
        const RowPlan& plan = plans[row_of[at]];
        const Tensor& source = masked_N[at] ? host_mV : shown_mV;
        const int64_t vocabulary = masked_N[at] ? options.vocabulary : width;
        proposal_N[at] =
            propose(source.const_data_ptr<float>() + m * width, vocabulary, masked_N[at] ? -1 : rows.tokens[at],
                    options.sampling, plan.tokens.uniform(static_cast<uint64_t>(at - plan.begin)));
      }
    });
  });

  // 3) rank
  DenoiseOutput output;
  for (size_t t = 0; t < tokens; ++t) {
    const RowPlan& plan = plans[row_of[t]];
    const double uniform = plan.order.uniform(static_cast<uint64_t>(static_cast<int64_t>(t) - plan.begin));
    const double confidence = confidence_of(options, h_N[t], proposal_N[t], uniform);
    // Sorted by s / tau + Gumbel noise, positions come in the order of a Plackett-Luce draw with logits s / tau.
    const double base = options.source == "ups" ? h_N[t] : confidence;
    const double score =
        options.order_temperature > 0 ? base / options.order_temperature - std::log(-std::log(uniform)) : base;
    output.candidate.push_back(static_cast<int32_t>(proposal_N[t].token));
    output.confidence.push_back(static_cast<float>(confidence));
    output.score.push_back(static_cast<float>(score));
    output.probability.push_back(static_cast<float>(proposal_N[t].probability));
  }

  // 4) keep and remask
  output.tokens.assign(tokens, mask);
  for (const RowPlan& plan : plans) {
    const auto kept = kept_positions(input, masked_N, output, options, plan);
    for (size_t i = 0; i < kept.size(); ++i) {
      if (kept[i]) output.tokens[plan.begin + i] = output.candidate[plan.begin + i];
    }
  }
  return output;
}

}  // namespace merge::remedi
