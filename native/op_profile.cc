// The recorder of profile_ops: libtorch tells each op's begin and end; what an op calls is taken off its time.
#include "op_profile.h"

#include <ATen/record_function.h>

#include <chrono>
#include <set>
#include <string_view>

namespace merge {
namespace {

using Clock = std::chrono::steady_clock;

struct Cost {
  double calls = 0, milliseconds = 0;
};

struct Frame : at::ObserverContext {
  std::string name;
  Clock::time_point start;
  double inner_milliseconds = 0;
  Frame* outer = nullptr;
};

struct Recorder {
  at::CallbackHandle handle = 0;
  bool is_on = false;
  Frame* innermost = nullptr;
  std::map<std::string, Cost> costs;
};

thread_local Recorder recorder;

std::string kind_of(const char* op, const Frame* outer) {
  static const std::set<std::string_view> products{"aten::mm",
                                                   "aten::addmm",
                                                   "aten::bmm",
                                                   "aten::mv",
                                                   "aten::baddbmm",
                                                   "aten::addmm_",
                                                   "aten::dot",
                                                   "aten::linear",
                                                   "aten::_addmm_activation",
                                                   "mkldnn::_linear_pointwise"};
  const std::string_view name(op);
  const bool is_inside = outer && outer->name == "attention";
  if (is_inside || name.find("ttention") != std::string_view::npos) return "attention";
  if (products.contains(name)) return "gemm";
  // The backward of an op of ours has the name of its class: torch::autograd::CppNode<merge::ops::(..)::Swiglu>.
  const size_t begin = name.rfind("::");
  if (name.starts_with("torch::autograd::CppNode<") && name.ends_with(">")) {
    return std::string(name.substr(begin + 2, name.size() - begin - 3)) + " backward";
  }
  return std::string(name);
}

std::unique_ptr<at::ObserverContext> begun(const at::RecordFunction& function) {
  auto frame = std::make_unique<Frame>();
  frame->outer = recorder.innermost;
  frame->name = kind_of(function.name(), frame->outer);
  recorder.innermost = frame.get();
  frame->start = Clock::now();
  return frame;
}

void ended(const at::RecordFunction&, at::ObserverContext* context) {
  // One that began before the recorder did has no frame.
  if (!context) return;
  Frame& frame = *static_cast<Frame*>(context);
  const double all = std::chrono::duration<double, std::milli>(Clock::now() - frame.start).count();
  recorder.innermost = frame.outer;
  if (frame.outer) frame.outer->inner_milliseconds += all;
  Cost& cost = recorder.costs[frame.name];
  cost.calls += 1;
  cost.milliseconds += all - frame.inner_milliseconds;
}

void stop() {
  if (recorder.is_on) at::removeCallback(recorder.handle);
  recorder.is_on = false;
  recorder.innermost = nullptr;
}

}  // namespace

Arrays profile_ops(const Record& options) {
  const bool begins = options.flag("begin");
  stop();
  Arrays result;
  for (const auto& [name, cost] : recorder.costs) {
    result[name] = std::vector<double>{cost.calls, cost.milliseconds};
  }
  recorder.costs.clear();
  if (!begins) return result;
  recorder.handle = at::addThreadLocalCallback(at::RecordFunctionCallback(&begun, &ended));
  recorder.is_on = true;
  return {};
}

}  // namespace merge
