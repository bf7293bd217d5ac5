// The MERGE network: rows alone or together, gradients against finite differences, the step's behaviour, its errors.
#define MERGE_CHECK_MAIN
#include "merge/model.h"

#include <ATen/core/grad_mode.h>

#include "check.h"
#include "merge/losses.h"
#include "merge/rollin.h"
#include "tiny.h"

using namespace merge;

namespace {

double worst(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

// The five losses of one state with the oracle's own deletion, so that nothing in them is drawn or decided by the
// weights.
Terms terms_of(const Model& model, const Rows& x, const Rows& y) {
  std::vector<uint8_t> keep;
  std::vector<float> needs;
  for (int64_t r = 0; r < x.count(); ++r) {
    const auto flags = kept(x.length(r), align(x.row(r), y.row(r)));
    keep.insert(keep.end(), flags.begin(), flags.end());
    needs.push_back(std::find(flags.begin(), flags.end(), 0) != flags.end() ? 1.f : 0.f);
  }
  const auto reading = model.read(x);
  std::vector<int64_t> tokens, rows;
  for (int64_t r = 0; r < x.count(); ++r) {
    for (int64_t i = 0; i < x.length(r); ++i) {
      tokens.push_back(reading.states.token(r, i));
      rows.push_back(r);
    }
  }
  const auto options = reading.keep_T.options();
  const Tensor keep_logits = reading.keep_T.index_select(0, nn::index_tensor(tokens, at::kCPU));
  const Tensor keep_N = at::tensor(at::ArrayRef<uint8_t>(keep)).to(options), rows_N = nn::index_tensor(rows, at::kCPU);
  const Skeleton skeleton = drop(x, keep);
  const Insertion insertion = oracle_insertion(skeleton, y, model.options().mask, model.options().max_insert);
  const auto gaps = model.gaps(reading.states, x, skeleton);
  std::vector<int64_t> counts(insertion.counts_G.begin(), insertion.counts_G.end()), gap_rows;
  for (int64_t r = 0; r < x.count(); ++r) gap_rows.insert(gap_rows.end(), skeleton.rows.length(r) + 1, r);
  const Tensor targets_M = nn::index_tensor(insertion.targets_M, at::kCPU);
  return {
      recon_loss(
          model.head().loss(model.fill(x, skeleton, insertion.masked).masks_MD, targets_M, {.smoothing = .1}).loss_M),
      compression_loss(keep_logits, keep_N, rows_N, at::full({x.count()}, .3, options), .2, .1),
      count_loss(gaps.count_GC, nn::index_tensor(counts, at::kCPU), .01) -
          1e-3 * score_entropy(gaps.score_G, nn::index_tensor(gap_rows, at::kCPU), x.count()),
      gate_loss(reading.gate_B, at::tensor(at::ArrayRef<float>(needs)).to(options), .05),
      length_loss(keep_logits, keep_N, rows_N, x.count())};
}

Skeleton whole(const Rows& x) { return drop(x, std::vector<uint8_t>(x.tokens.size(), 1)); }

Tensor term(const Terms& terms, int which) {
  const Tensor* all[] = {&terms.recon, &terms.compression, &terms.pointer, &terms.gate, &terms.length};
  return *all[which];
}

}  // namespace

TEST(gradient_of_every_loss_agrees_with_central_differences_in_float64) {
  const char* names[] = {"recon", "compression", "pointer", "gate", "length"};
  for (const int64_t seed : {3, 4, 5}) {
    Record config = tiny::config("float64", "carry", seed);
    // Small enough that every element of every tensor can be moved.
    for (const auto& [name, value] :
         std::map<std::string, int64_t>{{"width", 8}, {"layers", 1}, {"feedForward", 4}, {"maxInsert", 3}}) {
      config.set(name, value);
    }
    Model model(config);
    {  // the carry starts at zero; give it values so that its inputs are tested too
      at::NoGradGuard no_grad;
      at::manual_seed(static_cast<uint64_t>(seed));
      for (const auto& entry : model.parameters().entries())
        entry.tensor.detach().add_(.05 * at::randn_like(entry.tensor));
    }
    const TrainBatch batch = tiny::counting_batch(static_cast<uint64_t>(seed), 3, 7);
    std::vector<std::vector<Tensor>> gradients(5);
    for (int which = 0; which < 5; ++which) {
      model.parameters().zero_gradients();
      term(terms_of(model, batch.drafts, batch.targets), which).backward();
      for (const auto& entry : model.parameters().entries()) gradients[which].push_back(entry.tensor.grad().clone());
    }
    at::NoGradGuard no_grad;
    std::vector<double> off(5);
    const auto& entries = model.parameters().entries();
    for (size_t e = 0; e < entries.size(); ++e) {
      double* values = entries[e].tensor.mutable_data_ptr<double>();
      for (int64_t i = 0; i < entries[e].tensor.numel(); ++i) {
        const double before = values[i], step = 1e-5;
        values[i] = before + step;
        const Terms up = terms_of(model, batch.drafts, batch.targets);
        values[i] = before - step;
        const Terms down = terms_of(model, batch.drafts, batch.targets);
        values[i] = before;
        for (int which = 0; which < 5; ++which) {
          const double difference = (term(up, which).item<double>() - term(down, which).item<double>()) / (2 * step);
          const double gradient = gradients[which][e].const_data_ptr<double>()[i];
          off[which] = std::max(off[which], std::abs(difference - gradient) / std::max(1e-4, std::abs(difference)));
        }
      }
    }
    for (int which = 0; which < 5; ++which) {
      if (off[which] > 1e-5)
        std::printf("  %s seed %d: relative error %g\n", names[which], static_cast<int>(seed), off[which]);
      CHECK(off[which] <= 1e-5);
    }
  }
}

void check_row_alone(const Record& config) {
  at::NoGradGuard no_grad;
  const Model model(config);
  const Rows together = tiny::rows(7, 6, 20);
  const auto batch = model.read(together);
  for (int64_t r = 0; r < together.count(); ++r) {
    Rows alone;
    alone.append(together.row(r));
    const auto single = model.read(alone);
    const int64_t begin = batch.states.offsets[r], length = batch.states.offsets[r + 1] - begin;
    CHECK(worst(single.states.hidden_TD, batch.states.hidden_TD.narrow(0, begin, length)) <= 1e-5);
    CHECK(worst(single.keep_T, batch.keep_T.narrow(0, begin, length)) <= 1e-5);
    CHECK(worst(single.gate_B, batch.gate_B.narrow(0, r, 1)) <= 1e-5);
    // D2 over all of a row's gaps; a row of n tokens has n + 1.
    const int64_t first_gap = together.offsets[r] + r;
    const Tensor score = model.gaps(single.states, alone, whole(alone)).score_G;
    const Tensor scores = model.gaps(batch.states, together, whole(together)).score_G;
    CHECK(score.size(0) == together.length(r) + 1);
    CHECK(worst(score, scores.narrow(0, first_gap, score.size(0))) <= 1e-5);
  }
}

TEST(a_row_alone_gives_what_it_gives_in_a_batch) {
  check_row_alone(tiny::config());
  // The bidirectional GRU steps over all rows at once.
  Record pointer = tiny::config();
  pointer.set("inserter", std::string("pointer"));
  pointer.set("countSource", std::string("literal"));
  check_row_alone(pointer);
}

TEST(another_row_of_the_batch_never_changes_a_row) {
  at::NoGradGuard no_grad;
  const Model model(tiny::config());
  Rows first, second;
  const Rows a = tiny::rows(11, 1, 20), b = tiny::rows(12, 4, 20);
  Rows c = b;
  for (int32_t& token : c.tokens) token = 5 + (token - 2) % 15;
  for (Rows* rows : {&first, &second}) rows->append(a.row(0));
  for (int64_t r = 0; r < b.count(); ++r) first.append(b.row(r)), second.append(c.row(r));
  const int64_t length = a.length(0) + 2;
  CHECK(at::equal(model.read(first).states.hidden_TD.narrow(0, 0, length),
                  model.read(second).states.hidden_TD.narrow(0, 0, length)));
}

TEST(dropping_nothing_is_reading_alone) {
  at::NoGradGuard no_grad;
  const Model model(tiny::config());
  const Rows x = tiny::rows(9, 3, 12);
  const auto reading = model.read(x);
  CHECK(model.gaps(reading.states, x, whole(x)).count_GC.size(0) == static_cast<int64_t>(x.tokens.size()) + x.count());
  CHECK(model.gaps(reading.states, x, whole(x)).count_GC.size(1) == 7);
}

TEST(bfloat16_stays_close_to_float32) {
  at::NoGradGuard no_grad;
  const Model narrow(tiny::config("bfloat16")), wide(tiny::config());
  const Rows x = tiny::rows(9, 4, 12);
  CHECK(worst(narrow.read(x).keep_T, wide.read(x).keep_T) <= 5e-2);
}

TEST(products_in_eight_bits_stay_close_and_learning_knows_none) {
  Record config = tiny::config();
  config.set("matmulPrecision", std::string("int8"));
  Session bytes(config), full(tiny::config());
  const Rows rows = tiny::rows(5, 4, 12);
  const auto of = [&](Session& session) { return session.inspect(rows, {"hidden"}).at("hidden").values; };
  const auto near = of(bytes), exact = of(full);
  double error = 0, size = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    error += std::pow(near[i] - exact[i], 2);
    size += std::pow(exact[i], 2);
  }
  CHECK(error > 0 && error < 1e-3 * size);
  CHECK(bytes.train_step(tiny::step(), tiny::counting_batch(1, 8, 9)).number("total") ==
        full.train_step(tiny::step(), tiny::counting_batch(1, 8, 9)).number("total"));
}

TEST(medium_precision_stays_close_to_the_highest) {
  const TrainBatch batch = tiny::counting_batch(4, 6, 9);
  Record medium = tiny::config();
  medium.set("matmulPrecision", std::string("medium"));
  Session fast(medium), exact(tiny::config());
  CHECK_NEAR(fast.evaluate(tiny::step(), batch).number("total"), exact.evaluate(tiny::step(), batch).number("total"),
             .05);
}
