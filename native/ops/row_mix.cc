// row_mix: reference by shifted rows, and the CPU and CUDA kernels with their backward.
#include "ops/row_mix.h"

#include <ATen/record_function.h>

#include "kernels/cpu.h"
#include "ops/cuda.h"
#include "ops/float_rows.h"
#include "ops/upload.h"

namespace merge::ops {
namespace {

// y, or with `flipped` the gradient of x for that of y.
Tensor mixed_on_cuda(const Tensor& x_TD, const Tensor& weight_KD, const Offsets& offsets, bool flipped) {
  Tensor y_TD = at::empty_like(x_TD);
  const Tensor rows = upload(offsets, x_TD.device());
  launch(cuda_table().row_mix, x_TD, x_TD.const_data_ptr(), weight_KD.const_data_ptr<float>(), y_TD.mutable_data_ptr(),
         packed_rows(rows), weight_KD.size(0), weight_KD.size(1), flipped);
  return y_TD;
}

Tensor weight_gradient_on_cuda(const Tensor& grad_y, const Tensor& x_TD, const Tensor& weight_KD,
                               const Offsets& offsets) {
  const int64_t count = static_cast<int64_t>(offsets.size()) - 1, taps = weight_KD.size(0), width = weight_KD.size(1);
  Tensor shares = at::empty({count, taps, width}, weight_KD.options());
  const Tensor rows = upload(offsets, x_TD.device());
  launch(cuda_table().row_mix_weight_gradient, x_TD, grad_y.const_data_ptr(), x_TD.const_data_ptr(),
         shares.mutable_data_ptr<float>(), packed_rows(rows), taps, width);
  return shares.sum(0);
}

// Saved: x [T, D], weight [taps, D].
struct RowMix : torch::autograd::Function<RowMix> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x_TD, const Tensor& weight_KD,
                        const Offsets& offsets) {
    context->save_for_backward({x_TD, weight_KD});
    context->saved_data["offsets"] = offsets;
    if (x_TD.is_cuda()) return mixed_on_cuda(x_TD, weight_KD, offsets, /*flipped=*/false);
    Tensor y = at::empty_like(x_TD);
    at::parallel_for(0, static_cast<int64_t>(offsets.size()) - 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t length = offsets[r + 1] - offsets[r], width = x_TD.size(1);
        float_rows<1, 1>({&x_TD}, {&y}, offsets[r], offsets[r + 1], length, [&](auto& in, auto& out, int64_t, int64_t) {
          std::fill_n(out[0], length * width, 0.0f);
          kernels::mix_forward(in[0], weight_KD.const_data_ptr<float>(), out[0], 0, length, weight_KD.size(0), width);
        });
      }
    });
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const auto saved = context->get_saved_variables();
    const Tensor &x_TD = saved[0], &weight_KD = saved[1], grad_y = grads[0].contiguous();
    const Offsets offsets = context->saved_data["offsets"].toIntVector();
    const int64_t rows = static_cast<int64_t>(offsets.size()) - 1, taps = weight_KD.size(0), width = x_TD.size(1);
    if (x_TD.is_cuda()) {
      return {mixed_on_cuda(grad_y, weight_KD, offsets, /*flipped=*/true),
              weight_gradient_on_cuda(grad_y, x_TD, weight_KD, offsets), Tensor()};
    }
    // Fixed shares of the rows, so that the sum over shares does not depend on which thread took which.
    const int64_t shares = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), rows));
    Tensor grad_x = at::empty_like(x_TD), grad_weight = at::zeros({shares, taps, width}, weight_KD.options());
    at::parallel_for(0, shares, 1, [&](int64_t first, int64_t last) {
      for (int64_t share = first; share < last; ++share) {
        for (int64_t r = rows * share / shares; r < rows * (share + 1) / shares; ++r) {
          const int64_t length = offsets[r + 1] - offsets[r];
          float_rows<2, 1>({&grad_y, &x_TD}, {&grad_x}, offsets[r], offsets[r + 1], length,
                           [&](auto& in, auto& out, int64_t, int64_t) {
                             std::fill_n(out[0], length * width, 0.0f);
                             kernels::mix_backward(in[0], in[1], weight_KD.const_data_ptr<float>(), out[0],
                                                   grad_weight.mutable_data_ptr<float>() + share * taps * width, 0,
                                                   length, taps, width);
                           });
        }
      }
    });
    return {grad_x, grad_weight.sum(0), Tensor()};
  }
};

}  // namespace

Tensor row_mix_reference(const Tensor& x_TD, const Tensor& weight_KD, const Offsets& offsets) {
  const int64_t taps = weight_KD.size(0), half = taps / 2;
  const Tensor weight = weight_KD.to(x_TD.scalar_type());
  std::vector<Tensor> rows;
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    const int64_t length = offsets[r + 1] - offsets[r];
    const Tensor padded = at::constant_pad_nd(x_TD.narrow(0, offsets[r], length), {0, 0, half, half});
    Tensor y = at::zeros_like(x_TD.narrow(0, offsets[r], length));
    for (int64_t k = 0; k < taps; ++k) y = y + weight[k] * padded.narrow(0, k, length);
    rows.push_back(y);
  }
  return rows.empty() ? x_TD : at::cat(rows, 0);
}

Tensor row_mix(const Tensor& x_TD, const Tensor& weight_KD, const Offsets& offsets) {
  RECORD_USER_SCOPE("row_mix");
  TORCH_CHECK(weight_KD.dim() == 2 && weight_KD.size(0) % 2 == 1 && weight_KD.size(1) == x_TD.size(1),
              "row_mix: expected an odd number of taps of width ", x_TD.size(1), ", received ", weight_KD.sizes());
  TORCH_CHECK(offsets.back() == x_TD.size(0), "row_mix: offsets end at ", offsets.back(), ", expected ", x_TD.size(0));
  if (!has_cpu_rows(x_TD) && !has_cuda_kernel(x_TD)) return row_mix_reference(x_TD, weight_KD, offsets);
  return RowMix::apply(x_TD.contiguous(), weight_KD.to(at::kFloat).contiguous(), offsets);
}

}  // namespace merge::ops
