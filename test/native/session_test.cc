// Session: it learns, it is deterministic, it saves and loads bit for bit, and it refuses what is wrong.
#define MERGE_CHECK_MAIN
#include <algorithm>
#include <cstdio>
#include <fstream>

#include "check.h"
#include "engine.h"
#include "tiny.h"

using namespace merge;

namespace {

RoundInput round_input(const Rows& rows) {
  return {rows,
          std::vector<uint8_t>(rows.tokens.size(), 0),
          std::vector<uint8_t>(rows.tokens.size() + static_cast<size_t>(rows.count()), 1),
          {},
          {}};
}

Record round_options(const std::string& mode, double max_length = 32) {
  Record record;
  record.set("mode", mode);
  record.set("countSource", std::string("counts"));
  for (const auto& [name, value] : std::map<std::string, double>{{"editThreshold", .5},
                                                                 {"keepThreshold", .5},
                                                                 {"temperature", 0},
                                                                 {"topK", 0},
                                                                 {"topP", 1},
                                                                 {"seed", 1},
                                                                 {"round", 0},
                                                                 {"shift", -1},
                                                                 {"fillThreshold", 0},
                                                                 {"fillShare", 0},
                                                                 {"generation", -1},
                                                                 {"lengthRatio", 1},
                                                                 {"targetLength", max_length},
                                                                 {"maxLength", max_length}}) {
    record.set(name, value);
  }
  return record;
}

}  // namespace

TEST(overfits_a_task_of_64_rows) {
  begin_compute_thread(2);
  Session session(tiny::config());
  const TrainBatch batch = tiny::counting_batch(1, 64, 10);
  double first = 0, last = 0;
  for (int64_t n = 0; n < 250; ++n) {
    Record step = tiny::step(n);
    for (const char* off : {"labelSmoothing", "subsequence", "ownFill", "ownDeletion"}) step.set(off, 0.0);
    last = session.train_step(step, batch).number("total");
    if (n == 0) first = last;
  }
  std::printf("  loss %.3f -> %.3f\n", first, last);
  CHECK(last < .25 * first);
  const RoundOutput out = session.refine_round(round_options("auto"), round_input(batch.drafts));
  int64_t right = 0;
  for (int64_t r = 0; r < 64; ++r) {
    const auto got = out.rows.row(r), want = batch.targets.row(r);
    right += std::equal(got.begin(), got.end(), want.begin(), want.end());
  }
  std::printf("  exact %d of 64\n", static_cast<int>(right));
  CHECK(right >= 40);
}

TEST(the_same_seed_gives_the_same_loss_bits) {
  std::vector<double> runs[2];
  for (auto& losses : runs) {
    Session session(tiny::config());
    for (int64_t n = 0; n < 20; ++n) {
      losses.push_back(
          session.train_step(tiny::step(n), tiny::counting_batch(static_cast<uint64_t>(n), 8, 9)).number("total"));
    }
  }
  CHECK(runs[0] == runs[1]);
}

TEST(evaluate_changes_nothing_and_repeats_itself) {
  Session session(tiny::config());
  const TrainBatch batch = tiny::counting_batch(2, 8, 9);
  const double before = session.evaluate(tiny::step(), batch).number("total");
  CHECK(session.evaluate(tiny::step(), batch).number("total") == before);
  CHECK(session.memory().number("gradientBytes") == 0);  // a model that never learned holds none
  CHECK(session.memory().number("optimizerBytes") == 0);
  CHECK(session.train_step(tiny::step(), batch).number("total") == before);
  CHECK(session.memory().number("gradientBytes") == session.memory().number("parameterBytes"));
}

TEST(bfloat16_learns_as_float32_does) {
  Session narrow(tiny::config("bfloat16")), wide(tiny::config());
  const TrainBatch batch = tiny::counting_batch(1, 16, 10);
  double first = 0, of_narrow = 0, of_wide = 0;
  for (int64_t n = 0; n < 60; ++n) {
    Record step = tiny::step(n);
    for (const char* off : {"subsequence", "ownFill", "ownDeletion"}) step.set(off, 0.0);
    of_narrow = narrow.train_step(step, batch).number("total");
    of_wide = wide.train_step(step, batch).number("total");
    if (n == 0) first = of_wide;
  }
  std::printf("  loss %.3f -> bfloat16 %.3f, float32 %.3f\n", first, of_narrow, of_wide);
  CHECK(of_narrow < .6 * first);
  CHECK(std::abs(of_narrow - of_wide) < .1 * first);
}

