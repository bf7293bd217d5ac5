// The list of what run_op can do, and how arrays become tensors and rows.
#include "operation.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>

#include "guard.h"
#include "merge/alignment_losses.h"
#include "merge/literal_losses.h"
#include "merge/oracle.h"
#include "op_profile.h"
#include "op_timing.h"
#include "ops/bernoulli_st.h"
#include "ops/counts_st.h"
#include "ops/pointer_st.h"

namespace merge {
namespace {

template <typename T>
const std::vector<T>* find(const Arrays& arrays, const std::string& name) {
  const auto found = arrays.find(name);
  return found == arrays.end() ? nullptr : std::get_if<std::vector<T>>(&found->second);
}

template <typename T>
Tensor tensor_of(const std::vector<T>& values, at::ScalarType type) {
  Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, type);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<T>());
  return tensor;
}

template <typename T>
std::vector<T> vector_of(const Tensor& tensor) {
  const Tensor flat = tensor.detach().contiguous();
  return {flat.const_data_ptr<T>(), flat.const_data_ptr<T>() + flat.numel()};
}

Array array_of(const Tensor& tensor) {
  if (tensor.scalar_type() == at::kDouble) return vector_of<double>(tensor);
  return vector_of<float>(tensor);
}

// One call's options and arrays, read by name.
struct Call {
  const Record& options;
  const Arrays& arrays;

  bool has(const std::string& name) const { return arrays.contains(name); }
  Tensor floats(const std::string& name) const {
    if (const auto* narrow = find<float>(arrays, name)) return tensor_of(*narrow, at::kFloat);
    if (const auto* wide = find<double>(arrays, name)) return tensor_of(*wide, at::kDouble);
    throw Error("ERR_CONFIG", name + ": expected a Float32Array or a Float64Array, received another or none");
  }
  // With a gradient.
  Tensor leaf(const std::string& name) const { return floats(name).requires_grad_(true); }
  const std::vector<int32_t>& integers(const std::string& name) const {
    if (const auto* values = find<int32_t>(arrays, name)) return *values;
    throw Error("ERR_CONFIG", name + ": expected an Int32Array, received another or none");
  }
  // Rows of `count` members.
  Offsets offsets(const std::string& name, int64_t count) const {
    const auto& values = integers(name);
    bool fits = !values.empty() && values.front() == 0 && values.back() == count;
    for (size_t r = 1; fits && r < values.size(); ++r) fits = values[r - 1] <= values[r];
    if (!fits) {
      throw Error("ERR_SHAPE", name + ": expected offsets that run from 0 to " + std::to_string(count) +
                                   " and never fall, received others");
    }
    return {values.begin(), values.end()};
  }
  Rows rows(const std::string& tokens, const std::string& ends) const {
    Rows rows;
    rows.tokens = integers(tokens);
    offsets(ends, static_cast<int64_t>(rows.tokens.size()));
    rows.offsets = integers(ends);
    return rows;
  }
  Random random(Purpose purpose) const {
    return Random(static_cast<uint64_t>(options.integer("seed")), static_cast<uint64_t>(options.integer("step")),
                  static_cast<uint64_t>(options.integer("round")), purpose);
  }
};

// Each member's row.
Tensor row_numbers(const Offsets& offsets) {
  std::vector<int64_t> rows;
  for (size_t r = 0; r + 1 < offsets.size(); ++r)
    rows.insert(rows.end(), offsets[r + 1] - offsets[r], static_cast<int64_t>(r));
  return tensor_of(rows, at::kLong);
}

Arrays drawn(const Call& call, const Tensor& input, const ops::StraightThrough& both) {
  Arrays result{{"sample", array_of(both.sample)}, {"relaxed", array_of(both.relaxed)}};
  if (!call.has("upstream")) return result;
  const Tensor upstream = call.floats("upstream");
  if (upstream.sizes() != both.sample.sizes() || upstream.scalar_type() != both.sample.scalar_type()) {
    throw Error("ERR_SHAPE", "upstream: expected " + std::to_string(both.sample.numel()) +
                                 " numbers of the input's width, received others");
  }
  result["gradient"] = array_of(torch::autograd::grad({both.sample}, {input}, {upstream})[0]);
  return result;
}

Arrays bernoulli(const Call& call) {
  const Tensor logits = call.leaf("logits");
  const Tensor noise = ops::logistic_noise(call.offsets("offsets", logits.numel()), call.random(Purpose::kBernoulliSt));
  Arrays result = drawn(call, logits, ops::bernoulli_st(logits, noise, call.options.number("temperature")));
  result["noise"] = array_of(noise);
  return result;
}

Arrays pointer(const Call& call) {
  const Tensor scores = call.leaf("scores");
  const Offsets offsets = call.offsets("offsets", scores.numel());
  const std::vector<int64_t> k(call.integers("k").begin(), call.integers("k").end());
  const Tensor noise = ops::gumbel_noise(offsets, call.random(Purpose::kPointerSt));
  const double temperature = call.options.number("temperature");
  Arrays result = drawn(call, scores,
                        call.options.flag("repeats") ? ops::pointer_counts_st(scores, noise, offsets, k, temperature)
                                                     : ops::pointer_st(scores, noise, offsets, k, temperature));
  result["noise"] = array_of(noise);
  return result;
}

