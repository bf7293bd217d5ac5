// import_tensors: reads in the files' dtypes, computes in float32 (float64 for a float64 model), copies at the end.
#include "nn/weight_import.h"

#include <ATen/core/grad_mode.h>

#include <cmath>
#include <map>
#include <memory>
#include <numbers>

#include "error.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "nn/weights.h"
#include "random.h"

namespace merge::nn {
namespace {

using Use = WeightSource::Use;

[[noreturn]] void fail(const WeightSource& source, const std::string& what) {
  throw Error("ERR_CHECKPOINT",
              io::json_string(source.tensor) + " for " + io::json_string(source.target) + ": " + what);
}

// Rows for tokens that the file does not know: the mean of the others, and noise of a tenth of their spread.
Tensor new_rows(const Tensor& known, int64_t count, uint64_t which) {
  const Tensor mean = known.mean(0, /*keepdim=*/true);
  if (known.dim() < 2) return mean.expand({count});
  Tensor noise = at::empty({count, known.size(1)}, known.options().dtype(at::kFloat));
  const Random random(0, which, 0, Purpose::kNewRow);
  float* values = noise.mutable_data_ptr<float>();
  for (int64_t i = 0; i < noise.numel(); ++i) {
    const double radius = std::sqrt(-2.0 * std::log(random.uniform(2 * i)));
    values[i] = static_cast<float>(radius * std::cos(2.0 * std::numbers::pi * random.uniform(2 * i + 1)));
  }
  return mean + noise.to(known.scalar_type()) * (.1 * (known - mean).square().mean().sqrt());
}

// The tensor's part of a target with `total` rows, `begun` of which are there.
Tensor part_of(const WeightSource& source, const Tensor& read, int64_t total, int64_t begun, uint64_t which) {
  if (read.dim() == 0) fail(source, "expected rows, received a single number");
  if (source.use == Use::kWhole) return read;
  const int64_t rows = source.use == Use::kRows ? source.rows : total - begun;
  if (read.size(0) < rows) {
    fail(source, "expected at least " + std::to_string(rows) + " rows, received " + std::to_string(read.size(0)));
  }
  const Tensor known = read.narrow(0, 0, rows);
  return rows < total - begun ? at::cat({known, new_rows(known, total - begun - rows, which)}) : known;
}

}  // namespace

void import_tensors(const std::vector<Parameters::Entry>& entries, const std::vector<WeightSource>& sources) {
  at::NoGradGuard no_grad;
  std::map<std::string, std::unique_ptr<io::SafetensorsReader>> files;
  std::map<std::string, size_t> places;
  for (size_t e = 0; e < entries.size(); ++e) places[entries[e].name] = e;
  std::map<size_t, Tensor> filled;  // by place
  std::map<size_t, const WeightSource*> last;
  for (const WeightSource& source : sources) {
    const auto place = places.find(source.target);
    if (place == places.end()) fail(source, "this model has no such tensor");
    const Tensor& target = entries[place->second].tensor;
    auto& file = files[source.file];
    if (!file) file = std::make_unique<io::SafetensorsReader>(source.file);
    if (file->tensors().count(source.tensor) == 0) fail(source, "the file lacks this tensor");
    const Tensor read = read_tensor(*file, source.tensor).to(target.scalar_type());
    Tensor& whole = filled[place->second];
    last[place->second] = &source;
    if (source.use == Use::kAdded) {
      if (!whole.defined() || read.dim() != whole.dim() || read.size(0) < 1 ||
          read.sizes().slice(1) != whole.sizes().slice(1)) {
        fail(source, "expected rows of " + shape_text(target.sizes()) + ", received " + shape_text(read.sizes()));
      }
      whole = whole + read.narrow(0, 0, 1);
      continue;
    }
    const int64_t begun = whole.defined() ? whole.size(0) : 0;
    const Tensor part = part_of(source, read, target.size(0), begun, place->second);
    if (part.dim() != target.dim() || part.sizes().slice(1) != target.sizes().slice(1)) {
      fail(source, "expected rows of " + shape_text(target.sizes()) + ", received " + shape_text(read.sizes()));
    }
    whole = whole.defined() ? at::cat({whole, part}) : part;
  }
  for (const auto& [place, whole] : filled) {
    if (whole.sizes() == entries[place].tensor.sizes()) continue;
    fail(*last[place], "expected shape " + shape_text(entries[place].tensor.sizes()) + " in all, received " +
                           shape_text(whole.sizes()));
  }
  for (const auto& [place, whole] : filled) entries[place].tensor.detach().copy_(whole);
}

}  // namespace merge::nn