TEST(saved_and_loaded_it_goes_on_with_the_same_bits) {
  const std::string model = check::temporary("model"), optimizer = check::temporary("optimizer");
  Session first(tiny::config());
  for (int64_t n = 0; n < 5; ++n) first.train_step(tiny::step(n), tiny::counting_batch(static_cast<uint64_t>(n), 8, 9));
  first.save(model, "model");
  first.save(optimizer, "optimizer");
  Session second(tiny::config("float32", "carry", 99));
  second.load(model, "model");
  second.load(optimizer, "optimizer");
  for (int64_t n = 5; n < 10; ++n) {
    const TrainBatch batch = tiny::counting_batch(static_cast<uint64_t>(n), 8, 9);
    CHECK(first.train_step(tiny::step(n), batch).number("total") ==
          second.train_step(tiny::step(n), batch).number("total"));
  }
  CHECK(check::code_of([&] { first.save(model, "model"); }) == "ERR_CHECKPOINT");  // never over an existing file
  CHECK(check::code_of([&] { first.load(optimizer, "model"); }) == "ERR_CHECKPOINT");
  CHECK(check::code_of([&] { first.load(check::temporary("absent"), "model"); }) == "ERR_CHECKPOINT");
  CHECK(truncate(model.c_str(), 1000) == 0);
  CHECK(check::code_of([&] { first.load(model, "model"); }) == "ERR_CHECKPOINT");
  std::remove(model.c_str());
  std::remove(optimizer.c_str());
}

TEST(a_closed_gap_takes_nothing_and_a_locked_token_stays) {
  Session session(tiny::config());
  const Rows rows = tiny::rows(5, 6, 16);
  RoundInput input = round_input(rows);
  std::fill(input.open_G.begin(), input.open_G.end(), 0);
  std::fill(input.locked_N.begin(), input.locked_N.end(), 1);
  const RoundOutput out = session.refine_round(round_options("edit"), input);
  CHECK(out.rows.tokens == rows.tokens);
  CHECK(out.rows.offsets == rows.offsets);
  CHECK(out.encoder_passes == 1);
}

TEST(the_generation_path_deletes_nothing) {
  Session session(tiny::config());
  const Rows rows = tiny::rows(6, 6, 16);
  const RoundOutput out = session.refine_round(round_options("gen"), round_input(rows));
  std::vector<int32_t> kept;
  for (size_t t = 0; t < out.source.size(); ++t) {
    if (out.source[t] >= 0) kept.push_back(out.rows.tokens[t]);
  }
  CHECK(kept == rows.tokens);
}

TEST(rows_never_grow_beyond_the_longest_allowed) {
  Session session(tiny::config());
  Rows rows;
  for (int r = 0; r < 8; ++r) rows.append(std::vector<int32_t>(5, 7));
  for (const double longest : {5.0, 6.0, 9.0}) {
    const RoundOutput out = session.refine_round(round_options("gen", longest), round_input(rows));
    for (int64_t r = 0; r < out.rows.count(); ++r) CHECK(out.rows.length(r) <= static_cast<int64_t>(longest));
  }
}

TEST(empty_rows_and_standing_masks_pass) {
  Session session(tiny::config());
  Rows rows;
  rows.append(std::vector<int32_t>{});
  rows.append(std::vector<int32_t>{7, 3, 3, 8});
  const RoundOutput out = session.refine_round(round_options("auto"), round_input(rows));
  for (const int32_t token : out.rows.tokens) CHECK(token > 4);
  TrainBatch batch;
  batch.drafts.append(std::vector<int32_t>{});
  batch.targets.append(std::vector<int32_t>{});
  CHECK(std::isfinite(session.train_step(tiny::step(), batch).number("total")));
  batch.drafts.append(std::vector<int32_t>{});
  batch.targets.append(std::vector<int32_t>{9});
  CHECK(std::isfinite(session.train_step(tiny::step(1), batch).number("total")));
}

