// Pretraining and freezing: what is masked, what learns, what does not move by a bit, and that both resume exactly.
#define MERGE_CHECK_MAIN
#include "merge/pretrain.h"

#include <unistd.h>

#include <cstdio>

#include "check.h"
#include "io/safetensors.h"
#include "tiny.h"

using namespace merge;

namespace {

std::string temporary(const std::string& name) {
  return "/tmp/merge-lm-pretrain-test-" + std::to_string(getpid()) + "-" + name;
}

// The bytes of every tensor that a session saves, by name.
std::map<std::string, std::string> tensors_of(Session& session, const std::string& part) {
  const std::string path = temporary(part);
  session.save(path, part);
  std::map<std::string, std::string> tensors;
  {
    const io::SafetensorsReader reader(path);
    for (const auto& [name, entry] : reader.tensors()) {
      tensors[name].resize(entry.end - entry.begin);
      reader.read(entry, tensors[name].data());
    }
  }
  std::remove(path.c_str());
  return tensors;
}

void hand_over(Session& from, Session& to) {
  for (const std::string part : {"model", "optimizer"}) {
    const std::string path = temporary("hand-over");
    from.save(path, part);
    to.load(path, part);
    std::remove(path.c_str());
  }
}

bool starts(const std::string& name, const char* with) { return name.rfind(with, 0) == 0; }

Record pretraining(int64_t number) {
  Record step = tiny::step(number);
  step.set("task", std::string("pretrain"));
  return step;
}

Record frozen(int64_t number, double layers) {
  Record step = tiny::step(number);
  step.set("weightDecay", .1);
  step.set("frozenLayers", layers);
  return step;
}

}  // namespace

TEST(frozen_layers_do_not_move_by_a_bit_and_then_begin_like_new_ones) {
  Session session(tiny::config());
  const TrainBatch batch = tiny::counting_batch(4, 6, 9);
  const auto before = tensors_of(session, "model");
  for (int64_t number = 0; number < 3; ++number) session.train_step(frozen(number, 1), batch);
  const auto later = tensors_of(session, "model");
  session.train_step(frozen(3, 0), batch);
  const auto free = tensors_of(session, "model");
  for (const auto& [name, bytes] : before) {
    const bool early = starts(name, "embedding.") || starts(name, "encoder.mix.") || starts(name, "encoder.blocks.0.");
    CHECK((later.at(name) == bytes) == early);
    CHECK(free.at(name) != later.at(name));
  }
  // A new parameter's first step is the learning rate's size; with three empty steps behind it, it would be larger.
  const std::string name = "encoder.blocks.0.attention_norm.weight";
  const auto* was = reinterpret_cast<const float*>(later.at(name).data());
  const auto* is = reinterpret_cast<const float*>(free.at(name).data());
  double largest = 0;
  for (int64_t i = 0; i < 16; ++i) largest = std::max<double>(largest, std::abs(is[i] - was[i]));
  CHECK_NEAR(largest, 3e-3, 1e-5);
}

TEST(a_run_that_freezes_resumes_with_the_same_bits) {
  const TrainBatch batch = tiny::counting_batch(4, 6, 9);
  const auto at = [](int64_t number) { return frozen(number, number < 3 ? 1 : 0); };
  Session whole(tiny::config()), first(tiny::config()), second(tiny::config());
  for (int64_t number = 0; number < 5; ++number) whole.train_step(at(number), batch);
  for (int64_t number = 0; number < 2; ++number) first.train_step(at(number), batch);
  hand_over(first, second);
  for (int64_t number = 2; number < 5; ++number) second.train_step(at(number), batch);
  for (const char* part : {"model", "optimizer"}) CHECK(tensors_of(whole, part) == tensors_of(second, part));
}

TEST(activations_computed_again_give_the_same_step) {
  const TrainBatch batch = tiny::counting_batch(4, 6, 9);
  Record config = tiny::config();
  Session kept(config);
  config.set("activationCheckpointing", true);
  Session again(config);
  const Record a = kept.train_step(tiny::step(), batch), b = again.train_step(tiny::step(), batch);
  CHECK(a.number("total") == b.number("total"));
  CHECK_NEAR(a.number("gradientNorm") / b.number("gradientNorm"), 1, 1e-6);
}

TEST(masks_are_as_many_as_drawn_and_what_stood_there_is_kept) {
  const Rows y = tiny::rows(3, 40, 20);
  const MaskedRows masked = masked_rows(y, 3, .2, .4, Random(1, 2, 3, Purpose::kPretrainMask));
  std::vector<int64_t> counts(static_cast<size_t>(y.count()), 0);
  Rows filled = masked.rows;
  for (size_t m = 0; m < masked.places.size(); ++m) {
    CHECK(filled.tokens[masked.places[m]] == 3);
    filled.tokens[masked.places[m]] = static_cast<int32_t>(masked.targets[m]);
    for (int64_t r = 0; r < y.count(); ++r) {
      counts[r] += masked.places[m] >= y.offsets[r] && masked.places[m] < y.offsets[r + 1];
    }
  }
  CHECK(filled.tokens == y.tokens);
  for (int64_t r = 0; r < y.count(); ++r) {
    const double length = static_cast<double>(y.length(r));
    CHECK(counts[r] >= std::min<int64_t>(y.length(r), std::llround(.2 * length)));
    CHECK(counts[r] <= std::max<int64_t>(length > 0 ? 1 : 0, std::llround(.4 * length)));
    CHECK(length == 0 || counts[r] > 0);
  }
}

TEST(pretraining_teaches_encoder_and_head_and_leaves_the_rest) {
  Session session(tiny::config());
  const auto before = tensors_of(session, "model");
  double first = 0, last = 0;
  for (int64_t number = 0; number < 150; ++number) {
    const Record report = session.train_step(pretraining(number), tiny::counting_batch(number, 12, 12));
    (number == 0 ? first : last) = report.number("recon");
    CHECK(report.number("total") == report.number("recon"));
    CHECK(report.number("masks") > 0);
  }
  // Counting rows: a mask's neighbours say what it was.
  CHECK(last < .35 * first);
  CHECK(session.evaluate(pretraining(1000), tiny::counting_batch(1000, 12, 12)).number("fillAccuracy") > .8);
  for (const auto& [name, bytes] : tensors_of(session, "model")) {
    const bool learns = starts(name, "embedding.") || starts(name, "encoder.") || starts(name, "head.");
    CHECK((before.at(name) == bytes) != learns);
  }
}

TEST(pretraining_resumes_with_the_same_bits) {
  const TrainBatch batch = tiny::counting_batch(4, 6, 9);
  Session whole(tiny::config()), first(tiny::config()), second(tiny::config());
  for (int64_t number = 0; number < 4; ++number) whole.train_step(pretraining(number), batch);
  for (int64_t number = 0; number < 2; ++number) first.train_step(pretraining(number), batch);
  hand_over(first, second);
  for (int64_t number = 2; number < 4; ++number) second.train_step(pretraining(number), batch);
  CHECK(tensors_of(whole, "model") == tensors_of(second, "model"));
}
