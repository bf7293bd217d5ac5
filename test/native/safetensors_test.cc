// The safetensors reader against hostile files: every one ends in a typed error with one short line, never in a crash.
// Numbers in comments are classes of damage: 1-21 framing, 22-36 JSON, 37-54 geometry.
#define MERGE_CHECK_MAIN
#include "../../native/io/safetensors.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <random>

#include "../../native/error.h"
#include "check.h"

using merge::Error;
using merge::io::SafetensorsReader;

namespace {

std::string folder() {
  static const std::string path = [] {
    char name[] = "/tmp/safetensors_test.XXXXXX";
    return std::string(mkdtemp(name));
  }();
  return path;
}

std::string file_with(const std::string& bytes) {
  const std::string path = folder() + "/damaged.safetensors";
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) std::abort();
  std::fclose(file);
  return path;
}

std::string length_of(uint64_t length) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(length >> (8 * i));
  return bytes;
}

std::string framed(const std::string& header, const std::string& data = "") {
  return length_of(header.size()) + header + data;
}

// What opening says: "" where the file is accepted, else the error's code; anything untyped escapes and fails the test.
std::string code_at(const std::string& path, std::string* message = nullptr) {
  try {
    const SafetensorsReader reader(path);
    for (const auto& [name, entry] : reader.tensors()) {
      std::vector<char> values(entry.end - entry.begin);
      reader.read(entry, values.data());
    }
    return "";
  } catch (const Error& error) {
    if (message) *message = error.what();
    return error.code;
  }
}

std::string code_of(const std::string& bytes) { return code_at(file_with(bytes)); }

// Refused with ERR_CHECKPOINT and a message that is short, printable and names the file.
bool refused(const std::string& bytes) {
  std::string message;
  const std::string code = code_at(file_with(bytes), &message);
  bool is_printable = true;
  for (const char c : message) is_printable = is_printable && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
  const bool holds = code == "ERR_CHECKPOINT" && is_printable && message.size() < 1200 &&
                     message.rfind("damaged.safetensors: ", 0) == 0;
  if (!holds) std::printf("  received '%s': %.300s\n", code.c_str(), message.c_str());
  return holds;
}

bool refused_header(const std::string& header, const std::string& data = "") { return refused(framed(header, data)); }

std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

const std::string kPair = R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
const std::string kData("\x01\x02\x03\x04\x05\x06\x07\x08", 8);

}  // namespace

TEST(accepts_what_is_well_formed) {
  CHECK(code_of(framed(R"({"a":)" + kPair + "}", kData)) == "");
  CHECK(code_of(framed(R"({"a":)" + kPair + "}   \n ", kData)) == "");  // 15 spaces after it
  CHECK(code_of(framed(R"({"__metadata__":{"format":"pt"},"a":)" + kPair + "}", kData)) == "");
  CHECK(code_of(framed(R"({"a":)" + tensor(R"("F32")", "[]", "[0,4]") + "}", "abcd")) == "");  // 42 rank 0
  CHECK(code_of(framed(R"({"a":)" + tensor(R"("F32")", "[0,9]", "[0,0]") + "}")) == "");       // 43 a zero dimension
  CHECK(code_of(framed(
            R"({"a":)" + tensor(R"("U8")", "[4]", "[4,8]") + R"(,"b":)" + tensor(R"("U8")", "[4]", "[0,4]") + "}",
            kData)) == "");  // 52 another order
  CHECK(code_of(framed("{}")) == "");
  CHECK(code_of(framed(R"({"\u00e9\ud83d\ude00":)" + kPair + "}", kData)) == "");
}

TEST(reads_the_bytes_of_an_odd_address) {  // 54
  const std::string header =
      R"({"a":)" + tensor(R"("U8")", "[1]", "[0,1]") + R"(,"b":)" + tensor(R"("F32")", "[1]", "[1,5]") + "}";
  const float value = 2.5f;
  std::string data("x");
  data.append(reinterpret_cast<const char*>(&value), 4);
  const SafetensorsReader reader(file_with(framed(header, data)));
  float got = 0;
  reader.read(reader.tensors().at("b"), &got);
  CHECK(got == value);
}

