// recomputed: a function of the block's input and of the view's bias; the block's own gradients are added to its
// parameters by a backward pass inside the backward pass.
#include "nn/recompute.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/custom_class.h>

namespace merge::nn {
namespace {

struct Work : torch::CustomClassHolder {
  Work(const Block& block, View view) : block(block), view(std::move(view)) {}
  const Block& block;
  View view;
};

// A tensor of the same values that begins a graph of its own.
Tensor leaf(const Tensor& tensor) { return tensor.detach().requires_grad_(tensor.requires_grad()); }

// Saved: x [T, D], bias [1 or H, S] or nothing.
struct Recompute : torch::autograd::Function<Recompute> {
  // A parameter of the block is an input, so that the block learns even from an x that does not.
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x_TD, const Tensor& bias,
                        const Tensor& /*parameter*/, const c10::intrusive_ptr<Work>& work) {
    context->save_for_backward({x_TD, bias});
    context->saved_data["work"] = c10::IValue::make_capsule(work);
    // What learns goes other ways than what does not: the second pass must find the same bits.
    const at::AutoGradMode enabled(true);
    return work->block.forward(leaf(x_TD), work->view).detach();
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const auto work = c10::static_intrusive_pointer_cast<Work>(context->saved_data["work"].toCapsule());
    const auto saved = context->get_saved_variables();
    const at::AutoGradMode enabled(true);
    const Tensor x_TD = leaf(saved[0]);
    View view = work->view;
    const bool biased = view.bias.defined();
    if (biased) view.bias = leaf(saved[1]);
    torch::autograd::backward({work->block.forward(x_TD, view)}, {grads[0]});
    return {x_TD.grad(), biased ? view.bias.grad() : Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

Tensor recomputed(const Block& block, const Tensor& x_TD, const View& view) {
  if (!at::GradMode::is_enabled()) return block.forward(x_TD, view);
  // The bias is saved with its place in the graph; the copy of the view must not keep that graph alive.
  View kept = view;
  if (kept.bias.defined()) kept.bias = kept.bias.detach();
  const Tensor bias = view.bias.defined() ? view.bias : at::empty({0}, x_TD.options());
  return Recompute::apply(x_TD, bias, block.parameter(), c10::make_intrusive<Work>(block, std::move(kept)));
}

}  // namespace merge::nn