TEST(wrong_input_gets_its_code) {
  Session session(tiny::config());
  TrainBatch batch = tiny::counting_batch(1, 2, 5);
  Record missing = tiny::step();
  CHECK(check::code_of([&] { session.train_step(Record(), batch); }) == "ERR_CONFIG");
  missing.set("rounds", 0.0);
  CHECK(check::code_of([&] { session.train_step(missing, batch); }) == "ERR_CONFIG");
  batch.drafts.tokens[0] = 20;
  CHECK(check::code_of([&] { session.train_step(tiny::step(), batch); }) == "ERR_INPUT");
  batch.drafts.tokens[0] = -1;
  CHECK(check::code_of([&] { session.train_step(tiny::step(), batch); }) == "ERR_INPUT");
  batch = tiny::counting_batch(1, 2, 33);
  CHECK(check::code_of([&] { session.train_step(tiny::step(), batch); }) == "ERR_INPUT");
  batch.drafts.offsets.back() = 7;
  CHECK(check::code_of([&] { session.train_step(tiny::step(), batch); }) == "ERR_SHAPE");
  Record config = tiny::config();
  config.set("heads", 3.0);
  CHECK(check::code_of([&] { Session bad(config); }) == "ERR_CONFIG");
  config = tiny::config();
  config.set("device", std::string("cuda:999"));  // a machine with GPUs has fewer
  CHECK(check::code_of([&] { Session bad(config); }) == "ERR_DEVICE");
  for (const char* name : {"learningRate", "clip", "beta1", "epsilon", "weightDecay"}) {
    for (const double bad : {std::nan(""), -1.0, static_cast<double>(INFINITY)}) {
      Record update = tiny::step();
      update.set(name, bad);
      CHECK(check::code_of([&] { session.train_step(update, tiny::counting_batch(1, 2, 5)); }) == "ERR_CONFIG");
    }
  }
  session.cancelled = true;
  CHECK(check::code_of([&] { session.train_step(tiny::step(), tiny::counting_batch(1, 2, 5)); }) == "ERR_ABORTED");
}

TEST(a_loss_that_is_not_finite_stops_before_the_weights) {
  Session session(tiny::config());
  const TrainBatch batch = tiny::counting_batch(1, 4, 6);
  const double before = session.evaluate(tiny::step(), batch).number("total");
  Record step = tiny::step();
  step.set("weightRecon", INFINITY);
  CHECK(check::code_of([&] { session.train_step(step, batch); }) == "ERR_NONFINITE");
  CHECK(session.evaluate(tiny::step(), batch).number("total") == before);
}

TEST(a_mask_that_is_not_sure_waits_and_its_row_only_fills) {
  Session session(tiny::config());
  Rows rows;
  rows.append(std::vector<int32_t>{8, 3, 3, 3, 9});
  rows.append(std::vector<int32_t>{8, 9});
  Record options = round_options("edit");
  options.set("fillThreshold", 1.0);  // an untrained model is never sure: one mask a round
  for (int waiting = 2; waiting >= 0; --waiting) {
    RoundInput input = round_input(rows);
    const RoundOutput out = session.refine_round(options, input);
    const auto row = out.rows.row(0);
    CHECK(row.size() == 5);
    CHECK(row[0] == 8);
    CHECK(row[4] == 9);
    CHECK(std::count(row.begin(), row.end(), 3) == waiting);
    CHECK(std::count(out.confidence.begin(), out.confidence.begin() + 5, 0.f) == waiting);
    CHECK(out.edited_B[0] == 0);
    CHECK(out.edited_B[1] == 1);
    rows = Rows();
    rows.append(row);
    rows.append(std::vector<int32_t>{8, 9});
  }
}

TEST(a_gap_that_must_take_gets_at_least_one_and_asks_only_once) {
  Session session(tiny::config());
  Rows rows;
  rows.append(std::vector<int32_t>{8, 7, 9});
  RoundInput input = round_input(rows);
  input.open_G = {0, 2, 0, 0};
  input.locked_N = {1, 1, 1};
  const RoundOutput out = session.refine_round(round_options("gen"), input);
  CHECK(out.rows.length(0) > 3);
  CHECK(out.source.front() == 0);
  CHECK(out.source[1] == -1);
  CHECK(out.source.back() == 2);
}

TEST(a_shift_never_falls_on_a_locked_token) {
  // Token 6 plays the shift. Train it to stand before every 7, then lock the 7.
  Session session(tiny::config());
  TrainBatch batch;
  for (int r = 0; r < 16; ++r) {
    batch.drafts.append(std::vector<int32_t>{8, 7, 9});
    batch.targets.append(std::vector<int32_t>{8, 6, 7, 9});
  }
  for (int64_t n = 0; n < 60; ++n) {
    Record step = tiny::step(n);
    for (const char* off : {"labelSmoothing", "subsequence", "ownFill", "ownDeletion"}) step.set(off, 0.0);
    session.train_step(step, batch);
  }
  Rows rows;
  rows.append(std::vector<int32_t>{8, 7, 9});
  RoundInput input = round_input(rows);
  Record options = round_options("gen");
  CHECK(session.refine_round(options, input).rows.tokens == std::vector<int32_t>({8, 6, 7, 9}));
  input.locked_N = {0, 1, 0};
  options.set("shift", 6.0);
  const RoundOutput out = session.refine_round(options, input);
  for (size_t t = 0; t + 1 < out.rows.tokens.size(); ++t) CHECK(out.rows.tokens[t] != 6 || out.rows.tokens[t + 1] != 7);
}

