// Session: checks lengths and ids at the door, then hands over to the family's code; turns every failure into
// merge::Error.
#include "engine.h"

#include <ATen/Version.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/CPUAllocator.h>
#include <torch/headeronly/version.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <mutex>

#include "guard.h"
#include "merge/round.h"
#include "merge/step.h"
#include "nn/weights.h"
#include "optim/adamw.h"

namespace merge {

struct Session::State {
  explicit State(const Record& config) : model(config) {}
  Model model;
  AdamW optimizer;
};

namespace {

// libtorch keeps this one setting for the whole process, so every call states its own; calls never run side by side.
void use_precision_of(const Model& model) {
  at::globalContext().setFloat32MatmulPrecision(model.options().half_products ? "medium" : "highest");
}

void expect_shape(bool holds, const std::string& message) {
  if (!holds) throw Error("ERR_SHAPE", message);
}

// Offsets and ids of rows that came over the border. Rows longer than the model's maximum are refused.
void check_rows(const char* name, const Rows& rows, const ModelOptions& options) {
  expect_shape(!rows.offsets.empty() && rows.offsets.front() == 0 &&
                   rows.offsets.back() == static_cast<int64_t>(rows.tokens.size()),
               std::string(name) + ": offsets expected to run from 0 to " + std::to_string(rows.tokens.size()));
  for (int64_t r = 0; r < rows.count(); ++r) {
    expect_shape(rows.offsets[r] <= rows.offsets[r + 1], std::string(name) + ": offsets expected to rise");
    if (rows.length(r) > options.max_length) {
      throw Error("ERR_INPUT", std::string(name) + ": row " + std::to_string(r) + ": expected at most " +
                                   std::to_string(options.max_length) + " tokens, received " +
                                   std::to_string(rows.length(r)));
    }
  }
  const int64_t vocabulary = options.encoder.vocabulary;
  for (const int32_t token : rows.tokens) {
    if (token < 0 || token >= vocabulary) {
      throw Error("ERR_INPUT", std::string(name) + ": expected token ids 0.." + std::to_string(vocabulary - 1) +
                                   ", received " + std::to_string(token));
    }
  }
}

void check_range(const Record& record, const char* name, double low, double high) {
  const double value = record.number(name);
  if (!(value >= low && value <= high)) {
    throw Error("ERR_CONFIG", std::string(name) + ": expected " + std::to_string(low) + ".." + std::to_string(high) +
                                  ", received " + std::to_string(value));
  }
}

void check_batch(const Record& step, const TrainBatch& batch, const ModelOptions& options) {
  check_rows("drafts", batch.drafts, options);
  check_rows("targets", batch.targets, options);
  expect_shape(batch.drafts.count() == batch.targets.count() && batch.targets.count() > 0,
               "batch: expected as many drafts as targets and at least one, received " +
                   std::to_string(batch.drafts.count()) + " and " + std::to_string(batch.targets.count()));
  check_range(step, "rounds", 1, 64);
  check_range(step, "accumulation", 1, 65536);
  check_range(step, "labelSmoothing", 0, 1);
  check_range(step, "countSmoothing", 0, 1);
}

// What the optimizer gets; NaN fits no range.
void check_update(const Record& step) {
  const double largest = std::numeric_limits<double>::max();
  for (const char* name : {"learningRate", "epsilon", "weightDecay", "clip"}) check_range(step, name, 0, largest);
  for (const char* name : {"beta1", "beta2"}) check_range(step, name, 0, 1);
}

NamedArray host_array(const Tensor& tensor) {
  const Tensor host = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
  return {host.sizes().vec(), {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()}};
}

}  // namespace

Session::Session(const Record& config) : state_(guarded([&] { return std::make_unique<State>(config); })) {}
Session::~Session() = default;

Record Session::train_step(const Record& step, const TrainBatch& batch) {
  return guarded([&] {
    const auto start = std::chrono::steady_clock::now();
    Model& model = state_->model;
    use_precision_of(model);
    check_batch(step, batch, model.options());
    check_update(step);
    const double clip = step.number("clip");
    const AdamWOptions adamw{step.number("learningRate"), step.number("beta1"), step.number("beta2"),
                             step.number("epsilon"), step.number("weightDecay")};
    model.parameters().zero_gradients();
    Record report = run_rounds(model, step, batch, /*learn=*/true, cancelled);
    // sync: a bad gradient must stop before it reaches the weights.
    const double norm = model.parameters().gradient_norm().item<double>();
    if (!std::isfinite(norm)) {
      throw Error("ERR_NONFINITE", "gradient norm: expected a finite number, received " + std::to_string(norm) +
                                       " at step " + std::to_string(step.integer("step")));
    }
    if (clip > 0 && norm > clip) model.parameters().scale_gradients(clip / norm);
    state_->optimizer.step(model.parameters(), adamw);
    report.set("gradientNorm", norm);
    report.set("nativeSeconds", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    return report;
  });
}

Record Session::evaluate(const Record& step, const TrainBatch& batch) {
  return guarded([&] {
    use_precision_of(state_->model);
    check_batch(step, batch, state_->model.options());
    at::NoGradGuard no_grad;
    return run_rounds(state_->model, step, batch, /*learn=*/false, cancelled);
  });
}

RoundOutput Session::refine_round(const Record& options, const RoundInput& input) {
  return guarded([&] {
    if (cancelled.load()) throw Error("ERR_ABORTED", "the round was cancelled");
    use_precision_of(state_->model);
    check_rows("rows", input.rows, state_->model.options());
    const size_t tokens = input.rows.tokens.size(), gaps = tokens + static_cast<size_t>(input.rows.count());
    expect_shape(input.rows.count() > 0, "rows: expected at least one");
    expect_shape(input.locked_N.size() == tokens, "locked: expected " + std::to_string(tokens) + " flags, received " +
                                                      std::to_string(input.locked_N.size()));
    expect_shape(input.open_G.size() == gaps,
                 "open: expected " + std::to_string(gaps) + " flags, received " + std::to_string(input.open_G.size()));
    const std::string& mode = options.word("mode");
    if (mode != "auto" && mode != "edit" && mode != "gen") {
      throw Error("ERR_CONFIG", "mode: expected auto, edit or gen, received " + mode);
    }
    check_range(options, "shift", -1, static_cast<double>(state_->model.options().encoder.vocabulary - 1));
    check_range(options, "fillThreshold", 0, 1);
    check_range(options, "temperature", 0, 100);
    check_range(options, "topP", 0, 1);
    check_range(options, "maxLength", 0, static_cast<double>(state_->model.options().max_length));
    return refine_rows(state_->model, options, input);
  });
}

std::map<std::string, NamedArray> Session::inspect(const Rows& rows, const std::vector<std::string>& outputs) {
  return guarded([&] {
    const Model& model = state_->model;
    use_precision_of(model);
    check_rows("rows", rows, model.options());
    expect_shape(rows.count() > 0, "rows: expected at least one");
    at::NoGradGuard no_grad;
    const Model::Reading reading = model.read(rows);
    const Skeleton whole = drop(rows, std::vector<uint8_t>(rows.tokens.size(), 1));
    std::map<std::string, NamedArray> arrays;
    for (const std::string& output : outputs) {
      if (output == "hidden")
        arrays[output] = host_array(reading.hidden_TD);
      else if (output == "logits")
        arrays[output] = host_array(model.logits(reading));
      else if (output == "keep")
        arrays[output] = host_array(reading.keep_T);
      else if (output == "gate")
        arrays[output] = host_array(reading.gate_B);
      else if (output == "score")
        arrays[output] = host_array(model.gaps(reading, whole).score_G);
      else if (output == "counts")
        arrays[output] = host_array(model.gaps(reading, whole).count_GC);
      else
        throw Error("ERR_INPUT", "outputs: expected hidden, logits, keep, gate, score or counts, received " + output);
    }
    return arrays;
  });
}

void Session::save(const std::string& path, const std::string& part) {
  guarded([&] {
    const auto& parameters = state_->model.parameters();
    nn::save_tensors(path, part == "optimizer" ? state_->optimizer.entries(parameters) : parameters.entries());
  });
}

void Session::load(const std::string& path, const std::string& part) {
  guarded([&] {
    const auto& parameters = state_->model.parameters();
    nn::load_tensors(path, part == "optimizer" ? state_->optimizer.entries(parameters) : parameters.entries());
  });
}

std::vector<ParameterInfo> Session::parameters() const {
  std::vector<ParameterInfo> infos;
  for (const auto& entry : state_->model.parameters().entries())
    infos.push_back({entry.name, entry.tensor.sizes().vec()});
  return infos;
}

Record Session::memory() const {
  int64_t values = 0, gradients = 0;
  for (const auto& group : state_->model.parameters().groups()) {
    values += static_cast<int64_t>(group.values.nbytes());
    if (group.gradients.defined()) gradients += static_cast<int64_t>(group.gradients.nbytes());
  }
  Record record;
  record.set("parameterBytes", values);
  record.set("gradientBytes", gradients);
  record.set("optimizerBytes", state_->optimizer.bytes());
  return record;
}

void begin_compute_thread(int64_t threads) {
  if (threads < 1 || threads > 1024) {
    throw Error("ERR_CONFIG", "threads: expected 1..1024, received " + std::to_string(threads));
  }
  guarded([&] {
    // Once per process; libtorch throws on a second setting, and nothing here runs operators side by side.
    static std::once_flag once;
    std::call_once(once, [] { at::set_num_interop_threads(1); });
    at::set_num_threads(static_cast<int>(threads));
  });
}

Record engine_info() {
  Record info;
  info.set("libtorchVersion", std::string(TORCH_VERSION));
  info.set("cudaBuilt", at::globalContext().hasCUDA() || at::detail::getCUDAHooks().hasCUDA());
  info.set("cudaDevices", static_cast<int64_t>(at::detail::getCUDAHooks().deviceCount()));
  info.set("cpuCapability", at::get_cpu_capability());
  info.set("threads", static_cast<int64_t>(at::get_num_threads()));
  return info;
}

}  // namespace merge
