// GPT in C++: cached logits against whole passes, what nobody may see, the loss against its definition, gradients
// against finite differences.
#define MERGE_CHECK_MAIN
#include <ATen/core/grad_mode.h>

#include <atomic>

#include "baselines/gpt_training.h"
#include "baselines_tiny.h"
#include "check.h"
#include "nn/kv_cache.h"

using namespace merge;
using baselines::Gpt;

namespace {

const std::atomic<bool> kGoOn{false};

double worst(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

Rows rows_of(const std::vector<std::vector<int32_t>>& rows) {
  Rows packed;
  for (const auto& row : rows) packed.append(row);
  return packed;
}

}  // namespace

TEST(cached_logits_are_those_of_whole_passes_however_a_row_is_cut) {
  at::NoGradGuard no_grad;
  const Gpt model(tiny::stream_config("gpt", "float64"));
  const Rows rows = rows_of({{1, 7, 9, 12, 5, 6, 19}, {1, 8, 5}, {1, 5, 5, 5, 11}});
  const Tensor whole = model.head().logits(model.forward(model.sequence(rows)));
  nn::KvCache cache(3);
  std::vector<Tensor> parts(3);
  // Row r is read r + 1 tokens at a time; rows come and leave.
  for (int64_t begin = 0; begin < 7; ++begin) {
    Rows unread;
    std::vector<int32_t> slots;
    std::vector<int64_t> begins;
    for (int32_t r = 0; r < 3; ++r) {
      const auto row = rows.row(r);
      const auto from = static_cast<size_t>(cache.length(r));
      if (from >= row.size()) continue;
      unread.append(row.subspan(from, std::min<size_t>(static_cast<size_t>(r) + 1, row.size() - from)));
      slots.push_back(r);
      begins.push_back(static_cast<int64_t>(from));
    }
    if (slots.empty()) break;
    const nn::Sequence sequence = model.sequence(unread, begins);
    const Tensor logits = model.head().logits(model.forward(sequence, [&](int64_t layer, const Tensor& qkv) {
      return cache.append(layer, qkv, sequence.offsets, slots, model.heads(), ops::Among::kEarlier);
    }));
    cache.commit(sequence.offsets, slots);
    for (size_t i = 0; i < slots.size(); ++i) {
      const Tensor part = logits.slice(0, sequence.offsets[i], sequence.offsets[i + 1]);
      Tensor& all = parts[static_cast<size_t>(slots[i])];
      all = all.defined() ? at::cat({all, part}) : part;
    }
  }
  CHECK_NEAR(worst(at::cat(parts), whole), 0, 1e-12);
}

TEST(no_position_sees_what_stands_behind_it_or_in_another_row) {
  at::NoGradGuard no_grad;
  const Gpt model(tiny::stream_config("gpt", "float64"));
  const auto hidden = [&](const Rows& rows) { return model.forward(model.sequence(rows)); };
  const Tensor before = hidden(rows_of({{1, 7, 9, 12}, {1, 8}}));
  const Tensor after = hidden(rows_of({{1, 7, 9, 13}, {1, 5}}));
  CHECK(worst(before.slice(0, 0, 3), after.slice(0, 0, 3)) == 0);
  CHECK(worst(before.slice(0, 4, 5), after.slice(0, 4, 5)) == 0);
  CHECK(worst(before[3], after[3]) > 1e-3);
}

TEST(the_loss_is_the_mean_over_all_learned_tokens_and_its_gradients_are_those_of_finite_differences) {
  Gpt model(tiny::stream_config("gpt", "float64"));
  TrainBatch batch;
  batch.targets = rows_of({{1, 7, 9, 4, 5, 6, 2}, {1, 8, 2}, {1, 5, 5, 4, 11, 2}});
  batch.drafts = rows_of({{5, 6, 2}, {8, 2}, {11, 2}});
  Record step;
  step.set("step", int64_t{0});
  for (const int64_t accumulation : {1, 2, 3}) {
    step.set("accumulation", accumulation);
    const Record report = run_gpt(model, step, batch, false, kGoOn);
    at::NoGradGuard no_grad;
    const Tensor chances = model.head().logits(model.forward(model.sequence(batch.targets))).log_softmax(1);
    double sum = 0;
    int64_t learned = 0;
    for (int64_t r = 0; r < 3; ++r) {
      const int64_t end = batch.targets.offsets[r + 1];
      for (int64_t i = end - batch.drafts.length(r); i < end; ++i, ++learned) {
        sum -= chances[i - 1][batch.targets.tokens[i]].item<double>();
      }
    }
    CHECK_NEAR(std::get<double>(report.fields().at("total")), sum / static_cast<double>(learned), 1e-12);
  }
  step.set("accumulation", int64_t{2});
  CHECK(tiny::worst_gradient(model.parameters(),
                             [&](bool learn) { return run_gpt(model, step, batch, learn, kGoOn); }) < 1e-5);
}