Arrays counts(const Call& call) {
  const Tensor expected = call.leaf("expected");
  return drawn(call, expected, ops::counts_st(expected, call.offsets("offsets", expected.numel())));
}

// For each token of X the token of Y that the oracle matches with it, or -1.
Arrays alignment(const Call& call) {
  const Rows x = call.rows("x", "xOffsets"), y = call.rows("y", "yOffsets");
  if (x.count() != y.count()) {
    throw Error("ERR_SHAPE", "yOffsets: expected " + std::to_string(x.count()) + " rows, as many as X has, received " +
                                 std::to_string(y.count()));
  }
  std::vector<int32_t> matches(x.tokens.size(), -1);
  at::parallel_for(0, x.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (const auto& [i, j] : align(x.row(r), y.row(r))) matches[x.offsets[r] + i] = j;
    }
  });
  return {{"matches", std::move(matches)}};
}

// A loss and its gradient by each of its inputs, under `<input>Gradient`.
Arrays judged(const Tensor& loss, const std::map<std::string, Tensor>& inputs) {
  loss.backward();
  Arrays result{{"loss", array_of(loss.view({1}))}};
  for (const auto& [name, input] : inputs) {
    result[name + "Gradient"] = array_of(input.grad().defined() ? input.grad() : at::zeros_like(input));
  }
  return result;
}

// Loss of positions: logits [M x vocabulary], offsets, targets, targetOffsets.
template <typename Loss>
Arrays judged_positions(const Call& call, const Loss& loss) {
  const int64_t vocabulary = call.options.integer("vocabulary");
  const Tensor logits = call.leaf("logits");
  if (vocabulary < 1 || logits.numel() % vocabulary != 0) {
    throw Error("ERR_SHAPE", "logits: expected rows of " + std::to_string(vocabulary) + " numbers, received " +
                                 std::to_string(logits.numel()) + " numbers");
  }
  const Offsets offsets = call.offsets("offsets", logits.numel() / vocabulary);
  const Rows targets = call.rows("targets", "targetOffsets");
  return judged(loss(logits.view({-1, vocabulary}), offsets, targets), {{"logits", logits}});
}

int64_t blank_of(const Call& call) { return call.options.integer("blank"); }

const std::map<std::string, std::function<Arrays(const Call&)>>& operations() {
  static const std::map<std::string, std::function<Arrays(const Call&)>> all{
      {"bernoulliSt", bernoulli},
      {"pointerSt", pointer},
      {"countsSt", counts},
      {"align", alignment},
      {"timeOp", [](const Call& call) { return time_op(call.options); }},
      {"profileOps", [](const Call& call) { return profile_ops(call.options); }},
      {"literalRecon", [](const Call& call) { return judged_positions(call, literal_recon); }},
      {"literalCompression",
       [](const Call& call) {
         const Tensor keep = call.leaf("keepLogits"), gate = call.leaf("gate");
         const Offsets offsets = call.offsets("offsets", keep.numel());
         if (gate.numel() + 1 != static_cast<int64_t>(offsets.size())) {
           throw Error("ERR_SHAPE", "gate: expected one number for each row, received " + std::to_string(gate.numel()));
         }
         const Tensor rows = row_numbers(offsets);
         return judged(literal_compression(keep, rows, gate, call.options.number("keepReduction")),
                       {{"keepLogits", keep}, {"gate", gate}});
       }},
      {"literalPointer",
       [](const Call& call) {
         const Tensor scores = call.leaf("scores");
         const Offsets offsets = call.offsets("offsets", scores.numel());
         return judged(literal_pointer(scores, row_numbers(offsets), static_cast<int64_t>(offsets.size()) - 1),
                       {{"scores", scores}});
       }},
      {"literalGate",
       [](const Call& call) {
         const Tensor gate = call.leaf("gateLogits");
         return judged(literal_gate(gate, call.options.number("gateCost")), {{"gateLogits", gate}});
       }},
      {"literalLength",
       [](const Call& call) {
         const Tensor keep = call.leaf("keepLogits");
         const Offsets offsets = call.offsets("offsets", keep.numel());
         return judged(literal_length(keep, row_numbers(offsets), static_cast<int64_t>(offsets.size()) - 1),
                       {{"keepLogits", keep}});
       }},
      {"axe",
       [](const Call& call) {
         return judged_positions(call, [&](const Tensor& logits, const Offsets& offsets, const Rows& targets) {
           return axe(logits, offsets, targets, blank_of(call), call.options.number("penalty"));
         });
       }},
      {"oaxe",
       [](const Call& call) {
         return judged_positions(call, [&](const Tensor& logits, const Offsets& offsets, const Rows& targets) {
           return oaxe(logits, offsets, targets, blank_of(call));
         });
       }},
      {"ctc",
       [](const Call& call) {
         return judged_positions(call, [&](const Tensor& logits, const Offsets& offsets, const Rows& targets) {
           return ctc(logits, offsets, targets, blank_of(call));
         });
       }},
  };
  return all;
}

}  // namespace

Arrays run_op(const std::string& name, const Record& options, const Arrays& arrays) {
  return guarded([&] {
    const auto found = operations().find(name);
    if (found == operations().end()) {
      const std::string received = name.size() > 40 ? std::to_string(name.size()) + " bytes" : "\"" + name + "\"";
      throw Error("ERR_CONFIG", "op: expected a known name, received " + received);
    }
    return found->second({options, arrays});
  });
}

}  // namespace merge
