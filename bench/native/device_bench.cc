// The engine on one device without Node: matrix products, encoder, training step, refinement, and each kernel against
// libtorch's own operations. Prints one JSON object.
//   device_bench device=cuda:0 dtype=bfloat16 layers=12 width=768 heads=12 rows=128 length=256 repeat=10
#include <ATen/core/grad_mode.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>

#include "kernels/cuda_library.h"
#include "merge/model.h"
#include "ops/ragged_attention.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/row_mix.h"
#include "ops/swiglu.h"
#include "tiny.h"

using namespace merge;

namespace {

using Numbers = std::map<std::string, double>;

struct Bench {
  std::map<std::string, std::string> words{{"device", "cpu"}, {"dtype", "bfloat16"}};
  std::map<std::string, int64_t> sizes{{"layers", 12},        {"width", 768},        {"heads", 12},
                                       {"feedForward", 2048}, {"vocabulary", 32768}, {"rows", 128},
                                       {"length", 256},       {"repeat", 10},        {"product", 8192}};

  at::Device device() const { return at::Device(words.at("device")); }
  at::ScalarType dtype() const { return words.at("dtype") == "bfloat16" ? at::kBFloat16 : at::kFloat; }
  int64_t positions() const { return sizes.at("rows") * (sizes.at("length") + 2); }
};

// Milliseconds of one call, the median of `repeat`, after two that warm up. The device has finished when it is read.
double milliseconds(const Bench& bench, const std::function<void()>& body) {
  const auto finish = [&] {
    if (bench.device().is_cuda()) at::zeros({1}, bench.device()).item<float>();
  };
  std::vector<double> times;
  for (int64_t i = -2; i < bench.sizes.at("repeat"); ++i) {
    finish();
    const auto start = std::chrono::steady_clock::now();
    body();
    finish();
    if (i >= 0)
      times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::nth_element(times.begin(), times.begin() + static_cast<int64_t>(times.size()) / 2, times.end());
  return times[times.size() / 2];
}

Record config_of(const Bench& bench) {
  Record config = tiny::config(bench.words.at("dtype"));
  config.set("device", bench.words.at("device"));
  for (const char* name : {"layers", "width", "heads", "feedForward", "vocabulary"})
    config.set(name, bench.sizes.at(name));
  config.set("keyHeads", bench.sizes.at("heads"));
  config.set("maxLength", 2 * bench.sizes.at("length"));
  config.set("localMix", int64_t{0});
  return config;
}

Rows random_rows(const Bench& bench, uint64_t seed, int64_t count, int64_t length) {
  const Random random(seed, 0, 0, Purpose::kSample);
  const auto words = static_cast<double>(bench.sizes.at("vocabulary") - 5);
  Rows rows;
  for (int64_t r = 0; r < count; ++r) {
    std::vector<int32_t> row;
    for (int64_t i = 0; i < length; ++i) row.push_back(5 + static_cast<int32_t>(random.uniform(r, i) * words));
    rows.append(row);
  }
  return rows;
}

// Drafts lack a tenth of the target's tokens and have another tenth replaced.
TrainBatch batch_of(const Bench& bench) {
  TrainBatch batch;
  batch.targets = random_rows(bench, 1, bench.sizes.at("rows"), bench.sizes.at("length"));
  const Random random(2, 0, 0, Purpose::kSample);
  for (int64_t r = 0; r < batch.targets.count(); ++r) {
    std::vector<int32_t> draft;
    for (int64_t i = 0; i < batch.targets.length(r); ++i) {
      const double draw = random.uniform(r, i);
      if (draw >= .1) draft.push_back(draw < .2 ? 5 : batch.targets.row(r)[i]);
    }
    batch.drafts.append(draft);
  }
  return batch;
}

// Multiplications and additions of the blocks for one position, forward.
double flops_of_position(const Bench& bench) {
  const auto width = static_cast<double>(bench.sizes.at("width")),
             inner = static_cast<double>(bench.sizes.at("feedForward"));
  const double seen = static_cast<double>(bench.sizes.at("length") + 2);
  return static_cast<double>(bench.sizes.at("layers")) *
         (2 * (4 * width * width + 3 * width * inner) + 4 * seen * width);
}

Numbers products(const Bench& bench) {
  const int64_t n = bench.sizes.at("product");
  const auto options = at::TensorOptions(bench.device()).dtype(bench.dtype());
  const Tensor a = at::randn({n, n}, options), b = at::randn({n, n}, options);
  const double ms = milliseconds(bench, [&] { at::mm(a, b); });
  return {{"size", static_cast<double>(n)}, {"ms", ms}, {"tflops", 2e-9 * static_cast<double>(n) * n * n / ms}};
}

Numbers encoder(const Bench& bench, double ceiling) {
  const Model model(config_of(bench));
  const Rows rows = random_rows(bench, 3, bench.sizes.at("rows"), bench.sizes.at("length"));
  Numbers numbers;
  const auto add = [&](const std::string& name, double passes, double ms) {
    const double tflops = 1e-9 * passes * flops_of_position(bench) * static_cast<double>(bench.positions()) / ms;
    numbers[name + "Ms"] = ms;
    numbers[name + "PositionsPerSecond"] = 1e3 * static_cast<double>(bench.positions()) / ms;
    numbers[name + "Tflops"] = tflops;
    numbers[name + "ShareOfProducts"] = tflops / ceiling;
  };
  {
    at::NoGradGuard no_grad;
    add("forward", 1, milliseconds(bench, [&] { model.encode(rows); }));
  }
  add("forwardBackward", 3,
      milliseconds(bench, [&] { model.encode(rows).hidden_TD.to(at::kFloat).square().mean().backward(); }));
  return numbers;
}

Numbers training(const Bench& bench, double ceiling) {
  Session session(config_of(bench));
  const TrainBatch batch = batch_of(bench);
  Record step = tiny::step(), report;
  step.set("rounds", 1.0);
  step.set("subsequence", 0.0);
  step.set("ownFill", 0.0);
  double host = 0;
  const double ms = milliseconds(bench, [&] {
    report = session.train_step(step, batch);
    host = 1e3 * report.number("hostSeconds");
  });
  const double positions = report.number("tokens"), masks = report.number("masks");
  const double head =
      2 * static_cast<double>(bench.sizes.at("width")) * static_cast<double>(bench.sizes.at("vocabulary"));
  const double tflops = 3e-9 * (positions * flops_of_position(bench) + masks * head) / ms;
  return {{"ms", ms},       {"hostMs", host},   {"positionsPerSecond", 1e3 * positions / ms},
          {"masks", masks}, {"tflops", tflops}, {"shareOfProducts", tflops / ceiling}};
}

Numbers refinement(const Bench& bench, int64_t rows, int64_t length) {
  Session session(config_of(bench));
  Record options;
  for (const auto& [name, value] : std::map<std::string, double>{{"editThreshold", .5},
                                                                 {"keepThreshold", .5},
                                                                 {"fillThreshold", 0},
                                                                 {"fillShare", 0},
                                                                 {"temperature", 0},
                                                                 {"topK", 0},
                                                                 {"topP", 1},
                                                                 {"seed", 1},
                                                                 {"round", 0},
                                                                 {"shift", -1},
                                                                 {"generation", 1},
                                                                 {"lengthRatio", 1},
                                                                 {"targetLength", 0},
                                                                 {"maxLength", 2.0 * length}}) {
    options.set(name, value);
  }
  options.set("mode", std::string("edit"));
  options.set("countSource", std::string("counts"));
  RoundInput input;
  input.rows = random_rows(bench, 4, rows, length);
  input.locked_N.assign(input.rows.tokens.size(), 0);
  input.open_G.assign(input.rows.tokens.size() + static_cast<size_t>(rows), 1);
  const double ms = milliseconds(bench, [&] { session.refine_round(options, input); });
  return {{"ms", ms}, {"tokensPerSecondAt2.1Rounds", 1e3 * static_cast<double>(rows * length) / ms / 2.1}};
}

// Forward and backward of our op and of its reference on the same device.
void compare(const Bench& bench, std::map<std::string, Numbers>& all, const std::string& name, const Tensor& input,
             const std::function<Tensor(const Tensor&)>& op, const std::function<Tensor(const Tensor&)>& reference) {
  const Tensor x = input.to(bench.device(), bench.dtype()).detach().requires_grad_(true);
  const auto timed = [&](const std::function<Tensor(const Tensor&)>& f) {
    const Tensor like = f(x).detach();
    return milliseconds(bench, [&] { f(x).backward(like); });
  };
  const double ours = timed(op), theirs = timed(reference);
  all["kernel " + name] = {{"ms", ours}, {"referenceMs", theirs}, {"ratio", theirs / ours}};
}

void kernels_of(const Bench& bench, std::map<std::string, Numbers>& all) {
  const int64_t positions = bench.positions(), width = bench.sizes.at("width"), heads = bench.sizes.at("heads");
  const Tensor weight = at::ones({width}, at::TensorOptions(bench.device()));
  compare(
      bench, all, "rms_norm", at::randn({positions, width}),
      [&](const Tensor& x) { return ops::rms_norm(x, weight, 1e-5); },
      [&](const Tensor& x) { return ops::rms_norm_reference(x, weight, 1e-5); });
  compare(bench, all, "swiglu", at::randn({positions, 2 * bench.sizes.at("feedForward")}), ops::swiglu,
          ops::swiglu_reference);
  const Tensor angles =
      ops::rope_angles(at::arange(positions, at::TensorOptions(bench.device())), width / heads, 1e4, at::kFloat);
  compare(
      bench, all, "rope", at::randn({positions, 3 * width}),
      [&](const Tensor& x) { return ops::rope(x, angles, 2 * heads); },
      [&](const Tensor& x) { return ops::rope_reference(x, angles, 2 * heads); });
  Offsets offsets{0};
  for (int64_t r = 0; r < bench.sizes.at("rows"); ++r) offsets.push_back(offsets.back() + bench.sizes.at("length") + 2);
  compare(
      bench, all, "attention", at::randn({positions, 3 * width}),
      [&](const Tensor& x) { return ops::ragged_attention(x, offsets, {heads, heads}); },
      [&](const Tensor& x) { return ops::ragged_attention_reference(x, offsets, {heads, heads}); });
}

}  // namespace

int main(int argc, char** argv) {
  Bench bench;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t equals = word.find('=');
    const std::string name = word.substr(0, equals), value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (bench.words.contains(name)) {
      bench.words[name] = value;
    } else if (bench.sizes.contains(name) && !value.empty()) {
      bench.sizes[name] = std::stoll(value);
    } else {
      std::fprintf(stderr, "device_bench: expected device, dtype or a size as name=value, received %s\n", word.c_str());
      return 2;
    }
  }
  try {
    std::map<std::string, Numbers> all{{"products", products(bench)}};
    const double ceiling = all["products"]["tflops"];
    all["encoder"] = encoder(bench, ceiling);
    all["training"] = training(bench, ceiling);
    all["refinement"] = refinement(bench, bench.sizes.at("rows"), bench.sizes.at("length"));
    all["one edit"] = refinement(bench, 1, std::min<int64_t>(64, bench.sizes.at("length")));
    kernels_of(bench, all);
    std::printf("{\n");
    for (const auto& [name, word] : bench.words) std::printf("  \"%s\": \"%s\",\n", name.c_str(), word.c_str());
    for (const auto& [name, size] : bench.sizes)
      std::printf("  \"%s\": %lld,\n", name.c_str(), static_cast<long long>(size));
    for (const auto& [name, numbers] : all) {
      std::printf("  \"%s\": {", name.c_str());
      const char* comma = "";
      for (const auto& [field, value] : numbers) {
        std::printf("%s\"%s\": %.6g", comma, field.c_str(), value);
        comma = ", ";
      }
      std::printf("},\n");
    }
    std::printf("  \"kernels\": %s\n}\n", kernels::cuda_library().table != nullptr ? "true" : "false");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "device_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
