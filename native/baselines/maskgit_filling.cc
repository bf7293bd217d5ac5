// Filling: lengths from the first marker of sources; tokens at masks, then the order of confidence.
#include "baselines/maskgit_filling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "nn/packed.h"
#include "nn/sampling.h"
#include "random.h"

namespace merge::baselines {
namespace {

// The random numbers of a row: of this round, and of its own key.
Random random_of(const Record& options, const DenoiseInput& input, int64_t r, Purpose purpose) {
  const auto number = [&](const char* name) {
    return static_cast<uint64_t>(input.columns_B.at(name)[static_cast<size_t>(r)]);
  };
  return {static_cast<uint64_t>(options.integer("seed")), number("draw"), number("key"), purpose};
}

// 1 for each free position of row r that becomes a mask: the least sure; ties go to the rightmost.
std::vector<int64_t> remasked(const DenoiseInput& input, const DenoiseOutput& output, int64_t r) {
  const Rows& rows = input.blocks.rows;
  std::vector<int64_t> order;
  for (int64_t t = rows.offsets[r]; t < rows.offsets[r + 1]; ++t) {
    if (input.fate_N[t] == 0) order.push_back(t);
  }
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return output.score[a] > output.score[b]; });
  const auto masks = static_cast<size_t>(input.columns_B.at("masks")[static_cast<size_t>(r)]);
  order.erase(order.begin(), order.end() - static_cast<int64_t>(std::min(masks, order.size())));
  return order;
}

}  // namespace

LengthOutput measure(const MaskGit& model, nn::KvCache& cache, const Record& options, const CachedRows& sources) {
  const int64_t range = model.options().length_range, most = model.options().stream.max_length;
  const int64_t count = options.integer("count"), classes = 2 * range + 1;
  const Tensor hidden_TD = model.remember(cache, sources.rows, sources.slots);
  const std::vector<int64_t> begins(sources.rows.offsets.begin(), sources.rows.offsets.end() - 1);
  Tensor logits_BL = model.length_logits(hidden_TD.index_select(0, nn::index_tensor(begins, hidden_TD.device())))
                         .to(at::kCPU, at::kDouble)
                         .contiguous();
  double* logits = logits_BL.mutable_data_ptr<double>();
  LengthOutput output;
  for (int64_t r = 0; r < sources.rows.count(); ++r) {
    // 1) lengths below 0, and longer ones than a row holds, are none
    double* row = logits + r * classes;
    const int64_t shortest = source_length(sources.rows, r) - range;
    for (int64_t c = 0; c < classes; ++c) {
      if (shortest + c < 0 || shortest + c > most) row[c] = -INFINITY;
    }
    // 2) the most probable first; ties go to the shorter one
    std::vector<int64_t> order(static_cast<size_t>(classes));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return row[a] > row[b]; });
    const double best = row[order.front()];
    const double sum = std::accumulate(row, row + classes, 0.0,
                                       [&](double total, double logit) { return total + std::exp(logit - best); });
    for (int64_t i = 0; i < count; ++i) {
      output.lengths.push_back(static_cast<int32_t>(shortest + order[i]));
      output.probability.push_back(static_cast<float>(std::exp(row[order[i]] - best) / sum));
    }
  }
  return output;
}

DenoiseOutput fill(const MaskGit& model, const nn::KvCache& cache, const Record& options, const DenoiseInput& input) {
  const nn::SamplingOptions sampling{options.number("temperature"), options.number("topP"), options.integer("topK")};
  const Rows& rows = input.blocks.rows;
  const int32_t mask = model.options().mask;
  const int64_t vocabulary = options.integer("vocabulary");

  // 1) read the targets behind their sources
  const Tensor hidden_TD = model.forward_targets(cache, rows, input.blocks.slots);
  const at::Device device = hidden_TD.device();
  std::vector<int64_t> forbidden(input.forbidden.begin(), input.forbidden.end());
  forbidden.push_back(mask);
  const Tensor forbidden_F = nn::index_tensor(forbidden, device);

  // 2) a token for each mask, with its probability among those that may be written; ties go to the lower id
  DenoiseOutput output;
  output.candidate = rows.tokens;
  const auto earlier = input.columns_B.find("confidence");
  for (size_t t = 0; t < rows.tokens.size(); ++t) {
    output.probability.push_back(rows.tokens[t] == mask ? 0.0f : static_cast<float>(earlier->second[t]));
  }
  std::vector<int64_t> masks, row_of;
  for (int64_t r = 0; r < rows.count(); ++r) {
    for (int64_t t = rows.offsets[r]; t < rows.offsets[r + 1]; ++t) {
      if (rows.tokens[t] != mask) continue;
      masks.push_back(t);
      row_of.push_back(r);
    }
  }
  const Tensor masks_MD = hidden_TD.index_select(0, nn::index_tensor(masks, device));
  model.head().look(masks_MD, [&](int64_t first, const Tensor& all_mV) {
    const int64_t last = first + all_mV.size(0);
    const Tensor logits_mV = all_mV.index_fill(1, forbidden_F, -INFINITY).narrow(1, 0, vocabulary);
    Tensor tokens_m;
    if (sampling.temperature == 0) {
      tokens_m = logits_mV.argmax(1);
    } else {
      const Tensor host_mV = logits_mV.to(at::kCPU, at::kFloat).contiguous();
      std::vector<int64_t> drawn;
      for (int64_t m = first; m < last; ++m) {
        const Random random = random_of(options, input, row_of[m], Purpose::kMaskGitToken);
        const double uniform = random.uniform(static_cast<uint64_t>(masks[m] - rows.offsets[row_of[m]]));
        drawn.push_back(
            nn::sampled(host_mV.const_data_ptr<float>() + (m - first) * vocabulary, vocabulary, sampling, uniform));
      }
      tokens_m = nn::index_tensor(drawn, device);
    }
    // sync: what is kept is decided row by row.
    const Tensor chances_m = logits_mV.log_softmax(1)
                                 .gather(1, tokens_m.unsqueeze(1))
                                 .squeeze(1)
                                 .exp()
                                 .to(at::kCPU, at::kFloat)
                                 .contiguous();
    const Tensor host_m = tokens_m.to(at::kCPU).contiguous();
    for (int64_t m = first; m < last; ++m) {
      output.candidate[masks[m]] = static_cast<int32_t>(host_m.const_data_ptr<int64_t>()[m - first]);
      output.probability[masks[m]] = chances_m.const_data_ptr<float>()[m - first];
    }
  });

  // 3) how sure each one is: its logarithm, with noise on what was just written (MaskGIT's choice temperature)
  output.confidence = output.probability;
  for (int64_t r = 0; r < rows.count(); ++r) {
    const double noise = input.columns_B.at("noise")[static_cast<size_t>(r)];
    const Random random = random_of(options, input, r, Purpose::kMaskGitOrder);
    for (int64_t t = rows.offsets[r]; t < rows.offsets[r + 1]; ++t) {
      const double uniform = random.uniform(static_cast<uint64_t>(t - rows.offsets[r]));
      const double gumbel = noise > 0 && rows.tokens[t] == mask ? -noise * std::log(-std::log(uniform)) : 0;
      output.score.push_back(static_cast<float>(std::log(static_cast<double>(output.probability[t])) + gumbel));
    }
  }

  // 4) keep the surest, remask the rest
  output.tokens = output.candidate;
  for (int64_t r = 0; r < rows.count(); ++r) {
    for (const int64_t t : remasked(input, output, r)) output.tokens[t] = mask;
  }
  return output;
}

}  // namespace merge::baselines
