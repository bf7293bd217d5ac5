// Weights: the one place where files meet tensors.
#include "nn/weights.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "error.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "nn/product.h"

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

// A piece of so many elements is converted at a time.
constexpr int64_t kPartElements = 1 << 23;

// NaN and infinity have all bits of their exponent set.
template <typename Word>
bool all_finite(const void* data, int64_t count, Word exponent) {
  const Word* words = static_cast<const Word*>(data);
  // No early end: the loop is one vector operation after another.
  Word found = 0;
  for (int64_t i = 0; i < count; ++i) found |= static_cast<Word>((words[i] & exponent) == exponent);
  return found == 0;
}

bool is_finite(const Tensor& values) {
  const Tensor host = values.to(at::kCPU).contiguous();
  const void* data = host.const_data_ptr();
  switch (host.scalar_type()) {
    case at::kDouble:
      return all_finite<uint64_t>(data, host.numel(), 0x7ff0000000000000);
    case at::kFloat:
      return all_finite<uint32_t>(data, host.numel(), 0x7f800000);
    case at::kHalf:
      return all_finite<uint16_t>(data, host.numel(), 0x7c00);
    case at::kBFloat16:
      return all_finite<uint16_t>(data, host.numel(), 0x7f80);
    default:
      throw Error("ERR_INTERNAL", "weights: a tensor of this dtype is never saved");
  }
}

// The rows of a parameter that a piece names, as one flat tensor.
Tensor rows_of(const Piece& piece, const std::vector<Parameters::Entry>& entries) {
  const auto found =
      std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.name == piece.parameter; });
  if (found == entries.end()) {
    throw Error("ERR_INPUT", io::json_string(piece.parameter) + ": this model has no such parameter");
  }
  const int64_t rows = found->tensor.size(0);
  if (piece.begin < 0 || piece.rows < 1 || piece.begin > rows || piece.rows > rows - piece.begin) {
    throw Error("ERR_SHAPE", io::json_string(piece.parameter) + ": expected rows within 0.." + std::to_string(rows) +
                                 ", received " + std::to_string(piece.rows) + " from " + std::to_string(piece.begin));
  }
  return found->tensor.detach().narrow(0, piece.begin, piece.rows);
}

// The rows with their updates, in float32 or wider; the rows themselves where there are none.
Tensor merged(const Piece& piece, const Tensor& rows, const std::vector<Parameters::Adapter>& adapters) {
  Tensor sum = rows;
  for (const auto& adapter : adapters) {
    const int64_t begin = std::max(piece.begin, adapter.begin);
    const int64_t end = std::min(piece.begin + piece.rows, adapter.begin + adapter.b.size(0));
    if (adapter.matrix != piece.parameter || begin >= end) continue;
    if (sum.is_same(rows)) sum = widen(rows).clone();
    // In float64, so that the sum is rounded once.
    const Tensor b = adapter.b.detach().narrow(0, begin - adapter.begin, end - begin).to(at::kDouble);
    sum.narrow(0, begin - piece.begin, end - begin).add_(at::mm(b, adapter.a.detach().to(at::kDouble)), adapter.scale);
  }
  return sum;
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
  if (!is_finite(values)) {
    throw Error("ERR_CHECKPOINT", io::json_string(name) + ": expected finite values, received NaN or infinity");
  }
  return values;
}

void read_pieces(const std::string& path, const std::vector<Piece>& pieces,
                 const std::vector<Parameters::Entry>& entries) {
  at::NoGradGuard no_grad;
  const io::SafetensorsReader reader(path);
  std::vector<std::pair<const io::TensorEntry*, Tensor>> plan;
  for (const Piece& piece : pieces) {
    const auto found = reader.tensors().find(piece.tensor);
    if (found == reader.tensors().end())
      throw Error("ERR_CHECKPOINT", io::json_string(piece.tensor) + ": the file lacks this tensor");
    const Tensor rows = rows_of(piece, entries);
    if (at::IntArrayRef(found->second.shape) != rows.sizes()) {
      throw Error("ERR_CHECKPOINT", io::json_string(piece.tensor) + ": expected shape " + shape_text(rows.sizes()) +
                                        ", received " + shape_text(found->second.shape));
    }
    dtype_of(piece.tensor, found->second.dtype);
    plan.emplace_back(&found->second, rows.view({-1}));
  }
  for (size_t i = 0; i < plan.size(); ++i) {
    const auto& [entry, rows] = plan[i];
    const auto dtype = dtype_of(pieces[i].tensor, entry->dtype);
    const uint64_t bytes = io::dtype_bytes(entry->dtype);
    for (int64_t begin = 0; begin < rows.numel(); begin += kPartElements) {
      const int64_t count = std::min(kPartElements, rows.numel() - begin);
      // Straight into the model where nothing is to be converted.
      const Tensor target = rows.narrow(0, begin, count);
      const bool is_same = target.device().is_cpu() && target.scalar_type() == dtype;
      const Tensor part = is_same ? target : at::empty({count}, dtype);
      reader.read(*entry, begin * bytes, count * bytes, part.mutable_data_ptr());
      if (!is_finite(part)) {
        throw Error("ERR_CHECKPOINT",
                    io::json_string(pieces[i].tensor) + ": expected finite values, received NaN or infinity");
      }
      if (!is_same) target.copy_(part);
    }
  }
}

void write_pieces(const std::string& path, const std::vector<Piece>& pieces, const std::string& dtype,
                  const std::vector<Parameters::Entry>& entries, const std::vector<Parameters::Adapter>& adapters) {
  at::NoGradGuard no_grad;
  std::vector<Tensor> host;  // parameters themselves where device and dtype agree, copies elsewhere
  std::vector<io::TensorView> views;
  for (const Piece& piece : pieces) {
    const Tensor rows = merged(piece, rows_of(piece, entries), adapters);
    if (!is_finite(rows)) {
      throw Error("ERR_NONFINITE",
                  io::json_string(piece.parameter) + ": expected finite values, received NaN or infinity");
    }
    host.push_back(rows.to(at::kCPU, dtype == "bfloat16" ? at::kBFloat16 : at::kFloat).contiguous());
    views.push_back(
        {piece.tensor, dtype_name(host.back().scalar_type()), host.back().sizes().vec(), host.back().const_data_ptr()});
  }
  // What the readers of Hugging Face's libraries look for.
  io::write_safetensors(path, views, {{"format", "pt"}});
}

void save_tensors(const std::string& path, const std::vector<Parameters::Entry>& entries) {
  std::vector<Tensor> host;  // keeps the copies alive while they are written
  std::vector<io::TensorView> views;
  for (const auto& entry : entries) {
    host.push_back(entry.tensor.detach().to(at::kCPU).contiguous());
    if (!is_finite(host.back())) {
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
