// Weights: named tensors to and from a safetensors file.
#pragma once

#include <string>
#include <vector>

#include "io/safetensors.h"
#include "nn/parameters.h"

namespace merge::nn {

// Copies to the host and writes; the file must not exist yet. Weights that are not finite are never written.
void save_tensors(const std::string& path, const std::vector<Parameters::Entry>& entries);

// Fills the tensors from the file, all or none: names and shapes must agree exactly and every value must be finite.
// Files may hold F64, F32, F16 or BF16; values are converted to the tensor's own dtype.
void load_tensors(const std::string& path, const std::vector<Parameters::Entry>& entries);

// A tensor of a file of another layout, and the rows of a parameter that it is: `rows` of them from `begin` on
// (elements, for a vector).
struct Piece {
  std::string tensor;
  std::string parameter;
  int64_t begin, rows;
};

// Fills rows of parameters from the file's tensors, a part at a time, so that no tensor is ever held twice. Tensors of
// the file that no piece names stay unread. A piece that does not fit is found before anything is changed; a value that
// is not finite may be found after some were.
void read_pieces(const std::string& path, const std::vector<Piece>& pieces,
                 const std::vector<Parameters::Entry>& entries);

// Writes rows of parameters as tensors of a new file, in "float32" or "bfloat16", with the adapters' updates added.
// Weights that are not finite are never written.
void write_pieces(const std::string& path, const std::vector<Piece>& pieces, const std::string& dtype,
                  const std::vector<Parameters::Entry>& entries, const std::vector<Parameters::Adapter>& adapters = {});
// One tensor of a file on the host, in the file's dtype; it must be there. Throws ERR_CHECKPOINT unless it is
// floating-point and finite.
Tensor read_tensor(const io::SafetensorsReader& reader, const std::string& name);

// A shape as messages show it: [3, 4].
std::string shape_text(at::IntArrayRef shape);

}  // namespace merge::nn
