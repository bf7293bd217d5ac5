// ByteMatrix: oneDNN's product of bytes through libtorch's registered operators, a share of the rows at a time, so that
// the products are scaled while they are in the cache.
#include "nn/byte_matrix.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>

#include "error.h"
#include "kernels/bytes.h"
#include "ops/float_rows.h"

namespace merge::nn {
namespace {

using Scalars = c10::List<std::optional<at::Scalar>>;

constexpr int64_t kRows = 128;  // of a share, of each thread
constexpr int64_t kGrain = 16;

struct OneDnn {
  std::optional<c10::OperatorHandle> pack, multiply;
};

const OneDnn& one_dnn() {
  static const OneDnn found{c10::Dispatcher::singleton().findSchema({"onednn::qlinear_prepack", ""}),
                            c10::Dispatcher::singleton().findSchema({"onednn::qlinear_pointwise", ""})};
  return found;
}

// Of bytes [T, in] whose scale is 1.
Tensor multiplied(const Tensor& bytes, const Tensor& packed, const Tensor& scales, const Tensor& zeros) {
  torch::jit::Stack stack{bytes, 1.0,        kernels::kByteZero, packed, scales,    zeros, c10::IValue(),
                          1.0,   int64_t{0}, at::kFloat,         "none", Scalars(), ""};
  one_dnn().multiply->callBoxed(stack);
  return stack.at(0).toTensor();
}

}  // namespace

ByteMatrix::ByteMatrix(const Tensor& weight) : outputs_(weight.size(0)), inputs_(weight.size(1)) {
  const Tensor wide = weight.detach().to(at::kFloat).contiguous();
  scales_ = wide.abs().amax(1) / 127;
  const Tensor steps = at::where(scales_ > 0, scales_, at::ones_like(scales_));
  const Tensor bytes = at::round(wide / steps.unsqueeze(1)).to(at::kChar);
  zeros_ = at::zeros({outputs_}, at::kLong);
  torch::jit::Stack stack{bytes, c10::IValue()};
  one_dnn().pack->callBoxed(stack);
  packed_ = stack.at(0).toTensor();
}

Tensor ByteMatrix::product(const Tensor& x, const Tensor& bias, const Tensor& residual) const {
  const int64_t rows = x.size(0), share = kRows * at::get_num_threads();
  const Tensor given = x.contiguous(), wide_bias = bias.defined() ? bias.to(at::kFloat).contiguous() : bias;
  const Tensor added = residual.defined() ? residual.contiguous() : residual;
  Tensor y = at::empty({rows, outputs_}, x.options());
  const float* biases = bias.defined() ? wide_bias.const_data_ptr<float>() : nullptr;
  for (int64_t first = 0; first < rows; first += share) {
    const int64_t count = std::min(share, rows - first);
    Tensor bytes = at::empty({count, inputs_}, at::kByte), scales = at::empty({count}, at::kFloat);
    float* scale = scales.mutable_data_ptr<float>();
    const auto over = [&](auto&& body) { at::parallel_for(0, count, kGrain, body); };
    ops::as_they_are(given, y, [&](auto* in, auto* out) {
      // 1) round
      over([&](int64_t begin, int64_t end) {
        kernels::quantize_rows(in + (first + begin) * inputs_, bytes.mutable_data_ptr<uint8_t>() + begin * inputs_,
                               scale + begin, end - begin, inputs_);
      });
      // 2) multiply
      const Tensor products = multiplied(bytes, packed_, scales_, zeros_);
      // 3) scale and add
      using Element = std::remove_const_t<std::remove_pointer_t<decltype(in)>>;
      const auto* residuals = residual.defined() ? reinterpret_cast<const Element*>(added.const_data_ptr()) : nullptr;
      over([&](int64_t begin, int64_t end) {
        const int64_t at = (first + begin) * outputs_;
        kernels::scale_rows(products.const_data_ptr<float>() + begin * outputs_, scale + begin, biases,
                            residuals == nullptr ? nullptr : residuals + at, out + at, end - begin, outputs_);
      });
    });
  }
  return y;
}

void check_byte_products() {
  const char* refusal = "matmulPrecision: expected highest or medium, received int8, which is not to be had here";
  if (!one_dnn().pack || !one_dnn().multiply) throw Error("ERR_CONFIG", refusal);
  try {
    ByteMatrix(at::ones({16, 16})).product(at::ones({1, 16}), {}, {});
  } catch (const c10::Error&) {
    throw Error("ERR_CONFIG", refusal);
  }
}

}  // namespace merge::nn