TEST(framing) {
  for (size_t size = 0; size < 8; ++size) CHECK(refused(std::string(size, '\0')));  // 1, 2
  const std::string file = framed(R"({"a":)" + kPair + "}", kData);
  const uint64_t one = 1;
  for (const uint64_t length : {uint64_t{0}, one, file.size() - 8 + 1, one << 63, ~uint64_t{0}, ~uint64_t{0} - 7,
                                (one << 53) + 1, (one << 24) + 1}) {  // 3 to 10
    CHECK(refused(length_of(length) + file.substr(8)));
  }
  for (size_t size = 8; size < file.size(); ++size) CHECK(refused(file.substr(0, size)));  // 11, 12
  const std::string header = R"({"a":)" + kPair + "}";
  for (const char* before : {"\xef\xbb\xbf", " ", "[", "\"", "7", "\n"})
    CHECK(refused_header(before + header, kData));              // 13, 14
  CHECK(refused_header(header + std::string(3, '\0'), kData));  // 16
  CHECK(refused_header(header + "x", kData));
  CHECK(refused_header(header + header, kData));
  CHECK(refused("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"));  // 17
  CHECK(refused("<!DOCTYPE html><html><body>404: Not Found</body></html>"));                  // 18
  CHECK(refused(std::string("PK\x03\x04\x14\0\0\0\0\0", 10) + std::string(100, 'z')));        // 19
  CHECK(refused(std::string("\x80\x02}q\0(X\x04\0\0\0", 11) + std::string(100, 'z')));
}

TEST(a_sparse_file_beyond_the_header_cap) {  // 10
  const std::string path = file_with(length_of((16 << 20) + 1));
  CHECK(truncate(path.c_str(), 64 << 20) == 0);
  CHECK(code_at(path) == "ERR_CHECKPOINT");
}

TEST(paths_that_are_no_files) {  // 20
  const std::string fifo = folder() + "/fifo";
  CHECK(mkfifo(fifo.c_str(), 0600) == 0);
  for (const std::string& path : {folder(), fifo, std::string("/dev/zero"), std::string("/proc/self/mem"),
                                  folder() + "/absent", std::string("")}) {
    CHECK(code_at(path) == "ERR_CHECKPOINT");
  }
  unlink(fifo.c_str());
}

