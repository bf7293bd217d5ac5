// safetensors: plain reads and writes, no mapping: a file that shrinks under us is an error, not a signal.
#include "io/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "error.h"
#include "io/json.h"

namespace merge::io {
namespace {

std::string name_of(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

const JsonObject* as_object(const Json& json) { return std::get_if<JsonObject>(&json.value); }

bool multiply(uint64_t a, uint64_t b, uint64_t* product) { return !__builtin_mul_overflow(a, b, product); }

}  // namespace

uint64_t dtype_bytes(const std::string& dtype) {
  static const std::map<std::string, uint64_t> bytes = {{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
                                                        {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U64", 8},  {"U32", 4},
                                                        {"U16", 2}, {"U8", 1},  {"BOOL", 1}};
  const auto found = bytes.find(dtype);
  if (found == bytes.end()) {
    throw std::invalid_argument("unknown dtype" + (dtype.size() > 16 ? std::string() : " " + json_string(dtype)));
  }
  return found->second;
}

SafetensorsReader::SafetensorsReader(const std::string& path) : path_(path) {
  // O_NONBLOCK: opening a FIFO must fail the test below, not wait for a writer.
  file_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file_ < 0) fail(std::strerror(errno));
  try {
    struct stat status{};
    if (fstat(file_, &status) != 0) fail(std::strerror(errno));
    if (!S_ISREG(status.st_mode)) fail("expected a regular file");
    const uint64_t size = static_cast<uint64_t>(status.st_size);
    unsigned char length_bytes[8];
    if (size < sizeof length_bytes)
      fail("expected at least 8 bytes, received " + std::to_string(size) + " (truncated?)");
    if (pread(file_, length_bytes, sizeof length_bytes, 0) != sizeof length_bytes)
      fail("could not read the header length");
    uint64_t length = 0;
    for (int i = 7; i >= 0; --i) length = length << 8 | length_bytes[i];
    if (length > kMaxHeaderBytes)
      fail("header length " + std::to_string(length) + " exceeds " + std::to_string(kMaxHeaderBytes));
    if (length > size - 8) fail("header of " + std::to_string(length) + " bytes goes beyond the file (truncated?)");
    std::string header(length, '\0');
    if (pread(file_, header.data(), length, 8) != static_cast<ssize_t>(length)) fail("could not read the header");
    data_start_ = 8 + length;
    parse(header, size - data_start_);
  } catch (...) {
    close(file_);
    throw;
  }
}

SafetensorsReader::~SafetensorsReader() { close(file_); }

void SafetensorsReader::fail(const std::string& what) const {
  throw Error("ERR_CHECKPOINT", name_of(path_) + ": " + what);
}

void SafetensorsReader::parse(const std::string& header, uint64_t data_bytes) {
  if (header.empty() || header[0] != '{') fail("expected a header that begins with '{'");
  Json json;
  try {
    json = parse_json(header, {.depth = 4, .values = kMaxHeaderValues});
  } catch (const std::invalid_argument& error) {
    fail(error.what());
  }
  const JsonObject& object = *as_object(json);
  if (object.size() > kMaxTensors) fail("expected at most " + std::to_string(kMaxTensors) + " tensors");
  for (const auto& [name, value] : object) {
    if (name.empty() || name.size() > kMaxNameBytes) {
      fail("expected tensor names of 1.." + std::to_string(kMaxNameBytes) + " bytes");
    }
    const JsonObject* fields = as_object(value);
    if (!fields) fail(json_string(name) + ": expected an object");
    if (name == "__metadata__") {
      for (const auto& [key, text] : *fields) {
        const auto* word = std::get_if<std::string>(&text.value);
        if (!word) fail("__metadata__: expected text values");
        metadata_[key] = *word;
      }
      continue;
    }
    if (fields->size() != 3 || !fields->count("dtype") || !fields->count("shape") || !fields->count("data_offsets")) {
      fail(json_string(name) + ": expected dtype, shape and data_offsets");
    }
    const auto* dtype = std::get_if<std::string>(&fields->at("dtype").value);
    const auto* shape = std::get_if<JsonArray>(&fields->at("shape").value);
    const auto* offsets = std::get_if<JsonArray>(&fields->at("data_offsets").value);
    if (!dtype || !shape || !offsets || offsets->size() != 2) fail(json_string(name) + ": a field has the wrong kind");
    if (shape->size() > kMaxDimensions)
      fail(json_string(name) + ": expected at most " + std::to_string(kMaxDimensions) + " dimensions");
    TensorEntry entry;
    entry.dtype = *dtype;
    uint64_t bytes = 0;
    try {
      bytes = dtype_bytes(*dtype);
    } catch (const std::invalid_argument& error) {
      fail(json_string(name) + ": " + error.what());
    }
    for (const Json& size : *shape) {
      const auto* dimension = std::get_if<uint64_t>(&size.value);
      if (!dimension || *dimension > static_cast<uint64_t>(INT64_MAX))
        fail(json_string(name) + ": a dimension is not a size");
      entry.shape.push_back(static_cast<int64_t>(*dimension));
    }
    // A zero dimension makes the product 0 whatever the others are, so it is looked for first.
    const bool is_empty = std::find(entry.shape.begin(), entry.shape.end(), 0) != entry.shape.end();
    for (const int64_t dimension : entry.shape) {
      if (!is_empty && !multiply(bytes, static_cast<uint64_t>(dimension), &bytes))
        fail(json_string(name) + ": the shape overflows");
    }
    if (is_empty) bytes = 0;
    const auto* begin = std::get_if<uint64_t>(&(*offsets)[0].value);
    const auto* end = std::get_if<uint64_t>(&(*offsets)[1].value);
    if (!begin || !end || *begin > *end || *end > data_bytes) {
      fail(json_string(name) + ": data_offsets lie outside the file's " + std::to_string(data_bytes) +
           " bytes of data (truncated?)");
    }
    if (*end - *begin != bytes) {
      fail(json_string(name) + ": expected " + std::to_string(bytes) + " bytes, received " +
           std::to_string(*end - *begin));
    }
    entry.begin = *begin;
    entry.end = *end;
    tensors_.emplace(name, std::move(entry));
  }
  // Sorted by where they begin, the tensors must cover the data without a gap or an overlap.
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const auto& [name, entry] : tensors_) ranges.emplace_back(entry.begin, entry.end);
  std::sort(ranges.begin(), ranges.end());
  uint64_t covered = 0;
  for (const auto& [begin, end] : ranges) {
    if (begin != covered) fail("tensors overlap or leave a hole at byte " + std::to_string(covered));
    covered = end;
  }
  if (covered != data_bytes) {
    fail("expected " + std::to_string(covered) + " bytes of data, received " + std::to_string(data_bytes));
  }
}

void SafetensorsReader::read(const TensorEntry& entry, uint64_t offset, uint64_t bytes, void* destination) const {
  auto* target = static_cast<char*>(destination);
  const uint64_t begin = data_start_ + entry.begin + offset;
  for (uint64_t done = 0; done < bytes;) {
    const size_t part = static_cast<size_t>(std::min<uint64_t>(bytes - done, 1 << 30));
    const ssize_t count = pread(file_, target + done, part, static_cast<off_t>(begin + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail(count < 0 ? std::strerror(errno) : "the file ended while it was read");
    done += static_cast<uint64_t>(count);
  }
}

void write_safetensors(const std::string& path, const std::vector<TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::string header = "{";
  if (!metadata.empty()) {
    header += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata)
      header += (header.back() == '{' ? "" : ",") + json_string(key) + ":" + json_string(value);
    header += "}";
  }
  uint64_t begin = 0;
  std::vector<uint64_t> sizes;
  for (const TensorView& tensor : tensors) {
    uint64_t bytes = dtype_bytes(tensor.dtype);
    header += (header.size() > 1 ? "," : "") + json_string(tensor.name) + ":{\"dtype\":" + json_string(tensor.dtype) +
              ",\"shape\":[";
    for (const int64_t size : tensor.shape) {
      header += (header.back() == '[' ? "" : ",") + std::to_string(size);
      bytes *= static_cast<uint64_t>(size);
    }
    header += "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(begin + bytes) + "]}";
    begin += bytes;
    sizes.push_back(bytes);
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8, ' ');  // data starts at a multiple of 8

  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0) throw Error("ERR_CHECKPOINT", name_of(path) + ": " + std::strerror(errno));
  const auto write_all = [&](const void* data, uint64_t size) {
    const auto* bytes = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t count = write(file, bytes, static_cast<size_t>(std::min<uint64_t>(size, 1 << 30)));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw Error("ERR_CHECKPOINT", name_of(path) + ": " + std::strerror(errno));
      bytes += count;
      size -= static_cast<uint64_t>(count);
    }
  };
  try {
    unsigned char length[8];
    for (int i = 0; i < 8; ++i) length[i] = static_cast<unsigned char>(header.size() >> (8 * i));
    write_all(length, sizeof length);
    write_all(header.data(), header.size());
    for (size_t i = 0; i < tensors.size(); ++i) write_all(tensors[i].data, sizes[i]);
    if (fsync(file) != 0) throw Error("ERR_CHECKPOINT", name_of(path) + ": " + std::strerror(errno));
  } catch (...) {
    close(file);
    unlink(path.c_str());
    throw;
  }
  if (close(file) != 0) {
    const int reason = errno;
    unlink(path.c_str());
    throw Error("ERR_CHECKPOINT", name_of(path) + ": " + std::strerror(reason));
  }
}

}  // namespace merge::io
