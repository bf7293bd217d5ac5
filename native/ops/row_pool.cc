// row_mean_max: reference by rows, and the CPU and CUDA paths in one pass.
#include "ops/row_pool.h"

#include <ATen/record_function.h>

#include "ops/cuda.h"
#include "ops/upload.h"

namespace merge::ops {
namespace {

// Saved: where each maximum was found, [B, D].
struct RowMeanMax : torch::autograd::Function<RowMeanMax> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x_TD, const Offsets& offsets) {
    const int64_t rows = static_cast<int64_t>(offsets.size()) - 1, width = x_TD.size(1);
    Tensor pooled = at::empty({rows, 2 * width}, x_TD.options());
    Tensor where = at::empty({rows, width}, x_TD.options().dtype(at::kLong));
    context->save_for_backward({where});
    context->saved_data["offsets"] = offsets;
    if (x_TD.is_cuda()) {
      const Tensor packed = upload(offsets, x_TD.device());
      launch(cuda_table().row_mean_max, x_TD, x_TD.const_data_ptr(), pooled.mutable_data_ptr(),
             where.mutable_data_ptr<int64_t>(), packed_rows(packed), width);
      return pooled;
    }
    const float* x = x_TD.const_data_ptr<float>();
    at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        float* mean = pooled.mutable_data_ptr<float>() + r * 2 * width;
        float* top = mean + width;
        int64_t* top_at = where.mutable_data_ptr<int64_t>() + r * width;
        for (int64_t i = 0; i < width; ++i) {
          mean[i] = top[i] = x[offsets[r] * width + i];
          top_at[i] = offsets[r];
        }
        for (int64_t t = offsets[r] + 1; t < offsets[r + 1]; ++t) {
          for (int64_t i = 0; i < width; ++i) {
            const float value = x[t * width + i];
            mean[i] += value;
            if (value > top[i]) top[i] = value, top_at[i] = t;
          }
        }
        const float share = 1.0f / static_cast<float>(offsets[r + 1] - offsets[r]);
        for (int64_t i = 0; i < width; ++i) mean[i] *= share;
      }
    });
    return pooled;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const Tensor where = context->get_saved_variables()[0], grad = grads[0].contiguous();
    const Offsets offsets = context->saved_data["offsets"].toIntVector();
    const int64_t rows = where.size(0), width = where.size(1);
    Tensor grad_x = at::empty({offsets.back(), width}, grad.options());
    if (grad.is_cuda()) {
      const Tensor packed = upload(offsets, grad.device());
      launch(cuda_table().row_mean_max_backward, grad, grad.const_data_ptr(), where.const_data_ptr<int64_t>(),
             grad_x.mutable_data_ptr(), packed_rows(packed), width);
      return {grad_x, Tensor()};
    }
    at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const float* mean = grad.const_data_ptr<float>() + r * 2 * width;
        const float share = 1.0f / static_cast<float>(offsets[r + 1] - offsets[r]);
        float* out = grad_x.mutable_data_ptr<float>();
        for (int64_t t = offsets[r]; t < offsets[r + 1]; ++t) {
          for (int64_t i = 0; i < width; ++i) out[t * width + i] = mean[i] * share;
        }
        const int64_t* top_at = where.const_data_ptr<int64_t>() + r * width;
        for (int64_t i = 0; i < width; ++i) out[top_at[i] * width + i] += mean[width + i];
      }
    });
    return {grad_x, Tensor()};
  }
};

}  // namespace

Tensor row_mean_max_reference(const Tensor& x_TD, const Offsets& offsets) {
  std::vector<Tensor> rows;
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    const Tensor row_ND = x_TD.narrow(0, offsets[r], offsets[r + 1] - offsets[r]);
    rows.push_back(at::cat({row_ND.mean(0), std::get<0>(row_ND.max(0))}));
  }
  return at::stack(rows);
}

Tensor row_mean_max(const Tensor& x_TD, const Offsets& offsets) {
  RECORD_USER_SCOPE("row_mean_max");
  TORCH_CHECK(x_TD.dim() == 2 && offsets.back() == x_TD.size(0), "row_mean_max: offsets end at ", offsets.back(),
              ", expected ", x_TD.size(0));
  // Half-width rows are added up in float32.
  if (x_TD.device().is_cpu() && x_TD.scalar_type() == at::kBFloat16) {
    return row_mean_max(x_TD.to(at::kFloat), offsets).to(at::kBFloat16);
  }
  if (!has_cpu_kernel(x_TD) && !has_cuda_kernel(x_TD)) return row_mean_max_reference(x_TD, offsets);
  return RowMeanMax::apply(x_TD.contiguous(), offsets);
}

}  // namespace merge::ops
