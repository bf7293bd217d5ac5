// safetensors: our own checked reader and writer. A file is 8 bytes of header length, a JSON header, the data.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace merge::io {

// Refused beyond these: a header of hostile size must not decide how much memory or time is spent.
inline constexpr uint64_t kMaxHeaderBytes = 16 << 20;
inline constexpr size_t kMaxTensors = 65536;
inline constexpr size_t kMaxDimensions = 8;
inline constexpr size_t kMaxNameBytes = 512;
inline constexpr size_t kMaxHeaderValues = 1 << 20;  // 16 for each tensor

struct TensorEntry {
  std::string dtype;  // as in the header: F64 F32 F16 BF16 I64 I32 I16 I8 U64 U32 U16 U8 BOOL
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // bytes from the start of the data
  uint64_t end = 0;
};

// Bytes of one element; throws for an unknown dtype.
uint64_t dtype_bytes(const std::string& dtype);

// An open file whose header holds together: names unique, ranges inside the file, gapless and without overlap, sizes
// equal to shape times dtype. Everything else throws ERR_CHECKPOINT with the file's name and what is wrong.
class SafetensorsReader {
 public:
  explicit SafetensorsReader(const std::string& path);
  ~SafetensorsReader();
  SafetensorsReader(const SafetensorsReader&) = delete;
  SafetensorsReader& operator=(const SafetensorsReader&) = delete;

  const std::map<std::string, TensorEntry>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Reads one tensor's bytes into memory of exactly its size.
  void read(const TensorEntry& entry, void* destination) const { read(entry, 0, entry.end - entry.begin, destination); }
  // Reads `bytes` of them from `offset` on; both must lie within the tensor.
  void read(const TensorEntry& entry, uint64_t offset, uint64_t bytes, void* destination) const;

 private:
  [[noreturn]] void fail(const std::string& what) const;
  void parse(const std::string& header, uint64_t data_bytes);

  std::string path_;
  int file_ = -1;
  uint64_t data_start_ = 0;
  std::map<std::string, TensorEntry> tensors_;
  std::map<std::string, std::string> metadata_;
};

struct TensorView {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  const void* data;
};

// Writes a new file and fsyncs it; throws ERR_CHECKPOINT (with the system's reason) and removes what it began.
// The caller renames it into place: see src/training/checkpoint.ts.
void write_safetensors(const std::string& path, const std::vector<TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace merge::io
