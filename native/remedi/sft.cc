// Remask-SFT: own mistakes, one pass over the copies, two losses.
#include "remedi/sft.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "nn/packed.h"
#include "random.h"
#include "remedi/copies.h"

namespace merge::remedi {
namespace {

struct SftOptions {
  explicit SftOptions(const Record& record)
      : seed(static_cast<uint64_t>(record.integer("seed"))),
        step(static_cast<uint64_t>(record.integer("step"))),
        accumulation(record.integer("accumulation")),
        block_length(record.integer("blockLength")),
        weight_confidence(record.number("weightConfidence")),
        smoothing(record.number("confidenceSmoothing")),
        own_mistakes(record.flag("ownMistakes")) {}

  uint64_t seed, step;
  int64_t accumulation, block_length;
  double weight_confidence, smoothing;
  bool own_mistakes;
};

// Sums over the step's micro-batches.
struct Sums {
  double total = 0, token = 0, confidence = 0;
  int64_t positions = 0, answers = 0, masks = 0, fills_right = 0, wrongs = 0;
  double wrong_confidence = 0, clean_confidence = 0;
};

Rows slice(const Rows& rows, int64_t begin, int64_t end) {
  Rows part;
  for (int64_t r = begin; r < end; ++r) part.append(rows.row(r));
  return part;
}

// The clean tokens of the noisy copies.
Rows answers_of(const Rows& whole, const Rows& noisy) {
  Rows answers;
  for (int64_t r = 0; r < whole.count(); ++r) answers.append(whole.row(r).last(noisy.row(r).size()));
  return answers;
}

// Wrong tokens as the model itself would write them: what it samples at these positions, masked, in the same context.
// Where it samples the right one, the given wrong token stays.
Rows with_own_mistakes(const Model& model, const Rows& whole, const Rows& noisy, const SftOptions& options,
                       uint64_t part) {
  at::NoGradGuard no_grad;
  const Rows clean = answers_of(whole, noisy);
  Rows asked = noisy;
  std::vector<int64_t> wrong;
  for (size_t i = 0; i < noisy.tokens.size(); ++i) {
    if (noisy.tokens[i] == model.options().mask || noisy.tokens[i] == clean.tokens[i]) continue;
    wrong.push_back(static_cast<int64_t>(i));
    asked.tokens[i] = model.options().mask;
  }
  if (wrong.empty()) return noisy;
  const Copies rows = copies(model, whole, asked, options.block_length);
  const Tensor at = rows.noisy_A.index_select(0, nn::index_tensor(wrong, rows.noisy_A.device()));
  const Random random(options.seed, options.step, part, Purpose::kOwnMistake);
  Rows own = noisy;
  const Tensor hidden_TD = model.forward(rows.sequence, rows.bias).hidden_TD;
  model.head().look(hidden_TD.index_select(0, at), [&](int64_t first, const Tensor& logits_mV) {
    // sync: the draws are made on the host, by counters.
    const Tensor sums = logits_mV.softmax(1).cumsum(1).to(at::kCPU, at::kDouble).contiguous();
    for (int64_t m = 0; m < sums.size(0); ++m) {
      const double* begin = sums.const_data_ptr<double>() + m * sums.size(1);
      const double* end = begin + sums.size(1);
      const double* drawn = std::upper_bound(begin, end, random.uniform(first + m) * end[-1]);
      const auto token = static_cast<int32_t>(std::min(drawn, end - 1) - begin);
      const auto i = static_cast<size_t>(wrong[first + m]);
      if (token != clean.tokens[i] && token != model.options().mask) own.tokens[i] = token;
    }
  });
  return own;
}

void run_part(const Model& model, const SftOptions& options, const Rows& whole, const Rows& noisy, double share,
              bool learn, Sums& sums) {
  // 1) both streams over [prompt | clean | noisy]
  const Copies rows = copies(model, whole, noisy, options.block_length);
  const Streams streams = model.forward(rows.sequence, rows.bias);
  const at::Device device = rows.noisy_A.device();
  const Rows answers = answers_of(whole, noisy);
  std::vector<int64_t> masked;
  for (size_t i = 0; i < noisy.tokens.size(); ++i) {
    if (noisy.tokens[i] == model.options().mask) masked.push_back(static_cast<int64_t>(i));
  }
  const Tensor masked_M = nn::index_tensor(masked, device);
  const Tensor clean_A = nn::index_tensor({answers.tokens.begin(), answers.tokens.end()}, device);
  const Tensor clean_M = clean_A.index_select(0, masked_M);
  const nn::HeadLoss said =
      model.head().loss(streams.hidden_TD.index_select(0, rows.noisy_A.index_select(0, masked_M)), clean_M);
  const SftInput input{.log_p_M = -said.loss_M,
                       .confidence_A = streams.confidence_T.index_select(0, rows.noisy_A),
                       .clean_A = clean_A,
                       .noisy_A = nn::index_tensor({noisy.tokens.begin(), noisy.tokens.end()}, device),
                       .mask = model.options().mask,
                       .block_length = options.block_length,
                       .smoothing = options.smoothing};

  // 2) the losses
  const SftTerms terms = sft_terms(input);
  const Tensor total = terms.token + options.weight_confidence * terms.confidence;
  // sync: a bad loss must stop before it reaches the weights.
  const double value = total.item<double>();
  if (!std::isfinite(value)) {
    throw Error("ERR_NONFINITE", "loss: expected a finite number, received " + std::to_string(value) + " at step " +
                                     std::to_string(options.step));
  }
  if (learn) torch::autograd::backward({total * share}, {});

  // 3) what they say
  at::NoGradGuard no_grad;
  const Tensor is_masked = input.noisy_A.eq(input.mask), is_right = input.noisy_A.eq(input.clean_A);
  const Tensor is_wrong = is_masked.logical_or(is_right).logical_not();
  const Tensor confidence = input.confidence_A.sigmoid();
  sums.total += value * share;
  sums.token += terms.token.item<double>() * share;
  sums.confidence += terms.confidence.item<double>() * share;
  sums.positions += rows.sequence.offsets.back();
  sums.answers += input.noisy_A.numel();
  sums.masks += masked_M.numel();
  sums.fills_right += said.best_M.eq(clean_M).sum().item<int64_t>();
  sums.wrongs += is_wrong.sum().item<int64_t>();
  sums.wrong_confidence += (confidence * is_wrong).sum().item<double>();
  sums.clean_confidence += (confidence * is_right).sum().item<double>();
}

Record report_of(const Sums& sums) {
  const auto share = [](double sum, int64_t of) { return of == 0 ? 0.0 : sum / static_cast<double>(of); };
  Record report;
  report.set("total", sums.total);
  report.set("token", sums.token);
  report.set("confidence", sums.confidence);
  report.set("tokens", sums.positions);
  report.set("masks", sums.masks);
  report.set("wrongs", sums.wrongs);
  report.set("fillAccuracy", share(static_cast<double>(sums.fills_right), sums.masks));
  report.set("wrongConfidence", share(sums.wrong_confidence, sums.wrongs));
  report.set("cleanConfidence", share(sums.clean_confidence, sums.answers - sums.masks - sums.wrongs));
  report.set("hostSeconds", 0.0);
  return report;
}

}  // namespace

SftTerms sft_terms(const SftInput& input) {
  const int64_t positions = input.clean_A.numel();
  const Tensor is_masked = input.noisy_A.eq(input.mask);
  const Tensor masked_M = is_masked.nonzero().squeeze(1);
  // Decision: p_mask is the masked share of the block; src/remedi/losses.ts says why.
  const Tensor blocks = is_masked.view({-1, input.block_length}).to(input.log_p_M.scalar_type());
  const Tensor p_mask_A = blocks.mean(1, /*keepdim=*/true).expand_as(blocks).reshape({-1});
  const Tensor token = -(input.log_p_M / p_mask_A.index_select(0, masked_M)).sum() / positions;

  Tensor label_A = input.noisy_A.eq(input.clean_A).to(input.confidence_A.scalar_type());
  label_A = label_A.index_put({masked_M}, input.log_p_M.detach().exp().to(label_A.scalar_type()));
  label_A = label_A * (1 - input.smoothing) + input.smoothing / 2;
  return {.token = token, .confidence = at::binary_cross_entropy_with_logits(input.confidence_A, label_A)};
}

Record run_sft(Model& model, const Record& step, const TrainBatch& batch, bool learn,
               const std::atomic<bool>& cancelled) {
  const SftOptions options(step);
  const int64_t rows = batch.drafts.count(), parts = std::min(options.accumulation, rows);
  const auto answers = static_cast<double>(batch.drafts.tokens.size());
  Sums sums;
  for (int64_t part = 0; part < parts; ++part) {
    if (cancelled.load()) throw Error("ERR_ABORTED", "the step was cancelled");
    const int64_t begin = rows * part / parts, end = rows * (part + 1) / parts;
    const Rows whole = slice(batch.targets, begin, end);
    Rows noisy = slice(batch.drafts, begin, end);
    if (options.own_mistakes) noisy = with_own_mistakes(model, whole, noisy, options, static_cast<uint64_t>(part));
    // A micro-batch weighs as its answers' positions.
    run_part(model, options, whole, noisy, static_cast<double>(noisy.tokens.size()) / answers, learn, sums);
  }
  return report_of(sums);
}

}  // namespace merge::remedi
