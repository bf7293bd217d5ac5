// head_loss: a part of the positions after the other; of the whole, only each position's log-sum-exp is kept.
#include "nn/head_loss.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "nn/product.h"

namespace merge::nn {
namespace {

constexpr int64_t kElements = int64_t{1} << 24;
// The logit of a forbidden word; no gradient passes it.
constexpr double kNever = -1e30;

// begin and length of every part of `count` positions.
template <typename Part>
void by_parts(int64_t count, int64_t positions, Part&& part) {
  for (int64_t begin = 0; begin < count; begin += positions) part(begin, std::min(positions, count - begin));
}

// The matrix is narrowed once, not for every part; prepared products look for the master.
HeadWeights narrowed(const HeadWeights& weights, const Tensor& states_MD) {
  if (Prepared::current() != nullptr) return weights;
  return {weights.matrix_VD.to(states_MD.scalar_type()), weights.bias_V, weights.scale};
}

// The logits that the loss is of.
Tensor loss_logits(const HeadWeights& weights, const Tensor& states_MD, const Tensor& forbidden_F) {
  Tensor logits_MV = weights.logits(states_MD);
  if (!forbidden_F.defined()) return logits_MV;
  return at::GradMode::is_enabled() ? logits_MV.index_fill(1, forbidden_F, kNever)
                                    : logits_MV.index_fill_(1, forbidden_F, kNever);
}

struct Parts {
  Tensor loss_M, best_M, log_sum_M;
};

Parts losses_by_parts(const HeadWeights& master, const Tensor& states_MD, const Tensor& targets_M,
                      const HeadLossOptions& options) {
  const HeadWeights weights = narrowed(master, states_MD);
  std::vector<Tensor> loss, best, log_sum;
  by_parts(states_MD.size(0), options.positions, [&](int64_t begin, int64_t length) {
    const Tensor states_mD = states_MD.narrow(0, begin, length);
    const Tensor logits_mV = loss_logits(weights, states_mD, options.forbidden_F);
    if (options.look) options.look(begin, logits_mV);
    const Tensor targets_m1 = targets_M.narrow(0, begin, length).unsqueeze(1);
    log_sum.push_back(logits_mV.logsumexp(1));
    best.push_back(logits_mV.argmax(1));
    Tensor wanted_m = logits_mV.gather(1, targets_m1).squeeze(1);
    if (options.smoothing > 0) {
      wanted_m = (1 - options.smoothing) * wanted_m + options.smoothing * logits_mV.mean(1);
    }
    loss.push_back(log_sum.back() - wanted_m);
  });
  return {at::cat(loss), at::cat(best), at::cat(log_sum)};
}

// Saved: states [M, D], matrix [V, D], bias [V] or an empty tensor, targets [M], log-sum-exps [M], forbidden words [F].
struct LossByParts : torch::autograd::Function<LossByParts> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const Tensor& states_MD,
                                                const Tensor& matrix_VD, const Tensor& bias_V, const Tensor& targets_M,
                                                double scale, const HeadLossOptions& options) {
    const bool has_bias = bias_V.numel() > 0;
    const HeadWeights weights{matrix_VD, has_bias ? bias_V : Tensor(), scale};
    const Parts parts = losses_by_parts(weights, states_MD, targets_M, options);
    context->save_for_backward({states_MD, matrix_VD, bias_V, targets_M, parts.log_sum_M, options.forbidden_F});
    context->saved_data["smoothing"] = options.smoothing;
    context->saved_data["scale"] = scale;
    context->saved_data["positions"] = options.positions;
    context->mark_non_differentiable({parts.best_M});
    return {parts.loss_M, parts.best_M};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const auto saved = context->get_saved_variables();
    const Tensor &states_MD = saved[0], &master_VD = saved[1], &bias_V = saved[2], &targets_M = saved[3];
    const double smoothing = context->saved_data["smoothing"].toDouble();
    const double scale = context->saved_data["scale"].toDouble();
    const bool has_bias = bias_V.numel() > 0;
    const HeadWeights weights{master_VD.to(states_MD.scalar_type()), has_bias ? bias_V : Tensor(), scale};
    const bool matrix_learns = context->needs_input_grad(1);
    Tensor states_grad = at::empty_like(states_MD);
    Tensor matrix_grad = matrix_learns ? at::zeros_like(master_VD) : Tensor();
    Tensor bias_grad = has_bias ? at::zeros_like(bias_V) : Tensor();
    by_parts(states_MD.size(0), context->saved_data["positions"].toInt(), [&](int64_t begin, int64_t length) {
      const Tensor states_mD = states_MD.narrow(0, begin, length);
      // d loss / d logit = softmax - (1 - s) [word is the target] - s / V
      Tensor slope_mV = loss_logits(weights, states_mD, saved[5]);
      slope_mV.sub_(saved[4].narrow(0, begin, length).unsqueeze(1)).exp_();
      if (smoothing > 0) slope_mV.sub_(smoothing / static_cast<double>(slope_mV.size(1)));
      const Tensor targets_m1 = targets_M.narrow(0, begin, length).unsqueeze(1);
      slope_mV.scatter_add_(1, targets_m1, at::full(targets_m1.sizes(), smoothing - 1, slope_mV.options()));
      if (saved[5].defined()) slope_mV.index_fill_(1, saved[5], 0);  // even where one is the target
      slope_mV.mul_(grads[0].narrow(0, begin, length).unsqueeze(1) * scale);
      if (has_bias) bias_grad.add_(slope_mV.sum(0));
      const Tensor narrow_mV = slope_mV.to(states_MD.scalar_type());
      Tensor states_grad_mD = states_grad.narrow(0, begin, length);
      at::mm_out(states_grad_mD, narrow_mV, weights.matrix_VD);
      if (!matrix_learns) return;
      if (matrix_grad.scalar_type() == narrow_mV.scalar_type()) {
        matrix_grad.addmm_(narrow_mV.t(), states_mD);
      } else {
        matrix_grad.add_(at::mm(narrow_mV.t(), states_mD));
      }
    });
    return {states_grad, matrix_grad, bias_grad, Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

Tensor HeadWeights::logits(const Tensor& states_MD) const {
  Tensor logits_MV = widen(project(states_MD, matrix_VD));
  if (bias_V.defined()) logits_MV = logits_MV + bias_V;
  return scale == 1 ? logits_MV : logits_MV * scale;
}

int64_t positions_at_a_time(int64_t vocabulary) { return std::max<int64_t>(1, kElements / vocabulary); }

HeadLoss logits_loss(const Tensor& logits_MV, const Tensor& targets_M, double smoothing) {
  return {at::cross_entropy_loss(logits_MV, targets_M, {}, at::Reduction::None, -100, smoothing),
          logits_MV.detach().argmax(1)};
}

HeadLoss head_loss(const HeadWeights& given, const Tensor& states_MD, const Tensor& targets_M,
                   const HeadLossOptions& options) {
  HeadWeights weights = given;
  weights.scale /= options.temperature;
  HeadLossOptions chosen = options;
  if (chosen.positions == 0) chosen.positions = positions_at_a_time(weights.matrix_VD.size(0));
  if (states_MD.size(0) <= chosen.positions) {
    const Tensor logits_MV = loss_logits(weights, states_MD, options.forbidden_F);
    if (options.look && logits_MV.size(0) > 0) options.look(0, logits_MV.detach());
    return logits_loss(logits_MV, targets_M, options.smoothing);
  }
  if (!at::GradMode::is_enabled()) {
    const Parts parts = losses_by_parts(weights, states_MD, targets_M, chosen);
    return {parts.loss_M, parts.best_M};
  }
  const Tensor bias_V = weights.bias_V.defined() ? weights.bias_V : at::empty({0}, states_MD.options());
  const auto found = LossByParts::apply(states_MD, weights.matrix_VD, bias_V, targets_M, weights.scale, chosen);
  return {found[0], found[1]};
}

void look_at_logits(const HeadWeights& master, const Tensor& states_MD, const Look& look) {
  const at::NoGradGuard no_grad;
  const HeadWeights weights = narrowed(master, states_MD);
  by_parts(states_MD.size(0), positions_at_a_time(weights.matrix_VD.size(0)),
           [&](int64_t begin, int64_t length) { look(begin, weights.logits(states_MD.narrow(0, begin, length))); });
}

Tensor best_words(const HeadWeights& weights, const Tensor& states_MD) {
  std::vector<Tensor> best{at::empty({0}, states_MD.options().dtype(at::kLong).requires_grad(false))};
  look_at_logits(weights, states_MD, [&](int64_t, const Tensor& logits_mV) { best.push_back(logits_mV.argmax(1)); });
  return at::cat(best);
}

}  // namespace merge::nn
