// Writing: one pass reads what is unread, and each further one the token that the last one wrote.
#include "baselines/gpt_writing.h"

#include <algorithm>

#include "error.h"
#include "nn/fitted_threads.h"
#include "nn/packed.h"
#include "nn/sampling.h"
#include "random.h"

namespace merge::baselines {
namespace {

// One row on its way.
struct Writing {
  int32_t slot;
  int64_t written, limit;  // tokens it has, and may still get
  uint64_t key;
  std::vector<int32_t> unread, tokens;
  std::vector<float> probability;  // of tokens
};

std::vector<Writing> rows_of(const NextInput& input) {
  std::vector<Writing> rows;
  for (int64_t r = 0; r < input.rows.count(); ++r) {
    const auto number = [&](const char* name) { return input.columns_B.at(name)[static_cast<size_t>(r)]; };
    const auto unread = input.rows.row(r);
    rows.push_back({.slot = input.slots[static_cast<size_t>(r)],
                    .written = static_cast<int64_t>(number("written")),
                    .limit = static_cast<int64_t>(number("limit")),
                    .key = static_cast<uint64_t>(number("key")),
                    .unread = {unread.begin(), unread.end()},
                    .tokens = {},
                    .probability = {}});
  }
  return rows;
}

}  // namespace

NextOutput write_on(const Gpt& model, nn::KvCache& cache, const Record& options, const NextInput& input,
                    const std::atomic<bool>& cancelled) {
  const nn::SamplingOptions sampling{options.number("temperature"), options.number("topP"), options.integer("topK")};
  const auto seed = static_cast<uint64_t>(options.integer("seed"));
  const int64_t steps = options.integer("steps"), vocabulary = options.integer("vocabulary");
  std::vector<Writing> rows = rows_of(input);
  std::vector<Writing*> active;
  for (Writing& row : rows) {
    active.push_back(&row);
    cache.reserve(row.slot, cache.length(row.slot) + static_cast<int64_t>(row.unread.size()) + row.limit);
  }
  for (int64_t step = 0; step < steps && !active.empty(); ++step) {
    if (cancelled.load()) throw Error("ERR_ABORTED", "the writing was cancelled");
    // 1) read what is unread, behind the cache
    Rows unread;
    std::vector<int32_t> slots;
    std::vector<int64_t> begins, last;
    for (const Writing* row : active) {
      begins.push_back(cache.length(row->slot));
      slots.push_back(row->slot);
      unread.append(row->unread);
      last.push_back(unread.offsets.back() - 1);
    }
    const nn::FittedThreads threads(model.options().placement, model.parameters(),
                                    static_cast<int64_t>(unread.tokens.size()));
    const nn::Sequence sequence = model.sequence(unread, begins);
    Tensor hidden_TD = model.forward(sequence, [&](int64_t layer, const Tensor& qkv) {
      return cache.append(layer, qkv, sequence.offsets, slots, model.heads(), ops::Among::kEarlier);
    });
    cache.commit(sequence.offsets, slots);
    // 2) the head reads the last position of each row
    if (unread.tokens.size() > active.size()) {
      hidden_TD = hidden_TD.index_select(0, nn::index_tensor(last, hidden_TD.device()));
    }
    // Rows of the embedding beyond the tokenizer are never written.
    const Tensor logits_BV = model.head().logits(hidden_TD).narrow(1, 0, vocabulary);
    // 3) the next token; ties go to the lower id
    // sync: tokens are host data.
    const bool is_greedy = sampling.temperature == 0;
    const Tensor host = is_greedy ? logits_BV.argmax(1).to(at::kCPU) : logits_BV.to(at::kCPU, at::kFloat).contiguous();
    std::vector<int64_t> tokens;
    for (size_t i = 0; i < active.size(); ++i) {
      Writing& row = *active[i];
      const Random random(seed, static_cast<uint64_t>(row.written), row.key, Purpose::kNextToken);
      const int64_t token = is_greedy ? host.const_data_ptr<int64_t>()[i]
                                      : nn::sampled(host.const_data_ptr<float>() + static_cast<int64_t>(i) * vocabulary,
                                                    vocabulary, sampling, random.uniform(0));
      tokens.push_back(token);
      row.tokens.push_back(static_cast<int32_t>(token));
      row.unread.assign(1, static_cast<int32_t>(token));
      ++row.written;
      --row.limit;
    }
    const Tensor tokens_B1 = nn::index_tensor(tokens, logits_BV.device()).unsqueeze(1);
    const Tensor probability_B =
        (logits_BV.gather(1, tokens_B1).squeeze(1) - logits_BV.logsumexp(1)).exp().to(at::kCPU, at::kFloat);
    for (size_t i = 0; i < active.size(); ++i) {
      active[i]->probability.push_back(probability_B.const_data_ptr<float>()[i]);
    }
    // 4) rows that have ended leave
    std::erase_if(active, [&](const Writing* row) {
      return row->limit == 0 || std::find(input.stop.begin(), input.stop.end(), row->tokens.back()) != input.stop.end();
    });
  }
  NextOutput written;
  for (const Writing& row : rows) {
    written.rows.append(row.tokens);
    written.probability.insert(written.probability.end(), row.probability.begin(), row.probability.end());
  }
  return written;
}

}  // namespace merge::baselines
