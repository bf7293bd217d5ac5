// ragged_attention: reference from basic ops, and the CPU path: one small GEMM chain per (row, head), rows in parallel.
#include "ops/ragged_attention.h"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "kernels/cpu.h"

// The BLAS that libtorch carries. Inside a parallel region it runs on the calling thread alone.
extern "C" void sgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                       const float* beta, float* c, const int* ldc);

namespace merge::ops {
namespace {

struct Matrix {
  const float* data;
  int64_t stride;  // floats from one row to the next
};

// C [rows, columns] = alpha * op(A) op(B), row-major; a transposed operand is given as it lies in memory.
void multiply(bool transpose_a, bool transpose_b, int64_t rows, int64_t columns, int64_t inner, float alpha, Matrix a,
              Matrix b, float* c, int64_t stride_c) {
  // Column-major BLAS sees each row-major matrix transposed, so C^T = op(B)^T op(A)^T.
  const int m = static_cast<int>(columns), n = static_cast<int>(rows), k = static_cast<int>(inner);
  const int lda = static_cast<int>(b.stride), ldb = static_cast<int>(a.stride), ldc = static_cast<int>(stride_c);
  const float beta = 0;
  sgemm_(transpose_b ? "T" : "N", transpose_a ? "T" : "N", &m, &n, &k, &alpha, b.data, &lda, a.data, &ldb, &beta, c,
         &ldc);
}

// Where each row's [heads, n, n] probabilities begin; the last entry is the total.
std::vector<int64_t> score_offsets(const Offsets& offsets, int64_t heads) {
  std::vector<int64_t> begins(offsets.size(), 0);
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    const int64_t length = offsets[r + 1] - offsets[r];
    begins[r + 1] = begins[r] + heads * length * length;
  }
  return begins;
}

// Saved: qkv [T, 3D], probabilities of all rows, packed.
struct RaggedAttention : torch::autograd::Function<RaggedAttention> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& qkv, const Offsets& offsets,
                        int64_t heads) {
    const int64_t width = qkv.size(1) / 3, head_width = width / heads, stride = 3 * width;
    const auto begins = score_offsets(offsets, heads);
    Tensor probability = at::empty({begins.back()}, qkv.options());
    Tensor out = at::empty({qkv.size(0), width}, qkv.options());
    const float* base = qkv.const_data_ptr<float>();
    float* p_base = probability.mutable_data_ptr<float>();
    float* out_base = out.mutable_data_ptr<float>();
    const float scale = 1.0f / std::sqrt(static_cast<float>(head_width));
    const int64_t pairs = (static_cast<int64_t>(offsets.size()) - 1) * heads;
    at::parallel_for(0, pairs, 1, [&](int64_t begin, int64_t end) {
      for (int64_t pair = begin; pair < end; ++pair) {
        const int64_t row = pair / heads, head = pair % heads, n = offsets[row + 1] - offsets[row];
        if (n == 0) continue;
        const float* q = base + offsets[row] * stride + head * head_width;
        float* p = p_base + begins[row] + head * n * n;
        multiply(false, true, n, n, head_width, scale, {q, stride}, {q + width, stride}, p, n);
        kernels::softmax_rows(p, n, n);
        multiply(false, false, n, head_width, n, 1.0f, {p, n}, {q + 2 * width, stride},
                 out_base + offsets[row] * width + head * head_width, width);
      }
    });
    context->save_for_backward({qkv, probability});
    context->saved_data["offsets"] = offsets;
    context->saved_data["heads"] = heads;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const auto saved = context->get_saved_variables();
    const Tensor &qkv = saved[0], &probability = saved[1];
    const Offsets offsets = context->saved_data["offsets"].toIntVector();
    const int64_t heads = context->saved_data["heads"].toInt();
    const int64_t width = qkv.size(1) / 3, head_width = width / heads, stride = 3 * width;
    const auto begins = score_offsets(offsets, heads);
    const Tensor grad_out = grads[0].contiguous();
    Tensor grad = at::empty_like(qkv);
    const float scale = 1.0f / std::sqrt(static_cast<float>(head_width));
    const int64_t pairs = (static_cast<int64_t>(offsets.size()) - 1) * heads;
    at::parallel_for(0, pairs, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> scratch;
      for (int64_t pair = begin; pair < end; ++pair) {
        const int64_t row = pair / heads, head = pair % heads, n = offsets[row + 1] - offsets[row];
        if (n == 0) continue;
        const int64_t at_row = offsets[row] * stride + head * head_width;
        const float* q = qkv.const_data_ptr<float>() + at_row;
        float* grad_q = grad.mutable_data_ptr<float>() + at_row;
        const float* p = probability.const_data_ptr<float>() + begins[row] + head * n * n;
        const Matrix g{grad_out.const_data_ptr<float>() + offsets[row] * width + head * head_width, width};
        scratch.resize(static_cast<size_t>(n * n));
        float* ds = scratch.data();
        multiply(true, false, n, head_width, n, 1.0f, {p, n}, g, grad_q + 2 * width, stride);           // dV = P^T dO
        multiply(false, true, n, n, head_width, 1.0f, g, {q + 2 * width, stride}, ds, n);               // dP = dO V^T
        kernels::softmax_rows_backward(p, ds, n, n);                                                    // dS
        multiply(false, false, n, head_width, n, scale, {ds, n}, {q + width, stride}, grad_q, stride);  // dQ = dS K
        multiply(true, false, n, head_width, n, scale, {ds, n}, {q, stride}, grad_q + width, stride);   // dK = dS^T Q
      }
    });
    return {grad, Tensor(), Tensor()};
  }
};

}  // namespace

Tensor ragged_attention_reference(const Tensor& qkv, const Offsets& offsets, int64_t heads) {
  const int64_t width = qkv.size(1) / 3, head_width = width / heads;
  std::vector<Tensor> rows;
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    const int64_t n = offsets[r + 1] - offsets[r];
    const auto parts = qkv.narrow(0, offsets[r], n).view({n, 3, heads, head_width}).permute({1, 2, 0, 3}).unbind(0);
    const Tensor scores = at::matmul(parts[0], parts[1].transpose(1, 2)) / std::sqrt(static_cast<double>(head_width));
    rows.push_back(at::matmul(at::softmax(scores, -1), parts[2]).transpose(0, 1).reshape({n, width}));
  }
  return rows.empty() ? qkv.narrow(1, 0, width) : at::cat(rows, 0);
}

Tensor ragged_attention(const Tensor& qkv, const Offsets& offsets, int64_t heads) {
  TORCH_CHECK(qkv.dim() == 2 && qkv.size(1) % (3 * heads) == 0, "ragged_attention: expected [T, 3 * heads * K] with ",
              heads, " heads, received ", qkv.sizes());
  TORCH_CHECK(!offsets.empty() && offsets.back() == qkv.size(0), "ragged_attention: offsets end at ",
              offsets.empty() ? -1 : offsets.back(), ", expected ", qkv.size(0));
  if (has_cpu_kernel(qkv)) return RaggedAttention::apply(qkv.contiguous(), offsets, heads);
  // bfloat16 on the CPU runs its scores in float32: the half-width backward of small heads is six times slower.
  if (qkv.device().is_cpu() && qkv.scalar_type() == at::kBFloat16) {
    return RaggedAttention::apply(qkv.to(at::kFloat).contiguous(), offsets, heads).to(at::kBFloat16);
  }
  return ragged_attention_reference(qkv, offsets, heads);
}

}  // namespace merge::ops
