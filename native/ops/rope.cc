// rope: reference from basic ops, and the CPU and CUDA kernels; the backward is the rotation by the opposite angle.
#include "ops/rope.h"

#include <ATen/record_function.h>

#include "kernels/cpu.h"
#include "ops/cuda.h"
#include "ops/float_rows.h"

namespace merge::ops {
namespace {

constexpr int64_t kGrain = 32;

Tensor rotate(const Tensor& x_TS, const Tensor& angles_TK, int64_t heads, float sign) {
  Tensor y = at::empty_like(x_TS);
  if (x_TS.is_cuda()) {
    launch(cuda_table().rope_rotate, x_TS, x_TS.const_data_ptr(), y.mutable_data_ptr(),
           angles_TK.const_data_ptr<float>(), x_TS.size(0), heads, angles_TK.size(1), x_TS.size(1), sign);
    return y;
  }
  as_they_are(x_TS, y, [&](auto* in, auto* out) {
    at::parallel_for(0, x_TS.size(0), kGrain, [&](int64_t begin, int64_t end) {
      const int64_t head = angles_TK.size(1), stride = x_TS.size(1);
      kernels::rope_rotate(in + begin * stride, out + begin * stride, angles_TK.const_data_ptr<float>() + begin * head,
                           end - begin, heads, head, stride, sign);
    });
  });
  return y;
}

// Saved: angles [T, K].
struct Rope : torch::autograd::Function<Rope> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x_TS, const Tensor& angles_TK,
                        int64_t heads) {
    context->save_for_backward({angles_TK});
    context->saved_data["heads"] = heads;
    return rotate(x_TS, angles_TK, heads, 1.0f);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const Tensor angles_TK = context->get_saved_variables()[0];
    return {rotate(grads[0].contiguous(), angles_TK, context->saved_data["heads"].toInt(), -1.0f), Tensor(), Tensor()};
  }
};

}  // namespace

Tensor rope_angles(const Tensor& positions_T, int64_t head_width, double base, at::ScalarType dtype) {
  TORCH_CHECK(head_width % 2 == 0, "rope: expected an even head width, received ", head_width);
  const Tensor exponent = at::arange(0, head_width, 2, positions_T.options().dtype(at::kDouble)) / head_width;
  const Tensor angle = positions_T.to(at::kDouble).unsqueeze(1) * at::pow(base, -exponent).unsqueeze(0);
  return at::cat({angle.cos(), angle.sin()}, 1).to(dtype);
}

Tensor rope_reference(const Tensor& x_TS, const Tensor& angles_TK, int64_t heads) {
  const int64_t rows = x_TS.size(0), width = angles_TK.size(1), rotated = heads * width;
  const Tensor x = x_TS.narrow(1, 0, rotated).view({rows, heads, width});
  const auto half = x.chunk(2, -1);
  const auto angle = angles_TK.to(x_TS.scalar_type()).unsqueeze(1).chunk(2, -1);
  const Tensor turned = at::cat({half[0] * angle[0] - half[1] * angle[1], half[1] * angle[0] + half[0] * angle[1]}, -1);
  return at::cat({turned.reshape({rows, rotated}), x_TS.narrow(1, rotated, x_TS.size(1) - rotated)}, 1);
}

Tensor rope(const Tensor& x_TS, const Tensor& angles_TK, int64_t heads) {
  RECORD_USER_SCOPE("rope");
  TORCH_CHECK(x_TS.size(1) >= heads * angles_TK.size(1), "rope: expected rows of at least ", heads * angles_TK.size(1),
              " values, received ", x_TS.size(1));
  if (!has_cpu_rows(x_TS) && !has_cuda_kernel(x_TS)) return rope_reference(x_TS, angles_TK, heads);
  return Rope::apply(x_TS.contiguous(), angles_TK.to(at::kFloat).contiguous(), heads);
}

}  // namespace merge::ops