TEST(text_that_is_not_json) {
  for (const char* bytes :
       {"\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xe2\x82"}) {  // 22
    CHECK(refused_header("{\"" + std::string(bytes) + "\":" + kPair + "}", kData));
  }
  for (const char* name :
       {R"(\ud800)", R"(\udc00)", R"(\ud800\u0041)", R"(\ud800\ud800)", R"(\u12)", R"(\x41)", "\n", "\t"}) {  // 23
    CHECK(refused_header("{\"" + std::string(name) + "\":" + kPair + "}", kData));
  }
  for (const char* whole : {"null", "true", "[]", "\"\"", "", "{", "}", "{]", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{,}",
                            "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "{'a':1}", "{\"a\":nul}", "{/**/}"}) {  // 36
    CHECK(refused_header(whole));
  }
}

TEST(nesting_beyond_any_stack) {  // 24
  for (const size_t depth : {size_t{100000}, size_t{1000000}}) {
    CHECK(refused_header("{\"a\":" + std::string(depth, '[')));
    CHECK(refused_header("{\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}"));
    std::string objects;
    for (size_t i = 0; i < depth; ++i) objects += "{\"a\":";
    CHECK(refused_header(objects));
  }
}

TEST(keys_that_stand_twice) {  // 25 to 27
  CHECK(refused_header(R"({"a":)" + kPair + R"(,"a":)" + kPair + "}", kData));
  CHECK(refused_header(R"({"a":)" + kPair + R"(,"\u0061":)" + kPair + "}", kData));
  CHECK(refused_header(R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", kData));
  CHECK(refused_header(R"({"__metadata__":{},"__metadata__":{},"a":)" + kPair + "}", kData));
  CHECK(refused_header(R"({"__metadata__":{"k":"1","k":"2"},"a":)" + kPair + "}", kData));
}

TEST(names) {
  for (const char* name :
       {"__proto__", "constructor", "prototype", "hasOwnProperty", "toString"}) {  // 28: only names here
    CHECK(code_of(framed("{\"" + std::string(name) + "\":" + kPair + "}", kData)) == "");
  }
  CHECK(refused_header("{\"\":" + kPair + "}", kData));  // 35
  CHECK(refused_header("{\"" + std::string(1 << 20, 'a') + "\":" + kPair + "}", kData));
  CHECK(refused_header("{\"" + std::string(1 << 20, 'a') + "\":7}"));
  CHECK(refused_header("{\"" + std::string(513, 'a') + "\":" + kPair + "}", kData));
  CHECK(code_of(framed("{\"" + std::string(512, 'a') + "\":" + kPair + "}", kData)) == "");
  // Names that would paint a terminal show up escaped in the message: its dtype is unknown, so the name is said.
  for (const char* name : {R"(\u001b[2J)", R"(\u007f)", R"(\u0000)", R"(../../etc/passwd)", R"(\u009b2J)"}) {
    CHECK(refused_header("{\"" + std::string(name) + "\":" + tensor(R"("F33")", "[2]", "[0,8]") + "}", kData));
  }
}

TEST(fields_missing_unknown_or_of_another_kind) {
  CHECK(refused_header(R"({"a":{"shape":[2],"data_offsets":[0,8]}})", kData));  // 29
  CHECK(refused_header(R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", kData));
  CHECK(refused_header(R"({"a":{"dtype":"F32","shape":[2]}})", kData));
  CHECK(refused_header(R"({"a":{}})"));
  CHECK(refused_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}})", kData));  // 30
  CHECK(refused_header(R"({"a":{"dtype":"F32","shape":[2],"offsets":[0,8]}})", kData));
  const std::vector<std::string> kinds = {"null", "true", "7", "\"2\"", "[\"2\"]", "[null]", "[[2]]", "{}", "[true]"};
  for (const std::string& kind : kinds) {  // 31
    CHECK(refused_header(R"({"a":)" + kind + "}", kData));
    CHECK(refused_header(R"({"a":)" + tensor(kind, "[2]", "[0,8]") + "}", kData));
    CHECK(refused_header(R"({"a":)" + tensor(R"("F32")", kind, "[0,8]") + "}", kData));
    CHECK(refused_header(R"({"a":)" + tensor(R"("F32")", "[2]", kind) + "}", kData));
  }
  for (const char* metadata :
       {"7", "[]", "\"text\"", "null", R"({"k":1})", R"({"k":null})", R"({"k":{"l":"m"}})"}) {  // 33
    CHECK(refused_header(R"({"__metadata__":)" + std::string(metadata) + R"(,"a":)" + kPair + "}", kData));
  }
}

TEST(numbers_that_are_no_sizes) {  // 32
  const std::string huge(400, '9');
  for (const std::string& number :
       {std::string("9007199254740993"), std::string("9223372036854775808"), std::string("18446744073709551616"), huge,
        std::string("1e3"), std::string("1.5"), std::string("-0"), std::string("-1"), std::string("NaN"),
        std::string("Infinity"), std::string("02"), std::string("+2"), std::string("0x2"), std::string("2.")}) {
    CHECK(refused_header(R"({"a":)" + tensor(R"("F32")", "[" + number + "]", "[0,8]") + "}", kData));
    CHECK(refused_header(R"({"a":)" + tensor(R"("F32")", "[2]", "[" + number + ",8]") + "}", kData));  // 46
    CHECK(refused_header(R"({"a":)" + tensor(R"("F32")", "[2]", "[0," + number + "]") + "}", kData));
  }
}

TEST(more_of_it_than_any_model_has) {
  const auto start = std::chrono::steady_clock::now();
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  std::string many = "{", same = "{", bare = "{", numbers = R"({"a":{"dtype":"F32","shape":[)", lists = "{\"a\":[";
  for (int i = 0; i < 1000000; ++i) {
    const std::string name = (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":";
    if (i < 250000) many += name + tensor(R"("U8")", "[0]", "[0,0]");
    if (i < 100000) same += name + tensor(R"("U8")", "[8]", "[0,8]");
    bare += name + "7";
  }
  for (int i = 0; i < 8000000; ++i) numbers += i > 0 ? ",1" : "1";
  for (int i = 0; i < 5000000; ++i) lists += i > 0 ? ",[]" : "[]";
  CHECK(refused_header(many + "}"));  // 34
  CHECK(refused_header(bare + "}"));
  CHECK(refused_header(same + "}", kData));                               // 51
  CHECK(refused_header(numbers + R"(],"data_offsets":[0,8]}})", kData));  // 44
  CHECK(refused_header(lists + "]}", kData));
  CHECK(refused_header(R"({"__metadata__":{"k":")" + std::string(15 << 20, 'k') + R"("},"a":)" + kPair + "}"));
  getrusage(RUSAGE_SELF, &after);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("  %.2f s, resident memory + %ld MiB\n", seconds, (after.ru_maxrss - before.ru_maxrss) / 1024);
#ifndef __SANITIZE_ADDRESS__                               // which keeps freed memory for a while
  CHECK(after.ru_maxrss - before.ru_maxrss < 320 * 1024);  // 1 GiB without a cap on values; our own texts take 100 MiB
#endif
}

TEST(geometry) {
  const auto entry = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"a":)" + tensor("\"" + dtype + "\"", shape, offsets) + "}";
  };
  for (const char* dtype : {"F33", "f32", "F4", "", "float32", "F8_E4M3", "C64"}) {  // 37, 38
    CHECK(refused_header(entry(dtype, "[2]", "[0,8]"), kData));
  }
  CHECK(refused_header(entry(std::string(1 << 20, 'F'), "[2]", "[0,8]"), kData));
  CHECK(refused_header(entry("U8", "[4294967296,4294967297]", "[0,8]"), kData));  // 39
  CHECK(refused_header(entry("U8", "[4294967296,4294967296]", "[0,0]")));         // 40
  CHECK(refused_header(entry("F64", "[2305843009213693952]", "[0,0]")));          // 41
  CHECK(refused_header(entry("F32", "[4611686018427387906]", "[0,8]"), kData));
  CHECK(refused_header(entry("F32", "[0,9223372036854775808]", "[0,0]")));
  CHECK(refused_header(entry("F32", "[0]", "[0,8]"), kData));  // 43
  CHECK(refused_header(entry("F32", "[]", "[0,8]"), kData));   // 42
  for (const int dimensions : {9, 65, 10000}) {                // 44
    std::string shape = "[2";
    for (int i = 1; i < dimensions; ++i) shape += ",1";
    CHECK(refused_header(entry("F32", shape + "]", "[0,8]"), kData));
  }
  for (const char* offsets :
       {"[8,0]", "[]", "[8]", "[0,8,8]", "[0,9]", "[8,16]", "[0,4]", "[0,18446744073709551615]"}) {
    CHECK(refused_header(entry("F32", "[2]", offsets), kData));  // 45, 47, 48, 53
  }
  CHECK(refused_header(entry("F32", "[3]", "[0,8]"), kData));
  CHECK(refused_header(entry("F32", "[2]", "[0,8]"), kData + "polyglot"));  // 49
  const auto two = [](const char* first, const char* second) {
    return R"({"a":)" + tensor(R"("U8")", "[4]", first) + R"(,"b":)" + tensor(R"("U8")", "[4]", second) + "}";
  };
  CHECK(refused_header(two("[0,4]", "[5,9]"), kData + "x"));  // 50
  CHECK(refused_header(two("[1,5]", "[5,9]"), kData + "x"));
  CHECK(refused_header(two("[0,4]", "[3,7]"), kData));  // 51
  CHECK(refused_header(two("[0,4]", "[0,4]"), kData.substr(0, 4)));
}

TEST(random_damage_is_refused_or_leaves_a_file_that_holds_together) {
  const std::string header = R"({"__metadata__":{"format":"merge-lm"},"encoder.blocks.0.attention.qkv.weight":)" +
                             tensor(R"("F32")", "[2,4]", "[0,32]") + R"(,"inserter.bias":)" +
                             tensor(R"("BF16")", "[4]", "[32,40]") + "}";
  const std::string file = framed(header, std::string(40, 'd'));
  std::mt19937 random(7);
  int accepted = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = file;
    const int bytes = i < 1000 ? 1 : 1 + static_cast<int>(random() % 6);
    for (int k = 0; k < bytes; ++k) damaged[random() % (8 + header.size())] = static_cast<char>(random());
    const std::string code = code_of(damaged);
    CHECK(code == "" || code == "ERR_CHECKPOINT");
    accepted += code.empty();
  }
  std::printf("  %d of 2000 accepted (a name or a text of the metadata changed)\n", accepted);
}

