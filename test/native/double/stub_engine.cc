// A test double of native/engine.h: no libtorch, slow on request, so that the addon's ways out can be tried in seconds.
// `step.sleepMs` makes a call take that long, in slices that look at `cancelled`; `step.fail` throws.
#include <chrono>
#include <new>
#include <thread>

#include "engine.h"
#include "operation.h"

namespace merge {

struct Session::State {
  std::vector<float> weights;
  int64_t steps = 0;
};

namespace {

void pass_time(const Record& options, const std::atomic<bool>& cancelled) {
  const auto found = options.fields().find("sleepMs");
  if (found == options.fields().end()) return;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(options.integer("sleepMs"));
  while (std::chrono::steady_clock::now() < end) {
    if (cancelled) throw Error("ERR_ABORTED", "stub: cancelled");
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

void fail_if_asked(const Record& options) {
  const auto found = options.fields().find("fail");
  if (found == options.fields().end()) return;
  const std::string& kind = options.word("fail");
  if (kind == "error") throw Error("ERR_NONFINITE", "recon: expected a finite loss, received NaN");
  if (kind == "memory") throw std::bad_alloc();
  if (kind == "libtorch") {
    throw std::runtime_error(
        "bad shape\nException raised from check at /build/src/at.cpp:12\nframe #0: 0x7f0123456789");
  }
  throw 7;
}

}  // namespace

Session::Session(const Record& config) : state_(std::make_unique<State>()) {
  pass_time(config, cancelled);
  fail_if_asked(config);
  state_->weights.resize(static_cast<size_t>(config.integer("width")) * 1000);
}
Session::~Session() = default;

Record Session::train_step(const Record& step, const TrainBatch& batch) {
  fail_if_asked(step);
  pass_time(step, cancelled);
  Record report;
  report.set("step", ++state_->steps);
  report.set("tokens", static_cast<int64_t>(batch.drafts.tokens.size()));
  return report;
}

Record Session::evaluate(const Record& step, const TrainBatch& batch) {
  const int64_t steps = state_->steps;
  Record report = train_step(step, batch);
  state_->steps = steps;
  report.set("step", steps);
  return report;
}

RoundOutput Session::refine_round(const Record& options, const RoundInput& input) {
  fail_if_asked(options);
  pass_time(options, cancelled);
  RoundOutput output;
  output.rows = input.rows;
  for (size_t i = 0; i < input.rows.tokens.size(); ++i) output.source.push_back(static_cast<int32_t>(i));
  output.confidence.assign(input.rows.tokens.size(), 1);
  output.keep_N.assign(input.rows.tokens.size(), 1);
  output.gate_B.assign(static_cast<size_t>(input.rows.count()), 0.5);
  output.edited_B.assign(static_cast<size_t>(input.rows.count()), 1);
  output.truncated_B.assign(static_cast<size_t>(input.rows.count()), 0);
  output.encoder_passes = 2;
  return output;
}

DenoiseOutput Session::denoise(const Record& options, const DenoiseInput& input) {
  fail_if_asked(options);
  pass_time(options, cancelled);
  DenoiseOutput output;
  output.tokens = output.candidate = input.blocks.rows.tokens;
  output.confidence.assign(output.tokens.size(), 1);
  output.score = output.probability = output.confidence;
  return output;
}

void Session::remember(const CachedRows&) {}
void Session::forget(int64_t, const std::vector<int32_t>&) {}

std::map<std::string, NamedArray> Session::inspect_behind(const Rows&, const Rows& rows, const std::string&,
                                                          const std::vector<std::string>& outputs) {
  return inspect(rows, outputs);
}

std::map<std::string, NamedArray> Session::policy_logs(const Record&, const Trajectory& run) {
  return inspect(run.rows, {"token", "set"});
}

Record Session::policy_step(const Record& step, const Trajectory& run) {
  return train_step(step, {run.rows, run.rows});
}

std::map<std::string, NamedArray> Session::inspect(const Rows& rows, const std::vector<std::string>& outputs) {
  std::map<std::string, NamedArray> arrays;
  for (const auto& name : outputs) {
    float sum = 0;
    for (const int32_t token : rows.tokens) sum += static_cast<float>(token);
    arrays[name] = {{1}, {sum}};
  }
  return arrays;
}

void Session::save(const std::string&, const std::string&) {}
void Session::import_weights(const std::vector<Record>&) {}

void Session::load(const std::string& path, const std::string&) {
  throw Error("ERR_CHECKPOINT", "checkpoint: expected a file, received " + path);
}

void Session::read_pieces(const std::string& path, const WeightPieces&) { load(path, "model"); }
void Session::write_pieces(const std::string&, const WeightPieces&, const std::string&) {}
void Session::draw(const std::vector<std::string>&) {}

std::vector<ParameterInfo> Session::parameters() const {
  return {{"weights", {static_cast<int64_t>(state_->weights.size())}}};
}

Record Session::memory() const {
  Record memory;
  memory.set("parameterBytes", static_cast<int64_t>(state_->weights.size() * sizeof(float)));
  memory.set("gradientBytes", int64_t{0});
  memory.set("optimizerBytes", int64_t{0});
  return memory;
}

void begin_compute_thread(int64_t) {}

// Every array comes back as it was.
Arrays run_op(const std::string& name, const Record&, const Arrays& arrays) {
  if (name != "countsSt" || arrays.empty()) throw Error("ERR_CONFIG", "op: expected countsSt and arrays");
  return arrays;
}

Record engine_info() {
  Record info;
  info.set("libtorchVersion", Record::Value(std::string("none")));
  info.set("cudaBuilt", Record::Value(false));
  return info;
}

}  // namespace merge
