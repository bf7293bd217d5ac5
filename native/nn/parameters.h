// Parameters: every learned tensor of a model by name, laid out in two flat buffers (decayed and not) so that clipping
// is one norm and the optimizer one call.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ops/tensor.h"

namespace merge::nn {

class Parameters {
 public:
  // How a new tensor starts: normal with this standard deviation, or one value everywhere.
  struct Init {
    double deviation = 0;
    double value = 0;
  };

  // Whether new tensors are drawn at once, or stay blank until flatten(), for a model whose weights come from files: no
  // float32 copy of them is ever made. A blank tensor must not be written before flatten().
  enum class Start { kDrawn, kBlank };

  explicit Parameters(int64_t seed, Start start = Start::kDrawn) : seed_(seed), start_(start) {}

  // A leaf that requires a gradient; matrices are decayed, vectors are not.
  Tensor add(const std::string& name, at::IntArrayRef shape, Init init);
  // Moves every tensor into the flat buffers; the handles given out stay valid. Once, after the model is complete.
  // `dtype` is that of the matrices; vectors have at least float32. Blank tensors become zero.
  // Tensors whose names begin with `second` have flat buffers of their own, and a learning rate of their own.
  void flatten(at::ScalarType dtype, at::Device device, const std::string& second = {});

  struct Entry {
    std::string name;
    Tensor tensor;
    Init init = {};
  };
  struct Group {  // one flat buffer and its gradient
    Tensor values;
    Tensor gradients;  // undefined until the first zero_gradients(): a model that only edits holds none
    bool decayed;
    bool second = false;
  };
  const std::vector<Entry>& entries() const { return entries_; }
  std::vector<Group>& groups() { return groups_; }
  const std::vector<Group>& groups() const { return groups_; }

  // Whether an entry lies in a group's buffer; there, entries follow each other in their order.
  bool is_of(const Entry& entry, const Group& group) const;
  // Draws a tensor's first values, the same that it would have started with.
  void draw(const Entry& entry) const;

  void zero_gradients();
  // The 2-norm over all gradients, in float32 (float64 for a float64 model).
  Tensor gradient_norm() const;
  void scale_gradients(double factor);

 private:
  Tensor drawn(const std::string& name, at::IntArrayRef shape, const Init& init) const;

  int64_t seed_;
  Start start_;
  std::string second_;
  std::vector<Entry> entries_;
  std::vector<Group> groups_;
};

// x [T, in], weight [out, in] -> [T, out]; float32 masters are cast to x's dtype.
Tensor project(const Tensor& x, const Tensor& weight);
// residual + x weight^T, in one pass.
Tensor add_projected(const Tensor& residual, const Tensor& x, const Tensor& weight);

// Half-width activations in float32: heads, losses and decisions are never computed in half width.
inline Tensor widen(const Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

}  // namespace merge::nn
