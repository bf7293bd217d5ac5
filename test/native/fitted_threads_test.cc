// FittedThreads: one thread for small work, all of them for large work, and what was there before afterwards.
#define MERGE_CHECK_MAIN
#include "nn/fitted_threads.h"

#include <ATen/Parallel.h>

#include "check.h"

using merge::Record;
using merge::nn::FittedThreads;
using merge::nn::Parameters;
using merge::nn::Placement;

namespace {

Placement placement_of(const char* dtype) {
  Record config;
  config.set("dtype", std::string(dtype));
  config.set("device", std::string("cpu"));
  config.set("matmulPrecision", std::string("highest"));
  return Placement(config);
}

// The matrices of `layers` blocks of this width.
Parameters blocks_of(int64_t layers, int64_t width) {
  Parameters parameters(1, Parameters::Start::kBlank);
  for (int64_t layer = 0; layer < layers; ++layer) {
    for (const int64_t rows : {3 * width, width, 4 * width, 2 * width}) {
      parameters.add(std::to_string(layer) + "." + std::to_string(rows), {rows, width}, {});
    }
  }
  return parameters;
}

int threads_for(const char* dtype, int64_t width, int64_t tokens) {
  const FittedThreads threads(placement_of(dtype), blocks_of(2, width), tokens);
  return at::get_num_threads();
}

}  // namespace

TEST(small_work_runs_on_one_thread_and_the_team_comes_back) {
  at::set_num_threads(2);
  CHECK(threads_for("float32", 128, 64) == 1);
  CHECK(at::get_num_threads() == 2);
}

TEST(the_more_tokens_or_weights_the_more_threads) {
  at::set_num_threads(2);
  CHECK(threads_for("float32", 128, 4096) == 2);
  CHECK(threads_for("float32", 768, 64) == 2);
  // Nothing but reading large matrices takes two.
  CHECK(threads_for("float32", 2048, 1) == 2);
}

TEST(faster_products_want_more_work) {
  at::set_num_threads(2);
  CHECK(threads_for("float32", 512, 64) == 2);
  CHECK(threads_for("bfloat16", 512, 64) == 1);
}

TEST(one_fits_within_another) {
  at::set_num_threads(2);
  const Placement placement = placement_of("float32");
  const Parameters blocks = blocks_of(2, 128);
  {
    const FittedThreads outer(placement, blocks, 4096);
    {
      const FittedThreads inner(placement, blocks, 8);
      CHECK(at::get_num_threads() == 1);
    }
    CHECK(at::get_num_threads() == 2);
  }
  CHECK(at::get_num_threads() == 2);
}
