// Session: checks lengths and ids at the door, then hands over to the family's code; turns every failure into
// merge::Error.
#include "engine.h"

#include <ATen/Version.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/CPUAllocator.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <mutex>

#include "checks.h"
#include "family.h"
#include "guard.h"
#include "memory_pool.h"
#include "nn/fitted_threads.h"
#include "nn/prepared.h"
#include "nn/weight_import.h"
#include "nn/weights.h"
#include "optim/adamw.h"

namespace merge {

struct Session::State {
  explicit State(const Record& config) : family(make_family(config)), prepared(family->placement().byte_products) {}
  std::unique_ptr<Family> family;
  AdamW optimizer;
  nn::Prepared prepared;
};

namespace {

// libtorch keeps this one setting for the whole process, so every call states its own; calls never run side by side.
void use_precision_of(const Family& family) {
  at::globalContext().setFloat32MatmulPrecision(family.placement().half_products ? "medium" : "highest");
}

void check_running(const std::atomic<bool>& cancelled, const char* what) {
  if (cancelled.load()) throw Error("ERR_ABORTED", std::string("the ") + what + " was cancelled");
}

// A call that learns nothing from so many tokens.
template <typename State, typename Call>
auto reading(State& state, size_t tokens, Call&& call) {
  Family& family = *state.family;
  use_precision_of(family);
  const nn::FittedThreads threads(family.placement(), family.parameters(), static_cast<int64_t>(tokens));
  const at::NoGradGuard no_grad;
  const nn::UsePrepared use(state.prepared);
  return call(family);
}

// What a step reads at once at most.
size_t tokens_of(const TrainBatch& batch) {
  return batch.drafts.tokens.size() + batch.targets.tokens.size() + batch.conditions.tokens.size();
}

// A call that changes weights, or some of them before it fails.
template <typename State, typename Call>
auto changing(State& state, Call&& call) {
  state.prepared.clear();
  return call(state.family->parameters());
}

// What the optimizer gets; NaN fits no range.
void check_update(const Record& step) {
  const double largest = std::numeric_limits<double>::max();
  for (const char* name : {"learningRate", "epsilon", "weightDecay", "clip"}) check_range(step, name, 0, largest);
  for (const char* name : {"beta1", "beta2"}) check_range(step, name, 0, 1);
}

AdamWOptions update_options(const Record& step, const nn::Parameters& parameters) {
  AdamWOptions options{.learning_rate = step.number("learningRate"),
                       .second_learning_rate = 0,
                       .beta1 = step.number("beta1"),
                       .beta2 = step.number("beta2"),
                       .epsilon = step.number("epsilon"),
                       .weight_decay = step.number("weightDecay")};
  const bool has_second = std::any_of(parameters.groups().begin(), parameters.groups().end(),
                                      [](const auto& group) { return group.second; });
  if (has_second) {
    check_range(step, "secondLearningRate", 0, std::numeric_limits<double>::max());
    options.second_learning_rate = step.number("secondLearningRate");
  }
  return options;
}

NamedArray host_array(const Tensor& tensor) {
  const Tensor host = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
  return {host.sizes().vec(), {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()}};
}

std::vector<nn::Piece> checked_pieces(const WeightPieces& pieces) {
  const size_t count = pieces.tensors.size();
  if (pieces.parameters.size() != count || pieces.begins.size() != count || pieces.rows.size() != count) {
    throw Error("ERR_SHAPE", "pieces: expected " + std::to_string(count) +
                                 " parameters, begins and rows, one for each "
                                 "tensor");
  }
  std::vector<nn::Piece> checked;
  for (size_t i = 0; i < count; ++i) {
    checked.push_back({pieces.tensors[i], pieces.parameters[i], pieces.begins[i], pieces.rows[i]});
  }
  return checked;
}

std::map<std::string, NamedArray> host_arrays(const std::map<std::string, Tensor>& tensors) {
  std::map<std::string, NamedArray> arrays;
  for (const auto& [name, values] : tensors) arrays[name] = host_array(values);
  return arrays;
}

// One step of the optimizer: `learn` adds the gradients and returns the report.
template <typename State, typename Learn>
Record updated(State& state, const Record& step, size_t tokens, Learn&& learn) {
  const auto start = std::chrono::steady_clock::now();
  state.prepared.clear();
  Family& family = *state.family;
  use_precision_of(family);
  const nn::FittedThreads threads(family.placement(), family.parameters(), static_cast<int64_t>(tokens));
  check_update(step);
  const auto& groups = family.parameters().groups();
  if (std::any_of(groups.begin(), groups.end(),
                  [](const auto& group) { return group.values.scalar_type() == at::kBFloat16; })) {
    throw Error("ERR_CONFIG", "weightDtype: expected float32 to train, received bfloat16");
  }
  const double clip = step.number("clip");
  const AdamWOptions adamw = update_options(step, family.parameters());
  family.parameters().zero_gradients();
  Record report = learn();
  // sync: a bad gradient must stop before it reaches the weights.
  const double norm = family.parameters().gradient_norm().item<double>();
  if (!std::isfinite(norm)) {
    throw Error("ERR_NONFINITE", "gradient norm: expected a finite number, received " + std::to_string(norm) +
                                     " at step " + std::to_string(step.integer("step")));
  }
  if (clip > 0 && norm > clip) family.parameters().scale_gradients(clip / norm);
  state.optimizer.step(family.parameters(), adamw);
  report.set("gradientNorm", norm);
  report.set("nativeSeconds", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return report;
}

}  // namespace

Session::Session(const Record& config) : state_(guarded([&] { return std::make_unique<State>(config); })) {}
Session::~Session() {
  state_.reset();
  empty_memory_pool();
}

Record Session::train_step(const Record& step, const TrainBatch& batch) {
  return guarded([&] {
    return updated(*state_, step, tokens_of(batch),
                   [&] { return state_->family->run(step, batch, /*learn=*/true, cancelled); });
  });
}

Record Session::policy_step(const Record& step, const Trajectory& run) {
  return guarded([&] {
    return updated(*state_, step, run.rows.tokens.size(),
                   [&] { return state_->family->learn_policy(step, run, cancelled); });
  });
}

std::map<std::string, NamedArray> Session::policy_logs(const Record& options, const Trajectory& run) {
  return guarded([&] {
    check_running(cancelled, "reading");
    return reading(*state_, run.rows.tokens.size(),
                   [&](Family& family) { return host_arrays(family.policy_logs(options, run)); });
  });
}

Record Session::evaluate(const Record& step, const TrainBatch& batch) {
  return guarded([&] {
    return reading(*state_, tokens_of(batch),
                   [&](Family& family) { return family.run(step, batch, /*learn=*/false, cancelled); });
  });
}

RoundOutput Session::refine_round(const Record& options, const RoundInput& input) {
  return guarded([&] {
    check_running(cancelled, "round");
    return reading(*state_, input.rows.tokens.size() + input.conditions.tokens.size(),
                   [&](Family& family) { return family.refine_round(options, input); });
  });
}

DenoiseOutput Session::denoise(const Record& options, const DenoiseInput& input) {
  return guarded([&] {
    check_running(cancelled, "denoising step");
    return reading(*state_, input.blocks.rows.tokens.size(),
                   [&](Family& family) { return family.denoise(options, input); });
  });
}

void Session::remember(const CachedRows& input) {
  guarded([&] {
    check_running(cancelled, "reading");
    reading(*state_, input.rows.tokens.size(), [&](Family& family) { family.remember(input); });
  });
}

void Session::forget(int64_t generation, const std::vector<int32_t>& slots) {
  guarded([&] { state_->family->forget(generation, slots); });
}

NextOutput Session::next_tokens(const Record& options, const NextInput& input) {
  return guarded([&] {
    check_running(cancelled, "writing");
    return reading(*state_, input.rows.tokens.size(),
                   [&](Family& family) { return family.next_tokens(options, input, cancelled); });
  });
}

LengthOutput Session::predict_lengths(const Record& options, const CachedRows& sources) {
  return guarded([&] {
    check_running(cancelled, "reading");
    return reading(*state_, sources.rows.tokens.size(),
                   [&](Family& family) { return family.predict_lengths(options, sources); });
  });
}

std::map<std::string, NamedArray> Session::inspect(const Rows& rows, const std::vector<std::string>& outputs) {
  return guarded([&] {
    return reading(*state_, rows.tokens.size(),
                   [&](Family& family) { return host_arrays(family.inspect(rows, outputs)); });
  });
}

std::map<std::string, NamedArray> Session::inspect_behind(const Rows& prompts, const Rows& rows, const std::string& way,
                                                          const std::vector<std::string>& outputs) {
  return guarded([&] {
    return reading(*state_, prompts.tokens.size() + rows.tokens.size(),
                   [&](Family& family) { return host_arrays(family.inspect_behind(prompts, rows, way, outputs)); });
  });
}

void Session::save(const std::string& path, const std::string& part) {
  guarded([&] {
    const auto& parameters = state_->family->parameters();
    nn::save_tensors(path, part == "optimizer" ? state_->optimizer.entries(parameters) : parameters.entries());
  });
}

void Session::load(const std::string& path, const std::string& part) {
  guarded([&] {
    changing(*state_, [&](const nn::Parameters& parameters) {
      nn::load_tensors(path, part == "optimizer" ? state_->optimizer.entries(parameters) : parameters.entries());
    });
  });
}

void Session::read_pieces(const std::string& path, const WeightPieces& pieces) {
  guarded([&] {
    changing(*state_, [&](const nn::Parameters& parameters) {
      nn::read_pieces(path, checked_pieces(pieces), parameters.entries());
    });
  });
}

void Session::write_pieces(const std::string& path, const WeightPieces& pieces, const std::string& dtype) {
  guarded([&] {
    const auto& parameters = state_->family->parameters();
    nn::write_pieces(path, checked_pieces(pieces), dtype, parameters.entries(), parameters.adapters());
  });
}

void Session::draw(const std::vector<std::string>& names) {
  guarded([&] {
    changing(*state_, [&](const nn::Parameters& parameters) {
      for (const std::string& name : names) {
        const auto found = std::find_if(parameters.entries().begin(), parameters.entries().end(),
                                        [&](const auto& entry) { return entry.name == name; });
        if (found == parameters.entries().end()) throw Error("ERR_INPUT", name + ": this model has no such parameter");
        parameters.draw(*found);
      }
    });
  });
}

void Session::import_weights(const std::vector<Record>& sources) {
  guarded([&] {
    std::vector<nn::WeightSource> plan;
    for (const Record& source : sources) {
      const std::string& use = one_of(source, "use", {"whole", "rows", "cut", "added"});
      plan.push_back({source.word("target"), source.word("file"), source.word("tensor"),
                      use == "whole"  ? nn::WeightSource::Use::kWhole
                      : use == "rows" ? nn::WeightSource::Use::kRows
                      : use == "cut"  ? nn::WeightSource::Use::kCut
                                      : nn::WeightSource::Use::kAdded,
                      source.integer("rows")});
    }
    changing(*state_, [&](const nn::Parameters& parameters) { nn::import_tensors(parameters.entries(), plan); });
  });
}

std::vector<ParameterInfo> Session::parameters() const {
  std::vector<ParameterInfo> infos;
  for (const auto& entry : state_->family->parameters().entries())
    infos.push_back({entry.name, entry.tensor.sizes().vec()});
  return infos;
}

Record Session::memory() const {
  int64_t gradients = 0;
  for (const auto& group : state_->family->parameters().groups()) {
    if (group.gradients.defined()) gradients += static_cast<int64_t>(group.gradients.nbytes());
  }
  Record record;
  record.set("parameterBytes", state_->family->parameters().bytes());
  record.set("gradientBytes", gradients);
  record.set("optimizerBytes", state_->optimizer.bytes());
  record.set("cacheBytes", state_->family->cache_bytes());
  record.set("preparedBytes", state_->prepared.bytes());
  record.set("pooledBytes", pooled_bytes());
  return record;
}

void begin_compute_thread(int64_t threads) {
  if (threads < 1 || threads > 1024) {
    throw Error("ERR_CONFIG", "threads: expected 1..1024, received " + std::to_string(threads));
  }
  guarded([&] {
    // Once per process; libtorch throws on a second setting, and nothing here runs operators side by side.
    static std::once_flag once;
    std::call_once(once, [] {
      at::set_num_interop_threads(1);
      use_memory_pool();
    });
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