TEST(no_file_descriptor_is_left) {
  const auto open_files = [] {
    int count = 0;
    for (int file = 0; file < 1024; ++file) count += fcntl(file, F_GETFD) != -1;
    return count;
  };
  const int before = open_files();
  for (int i = 0; i < 50; ++i) {
    CHECK(code_of(framed("{\"a\":7}")) == "ERR_CHECKPOINT");
    CHECK(code_of(framed(R"({"a":)" + kPair + "}", kData)) == "");
  }
  CHECK(open_files() == before);
}

TEST(a_file_that_shrinks_under_its_reader) {  // 62
  const std::string path = file_with(framed(R"({"a":)" + kPair + "}", kData));
  const SafetensorsReader reader(path);
  CHECK(truncate(path.c_str(), 60) == 0);
  char values[8];
  std::string code;
  try {
    reader.read(reader.tensors().at("a"), values);
  } catch (const Error& error) {
    code = error.code;
  }
  CHECK(code == "ERR_CHECKPOINT");
}

TEST(what_is_written_is_read_and_never_replaces_a_file) {
  const std::string path = folder() + "/written.safetensors";
  unlink(path.c_str());
  const float values[6] = {1, 2, 3, 4, 5, 6};
  const std::vector<merge::io::TensorView> views = {
      {"b", "F32", {2, 3}, values}, {"empty", "F32", {0, 7}, values}, {"a \"quoted\"\n", "F32", {}, values + 5}};
  merge::io::write_safetensors(path, views, {{"format", "merge-lm"}});
  {
    const SafetensorsReader reader(path);
    CHECK(reader.tensors().size() == 3);
    CHECK(reader.metadata().at("format") == "merge-lm");
    float read[6] = {};
    reader.read(reader.tensors().at("b"), read);
    CHECK(std::memcmp(read, values, sizeof values) == 0);
    reader.read(reader.tensors().at("a \"quoted\"\n"), read);
    CHECK(read[0] == 6);
    CHECK((reader.tensors().at("empty").shape == std::vector<int64_t>{0, 7}));
  }
  for (const std::string& taken : {path, folder() + "/no/such/folder", std::string("/dev/full/x")}) {
    std::string code;
    try {
      merge::io::write_safetensors(taken, views, {});
    } catch (const Error& error) {
      code = error.code;
    }
    CHECK(code == "ERR_CHECKPOINT");
  }
  unlink(path.c_str());
  unlink((folder() + "/damaged.safetensors").c_str());
  rmdir(folder().c_str());
}