TEST(a_shift_goes_with_its_letter_when_a_locked_token_stands_behind) {
  Session session(tiny::config());
  // A letter that the untrained deleter likes less than the shift before it, so that a threshold deletes it alone.
  for (int32_t letter = 8; letter < 20; ++letter) {
    Rows rows;
    rows.append(std::vector<int32_t>{6, letter, 7});
    const auto keep = session.inspect(rows, {"keep"}).at("keep").values;  // sentinels included
    if (keep[1] <= keep[2] + 1e-3f) continue;
    RoundInput input = round_input(rows);
    std::fill(input.open_G.begin(), input.open_G.end(), 0);
    input.locked_N = {0, 0, 1};
    Record options = round_options("edit");
    options.set("keepThreshold", 1 / (1 + std::exp(-(keep[1] + keep[2]) / 2.0)));
    CHECK(session.refine_round(options, input).rows.tokens == std::vector<int32_t>({6, 7}));
    options.set("shift", 6.0);
    CHECK(session.refine_round(options, input).rows.tokens == std::vector<int32_t>({7}));
    return;
  }
  CHECK(false);
}

TEST(weights_that_overflowed_are_never_saved) {
  Session session(tiny::config());
  Record step = tiny::step();
  step.set("learningRate", 1e39);
  session.train_step(step, tiny::counting_batch(1, 4, 6));
  const std::string path = check::temporary("overflowed");
  CHECK(check::code_of([&] { session.save(path, "model"); }) == "ERR_NONFINITE");
  CHECK(access(path.c_str(), F_OK) != 0);
}

TEST(one_encoding_a_round_reads_what_its_last_round_filled) {
  Record config = tiny::config();
  config.set("encodings", std::string("one"));
  Session session(config);
  for (int64_t i = 0; i < 30; ++i) session.train_step(tiny::step(i), tiny::counting_batch(i, 8, 9));
  const Rows x = tiny::counting_batch(90, 4, 9).drafts;
  Record first = round_options("edit");
  first.set("generation", 7.0);
  const RoundOutput one = session.refine_round(first, round_input(x));
  CHECK(one.encoder_passes == 2);
  CHECK(session.memory().number("cacheBytes") > 0);
  // The second and the last row go on, alone.
  RoundInput left;
  for (const int64_t r : {1, 3}) left.rows.append(one.rows.row(r));
  left = round_input(left.rows);
  left.parents_B = {1, 3};
  Record second = first;
  second.set("round", 1.0);
  const RoundOutput two = session.refine_round(second, left);
  CHECK(two.encoder_passes <= 1);
  // With all rows, those two say and become the same.
  first.set("generation", 8.0);
  session.refine_round(first, round_input(x));
  second.set("generation", 8.0);
  RoundInput all = round_input(one.rows);
  all.parents_B = {0, 1, 2, 3};
  const RoundOutput together = session.refine_round(second, all);
  for (size_t i = 0; i < left.parents_B.size(); ++i) {
    const auto alone = static_cast<int64_t>(i);
    const int64_t r = left.parents_B[i];
    CHECK(std::ranges::equal(two.rows.row(alone), together.rows.row(r)));
    CHECK_NEAR(two.gate_B[i], together.gate_B[static_cast<size_t>(r)], 1e-5);
    for (int64_t t = 0; t < left.rows.length(alone); ++t) {
      const auto mine = static_cast<size_t>(left.rows.offsets[i] + t),
                 theirs = static_cast<size_t>(one.rows.offsets[r] + t);
      CHECK_NEAR(two.keep_N[mine], together.keep_N[theirs], 1e-5);
    }
  }
  session.forget(8, {});
  second.set("generation", 7.0);
  // A row of another length is not what the last round left.
  RoundInput wrong = left;
  wrong.parents_B = {1, 9};
  CHECK(check::code_of([&] { session.refine_round(second, wrong); }) == "ERR_SHAPE");
  session.forget(7, {});
  CHECK(session.memory().number("cacheBytes") == 0);
  CHECK(check::code_of([&] { session.refine_round(second, left); }) == "ERR_INPUT");
}
