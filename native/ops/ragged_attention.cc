// ragged_attention: reference from basic ops, and the CPU path: one small GEMM chain per (row, head), rows in parallel.
// On a GPU libtorch's own attention (ops/device_attention.h).
#include "ops/ragged_attention.h"

#include <ATen/record_function.h>

#include <algorithm>
#include <cmath>

#include "kernels/blas.h"
#include "kernels/cpu.h"
#include "ops/device_attention.h"
#include "ops/float_attention.h"
#include "ops/float_rows.h"
#include "ops/half_attention.h"
#include "ops/head_layout.h"
#include "ops/rope.h"

namespace merge::ops {
namespace {

using kernels::Matrix;
using kernels::multiply;

// Saved: qkv, probabilities of all rows, packed as the bias is.
struct RaggedAttention : torch::autograd::Function<RaggedAttention> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& qkv, const Tensor& bias,
                        const Offsets& offsets, int64_t query_heads, int64_t key_heads) {
    const HeadLayout layout(qkv.size(1), {query_heads, key_heads});
    const auto begins = square_offsets(offsets);
    const bool has_bias = bias.numel() > 0, per_head = has_bias && bias.size(0) != 1;
    Tensor probability = at::empty({query_heads, begins.back()}, qkv.options());
    Tensor out = at::empty({qkv.size(0), layout.width}, qkv.options());
    const float* base = qkv.const_data_ptr<float>();
    const float* bias_base = has_bias ? bias.const_data_ptr<float>() : nullptr;
    float* p_base = probability.mutable_data_ptr<float>();
    float* out_base = out.mutable_data_ptr<float>();
    const float scale = 1.0f / std::sqrt(static_cast<float>(layout.head));
    const int64_t pairs = (static_cast<int64_t>(offsets.size()) - 1) * query_heads;
    at::parallel_for(0, pairs, 1, [&](int64_t begin, int64_t end) {
      for (int64_t pair = begin; pair < end; ++pair) {
        const int64_t row = pair / query_heads, head = pair % query_heads, n = offsets[row + 1] - offsets[row];
        if (n == 0) continue;
        const float* x = base + offsets[row] * layout.stride;
        const float* q = x + head * layout.head;
        const int64_t shared = head / layout.group * layout.head;
        float* p = p_base + head * begins.back() + begins[row];
        if (has_bias) std::copy_n(bias_base + (per_head ? head * begins.back() : 0) + begins[row], n * n, p);
        multiply(false, true, n, n, layout.head, scale, {q, layout.stride}, {x + layout.keys + shared, layout.stride},
                 p, n, has_bias ? 1.0f : 0.0f);
        kernels::softmax_rows(p, n, n);
        multiply(false, false, n, layout.head, n, 1.0f, {p, n}, {x + layout.values + shared, layout.stride},
                 out_base + offsets[row] * layout.width + head * layout.head, layout.width);
      }
    });
    context->save_for_backward({qkv, probability});
    context->saved_data["offsets"] = offsets;
    context->saved_data["query_heads"] = query_heads;
    context->saved_data["key_heads"] = key_heads;
    context->saved_data["bias_heads"] = has_bias && bias.requires_grad() ? bias.size(0) : int64_t{0};
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const auto saved = context->get_saved_variables();
    const Tensor &qkv = saved[0], &probability = saved[1];
    const Offsets offsets = context->saved_data["offsets"].toIntVector();
    const int64_t query_heads = context->saved_data["query_heads"].toInt();
    const int64_t key_heads = context->saved_data["key_heads"].toInt();
    const int64_t bias_heads = context->saved_data["bias_heads"].toInt();
    const HeadLayout layout(qkv.size(1), {query_heads, key_heads});
    const int64_t stride = layout.stride;
    const auto begins = square_offsets(offsets);
    const Tensor grad_out = grads[0].contiguous();
    Tensor grad = at::empty_like(qkv);
    // The gradient of the scores is the bias's own; without a bias that learns it is scratch.
    const Tensor grad_scores = bias_heads > 0 ? at::empty_like(probability) : Tensor();
    const float scale = 1.0f / std::sqrt(static_cast<float>(layout.head));
    // Query heads that share a key head add to one gradient, so a key head is one piece of work.
    const int64_t pairs = (static_cast<int64_t>(offsets.size()) - 1) * key_heads;
    at::parallel_for(0, pairs, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> scratch;
      for (int64_t pair = begin; pair < end; ++pair) {
        const int64_t row = pair / key_heads, key_head = pair % key_heads, n = offsets[row + 1] - offsets[row];
        if (n == 0) continue;
        const float* x = qkv.const_data_ptr<float>() + offsets[row] * stride;
        float* grad_x = grad.mutable_data_ptr<float>() + offsets[row] * stride;
        const Matrix keys{x + layout.keys + key_head * layout.head, stride};
        const Matrix values{x + layout.values + key_head * layout.head, stride};
        float* grad_keys = grad_x + layout.keys + key_head * layout.head;
        float* grad_values = grad_x + layout.values + key_head * layout.head;
        for (int64_t member = 0; member < layout.group; ++member) {
          const int64_t head = key_head * layout.group + member;
          const int64_t at_scores = head * begins.back() + begins[row];
          const float* p = probability.const_data_ptr<float>() + at_scores;
          const Matrix g{grad_out.const_data_ptr<float>() + offsets[row] * layout.width + head * layout.head,
                         layout.width};
          if (bias_heads == 0) scratch.resize(static_cast<size_t>(n * n));
          float* ds = bias_heads > 0 ? grad_scores.mutable_data_ptr<float>() + at_scores : scratch.data();
          const float add = member > 0 ? 1.0f : 0.0f;
          multiply(true, false, n, layout.head, n, 1.0f, {p, n}, g, grad_values, stride, add);  // dV = P^T dO
          multiply(false, true, n, n, layout.head, 1.0f, g, values, ds, n);                     // dP = dO V^T
          kernels::softmax_rows_backward(p, ds, n, n);                                          // dS
          multiply(false, false, n, layout.head, n, scale, {ds, n}, keys, grad_x + head * layout.head,
                   stride);  // dQ = dS K
          multiply(true, false, n, layout.head, n, scale, {ds, n}, {x + head * layout.head, stride}, grad_keys, stride,
                   add);  // dK = dS^T Q
        }
      }
    });
    const Tensor grad_bias = bias_heads == 0   ? Tensor()
                             : bias_heads == 1 ? grad_scores.sum(0, /*keepdim=*/true)
                                               : grad_scores;
    return {grad, grad_bias, Tensor(), Tensor(), Tensor()};
  }
};

