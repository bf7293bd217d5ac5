// Parameters: every learned tensor of a model by name, laid out in two flat buffers (decayed and not) so that clipping
// is one norm and the optimizer one call.
#pragma once

#include <functional>
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
  // Chosen tensors never learn: no gradient, no state of an optimizer, no decay. Before flatten().
  void freeze(const std::function<bool(const std::string& name)>& chosen);
  // Moves every tensor into the flat buffers; the handles given out stay valid. Once, after the model is complete.
  // `dtype` is that of the matrices; vectors, and whatever learns beside frozen tensors, have at least float32. Blank
  // tensors become zero. Tensors whose names begin with `second` have flat buffers of their own, and a learning rate of
  // their own.
  void flatten(at::ScalarType dtype, at::Device device, const std::string& second = {});

  struct Entry {
    std::string name;
    Tensor tensor;
    Init init = {};
    bool frozen = false;
  };
  struct Group {  // one flat buffer of what learns, and its gradient
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
  // Bytes of all values, learned and frozen.
  int64_t bytes() const;

  // A low-rank update of rows of a matrix, `begin` .. begin + b.size(0): scale b a is added to them.
  struct Adapter {
    std::string matrix;
    int64_t begin;
    Tensor a, b;
    double scale;
  };
  void adapt(Adapter adapter) { adapters_.push_back(std::move(adapter)); }
  const std::vector<Adapter>& adapters() const { return adapters_; }

  // Draws a tensor's first values, the same that it would have started with.
  void draw(const Entry& entry) const;

  void zero_gradients();
  // The 2-norm over all gradients, in float32 (float64 for a float64 model).
  Tensor gradient_norm() const;
  void scale_gradients(double factor);

 private:
  // Moves the tensors that belong into a new flat buffer.
  Tensor laid_out(const at::TensorOptions& options, const std::function<bool(const Entry&)>& belongs);
  Tensor drawn(const std::string& name, at::IntArrayRef shape, const Init& init) const;

  int64_t seed_;
  Start start_;
  std::string second_;
  std::vector<Entry> entries_;
  std::vector<Group> groups_;
  std::vector<Tensor> frozen_;  // flat buffers of what never learns
  std::vector<Adapter> adapters_;
};

}  // namespace merge::nn
