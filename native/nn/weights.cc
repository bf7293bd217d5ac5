// Weights: the one place where files meet tensors.
#include "nn/weights.h"

#include <ATen/core/grad_mode.h>

#include "error.h"
#include "io/json.h"
#include "io/safetensors.h"

namespace merge::nn {
namespace {

const char* dtype_name(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble:
      return "F64";
    case at::kFloat:
      return "F32";
    case at::kHalf:
      return "F16";
    case at::kBFloat16:
      return "BF16";
    default:
      throw Error("ERR_INTERNAL", "weights: a tensor of this dtype is never saved");
  }
}

at::ScalarType dtype_of(const std::string& name, const std::string& dtype) {
  if (dtype == "F64") return at::kDouble;
  if (dtype == "F32") return at::kFloat;
  if (dtype == "F16") return at::kHalf;
  if (dtype == "BF16") return at::kBFloat16;
  throw Error("ERR_CHECKPOINT", io::json_string(name) + ": expected a floating-point dtype, received " + dtype);
}

}  // namespace

std::string shape_text(at::IntArrayRef shape) {
  std::string out = "[";
  for (const int64_t size : shape) out += (out.size() > 1 ? ", " : "") + std::to_string(size);
  return out + "]";
}

Tensor read_tensor(const io::SafetensorsReader& reader, const std::string& name) {
  const io::TensorEntry& entry = reader.tensors().at(name);
  Tensor values = at::empty(entry.shape, dtype_of(name, entry.dtype));
  reader.read(entry, values.mutable_data_ptr());
  if (!at::isfinite(values).all().item<bool>()) {
    throw Error("ERR_CHECKPOINT", io::json_string(name) + ": expected finite values, received NaN or infinity");
  }
  return values;
}

void save_tensors(const std::string& path, const std::vector<Parameters::Entry>& entries) {
  std::vector<Tensor> host;  // keeps the copies alive while they are written
  std::vector<io::TensorView> views;
  for (const auto& entry : entries) {
    host.push_back(entry.tensor.detach().to(at::kCPU).contiguous());
    if (!at::isfinite(host.back()).all().item<bool>()) {
      throw Error("ERR_NONFINITE", io::json_string(entry.name) + ": expected finite values, received NaN or infinity");
    }
    views.push_back(
        {entry.name, dtype_name(host.back().scalar_type()), host.back().sizes().vec(), host.back().const_data_ptr()});
  }
  io::write_safetensors(path, views, {{"format", "merge-lm"}});
}

void load_tensors(const std::string& path, const std::vector<Parameters::Entry>& entries) {
  at::NoGradGuard no_grad;
  const io::SafetensorsReader reader(path);
  for (const auto& [name, entry] : reader.tensors()) {
    const bool known = std::any_of(entries.begin(), entries.end(), [&](const auto& each) { return each.name == name; });
    if (!known) throw Error("ERR_CHECKPOINT", io::json_string(name) + ": this model has no such tensor");
  }
  std::vector<Tensor> loaded;
  for (const auto& entry : entries) {
    const auto found = reader.tensors().find(entry.name);
    if (found == reader.tensors().end())
      throw Error("ERR_CHECKPOINT", io::json_string(entry.name) + ": the file lacks this tensor");
    if (at::IntArrayRef(found->second.shape) != entry.tensor.sizes()) {
      throw Error("ERR_CHECKPOINT", io::json_string(entry.name) + ": expected shape " +
                                        shape_text(entry.tensor.sizes()) + ", received " +
                                        shape_text(found->second.shape));
    }
    loaded.push_back(read_tensor(reader, entry.name));
  }
  for (size_t i = 0; i < entries.size(); ++i) entries[i].tensor.detach().copy_(loaded[i]);
}

}  // namespace merge::nn