// Contiguous float32; nothing of nothing.
Tensor floats(const Tensor& x) { return x.defined() ? x.to(at::kFloat).contiguous() : x; }

}  // namespace

std::vector<int64_t> square_offsets(const Offsets& offsets) {
  std::vector<int64_t> begins(offsets.size(), 0);
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    const int64_t length = offsets[r + 1] - offsets[r];
    begins[r + 1] = begins[r] + length * length;
  }
  return begins;
}

Tensor key_bias(const Tensor& bias_T, const Offsets& offsets) {
  std::vector<Tensor> rows;
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    const int64_t n = offsets[r + 1] - offsets[r];
    rows.push_back(bias_T.narrow(0, offsets[r], n).repeat({n}));
  }
  return at::cat(rows).unsqueeze(0);
}

Tensor ragged_attention_reference(const Tensor& qkv, const Offsets& offsets, Heads heads, const Tensor& bias) {
  const HeadLayout layout(qkv.size(1), heads);
  const auto begins = square_offsets(offsets);
  std::vector<Tensor> rows;
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    const int64_t n = offsets[r + 1] - offsets[r];
    const Tensor row =
        qkv.narrow(0, offsets[r], n).view({n, heads.queries + 2 * heads.keys, layout.head}).transpose(0, 1);
    const Tensor q = row.narrow(0, 0, heads.queries);
    const Tensor k = row.narrow(0, heads.queries, heads.keys).repeat_interleave(layout.group, 0);
    const Tensor v = row.narrow(0, heads.queries + heads.keys, heads.keys).repeat_interleave(layout.group, 0);
    Tensor scores = at::matmul(q, k.transpose(1, 2)) / std::sqrt(static_cast<double>(layout.head));
    if (bias.defined()) scores = scores + bias.narrow(1, begins[r], n * n).view({bias.size(0), n, n});
    rows.push_back(at::matmul(at::softmax(scores, -1), v).transpose(0, 1).reshape({n, layout.width}));
  }
  return rows.empty() ? qkv.narrow(1, 0, layout.width) : at::cat(rows, 0);
}

Tensor ragged_attention(const Tensor& qkv, const Offsets& offsets, Heads heads, const Tensor& bias,
                        const Tensor& angles_TK) {
  TORCH_CHECK(qkv.dim() == 2 && heads.queries % heads.keys == 0 && qkv.size(1) % (heads.queries + 2 * heads.keys) == 0,
              "ragged_attention: expected [T, (H + 2G) K] with ", heads.queries, " and ", heads.keys,
              " heads, received ", qkv.sizes());
  TORCH_CHECK(!offsets.empty() && offsets.back() == qkv.size(0), "ragged_attention: offsets end at ",
              offsets.empty() ? -1 : offsets.back(), ", expected ", qkv.size(0));
  TORCH_CHECK(!angles_TK.defined() || (angles_TK.dim() == 2 && angles_TK.size(0) == qkv.size(0) &&
                                       angles_TK.size(1) == qkv.size(1) / (heads.queries + 2 * heads.keys)),
              "ragged_attention: expected angles [T, K], received ",
              angles_TK.defined() ? angles_TK.sizes() : at::IntArrayRef());
  if (has_cpu_rows(qkv) && !learns(qkv) && !learns(bias)) {
    RECORD_USER_SCOPE("ragged_attention");
    if (has_half_attention(qkv)) {
      return half_attention(qkv.contiguous(), offsets, heads, floats(bias), floats(angles_TK));
    }
    return float_attention(floats(qkv), offsets, heads, floats(bias), floats(angles_TK)).to(qkv.scalar_type());
  }
  const Tensor turned = angles_TK.defined() ? rope(qkv, angles_TK, heads.queries + heads.keys) : qkv;
  RECORD_USER_SCOPE("ragged_attention");
  if (has_cpu_rows(turned)) {
    // bfloat16 that learns has its scores in float32: the half-width backward of small heads is six times slower.
    const Tensor x = floats(turned), given = bias.defined() ? floats(bias) : at::empty({0}, x.options());
    return RaggedAttention::apply(x, given, offsets, heads.queries, heads.keys).to(turned.scalar_type());
  }
  if (has_flash_attention(turned, heads, bias)) return flash_attention(turned, offsets, heads);
  if (turned.is_cuda()) return padded_attention(turned, offsets, heads, bias);
  return ragged_attention_reference(turned, offsets, heads, bias);
}

}  // namespace merge::ops
