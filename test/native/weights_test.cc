// Weights of other layouts: rows of parameters as tensors of a file, both ways, and what is refused.
#define MERGE_CHECK_MAIN
#include "nn/weights.h"

#include <ATen/core/grad_mode.h>
#include <unistd.h>

#include <functional>

#include "check.h"
#include "error.h"
#include "io/safetensors.h"

using namespace merge;
using nn::Parameters;
using nn::Piece;

namespace {

std::string path(const std::string& name) {
  static const std::string folder = [] {
    char made[] = "/tmp/weights_test.XXXXXX";
    return std::string(mkdtemp(made));
  }();
  unlink((folder + "/" + name).c_str());
  return folder + "/" + name;
}

std::vector<Parameters::Entry> entries(at::ScalarType dtype) {
  at::manual_seed(1);
  return {{"qkv", at::randn({8, 3}, dtype)}, {"bias", at::randn({5}, dtype)}};
}

const std::vector<Piece> kPieces{{"q", "qkv", 0, 4}, {"k", "qkv", 4, 2}, {"v", "qkv", 6, 2}, {"b", "bias", 0, 5}};

}  // namespace

TEST(rows_go_out_and_come_in_again) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const auto given = entries(dtype);
    const std::string file = path("rows.safetensors");
    nn::write_pieces(file, kPieces, dtype == at::kFloat ? "float32" : "bfloat16", given);
    const io::SafetensorsReader reader(file);
    CHECK(reader.tensors().at("k").shape == (std::vector<int64_t>{2, 3}));
    CHECK(reader.tensors().at("k").dtype == (dtype == at::kFloat ? "F32" : "BF16"));
    std::vector<Parameters::Entry> back{{"qkv", at::zeros({8, 3}, dtype)}, {"bias", at::zeros({5}, dtype)}};
    nn::read_pieces(file, kPieces, back);
    for (size_t i = 0; i < 2; ++i) CHECK(at::equal(back[i].tensor, given[i].tensor));
    // What no piece names stays as it is.
    std::vector<Parameters::Entry> part{{"qkv", at::zeros({8, 3}, dtype)}, {"bias", at::zeros({5}, dtype)}};
    nn::read_pieces(file, {kPieces[1]}, part);
    CHECK(at::equal(part[0].tensor.narrow(0, 4, 2), given[0].tensor.narrow(0, 4, 2)));
    CHECK(part[0].tensor.narrow(0, 0, 4).count_nonzero().item<int64_t>() == 0);
  }
}

TEST(values_are_converted) {
  const auto given = entries(at::kFloat);
  const std::string file = path("half.safetensors");
  nn::write_pieces(file, kPieces, "bfloat16", given);
  std::vector<Parameters::Entry> back{{"qkv", at::zeros({8, 3}, at::kDouble)}, {"bias", at::zeros({5}, at::kFloat)}};
  nn::read_pieces(file, kPieces, back);
  CHECK(at::equal(back[0].tensor, given[0].tensor.to(at::kBFloat16).to(at::kDouble)));
  CHECK(at::equal(back[1].tensor, given[1].tensor.to(at::kBFloat16).to(at::kFloat)));
}

TEST(what_does_not_fit_is_refused_before_anything_changes) {
  const auto given = entries(at::kFloat);
  const std::string file = path("fits.safetensors");
  nn::write_pieces(file, kPieces, "float32", given);
  std::vector<Parameters::Entry> back{{"qkv", at::zeros({8, 3})}, {"bias", at::zeros({5})}};
  const auto refused = [&](const Piece& piece, const char* code) {
    CHECK(check::code_of([&] { nn::read_pieces(file, {kPieces[0], piece}, back); }) == code);
    CHECK(back[0].tensor.count_nonzero().item<int64_t>() == 0);
  };
  refused({"absent", "qkv", 0, 4}, "ERR_CHECKPOINT");
  refused({"k", "qkv", 0, 4}, "ERR_CHECKPOINT");
  refused({"b", "qkv", 0, 5}, "ERR_CHECKPOINT");
  refused({"k", "absent", 0, 2}, "ERR_INPUT");
  refused({"k", "qkv", 7, 2}, "ERR_SHAPE");
  refused({"k", "qkv", -1, 2}, "ERR_SHAPE");
  refused({"k", "qkv", 0, 0}, "ERR_SHAPE");
}

TEST(nan_and_infinity_are_refused_in_every_dtype) {
  for (const auto dtype : {at::kFloat, at::kDouble, at::kBFloat16}) {
    for (const double bad : {std::nan(""), static_cast<double>(INFINITY), -static_cast<double>(INFINITY)}) {
      auto given = entries(dtype);
      given[0].tensor[5][1] = bad;
      CHECK(check::code_of([&] { nn::save_tensors(path("bad.safetensors"), given); }) == "ERR_NONFINITE");
      CHECK(check::code_of([&] { nn::write_pieces(path("bad.safetensors"), kPieces, "float32", given); }) ==
            "ERR_NONFINITE");
    }
  }
  for (const char* dtype : {"F32", "BF16", "F16", "F64"}) {
    const size_t bytes = io::dtype_bytes(dtype);
    std::vector<unsigned char> values(4 * bytes, 0);
    const std::string file = path("given.safetensors");
    std::vector<Parameters::Entry> back{{"bias", at::ones({4})}};
    io::write_safetensors(file, {{"b", dtype, {4}, values.data()}}, {});
    nn::read_pieces(file, {{"b", "bias", 0, 4}}, back);
    CHECK(back[0].tensor.count_nonzero().item<int64_t>() == 0);
    // The exponent's bits of the third value.
    values[3 * bytes - 1] = 0x7f;
    values[3 * bytes - 2] = 0xf0;
    const std::string bad = path("bad.safetensors");
    io::write_safetensors(bad, {{"b", dtype, {4}, values.data()}}, {});
    CHECK(check::code_of([&] { nn::read_pieces(bad, {{"b", "bias", 0, 4}}, back); }) == "ERR_CHECKPOINT");
  }
}
