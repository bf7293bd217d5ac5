// Environment: one JavaScript environment's (main thread's or worker's) side of the compute thread: its promises.
#pragma once

#include <napi.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "compute_thread.h"
#include "failure.h"

namespace merge {

// Made when an environment loads the addon, closed when it ends. Members without a note belong to its JavaScript
// thread.
class Environment : public std::enable_shared_from_this<Environment> {
 public:
  using Answer = std::function<Napi::Value(Napi::Env)>;  // JavaScript thread: makes the promise's value
  using Work = std::function<Answer()>;                  // the other thread; what it throws rejects the promise

  static void open(Napi::Env env);
  static Environment& of(Napi::Env env);
  explicit Environment(Napi::Env env);

  // Runs `work` on the compute thread when its turn comes. While promises are open the process stays alive.
  Napi::Promise run(const std::shared_ptr<Lane>& lane, Work work);
  // Runs `work`, which needs no engine, on a thread of its own.
  Napi::Promise run_apart(Work work);

  // Cancels and drops this environment's jobs, waits for the running one, settles nothing any more. Twice is fine.
  void close();

  int64_t owner() const { return owner_; }
  // For calls that belong to no session.
  const std::shared_ptr<Lane>& lane() const { return lane_; }

  // Any thread: this environment's sessions hold so many bytes more (or fewer); V8 is told soon after.
  void add_bytes(int64_t difference);

  Napi::FunctionReference session_class;

 private:
  // A result on its way to the JavaScript thread; ticket 0 only wakes it.
  struct Letter {
    int64_t ticket = 0;
    Answer answer;
    std::optional<Failure> failure;
  };

  int64_t expect(Napi::Promise::Deferred deferred);
  std::function<void()> job_of(int64_t ticket, Work work);
  void post(Letter letter);  // any thread
  void deliver();
  void settle(const Letter& letter);
  void report_bytes();

  static void on_wake(napi_env env, napi_value, void* context, void*);
  static void on_cleanup(void* self);

  const Napi::Env env_;
  const int64_t owner_;
  const std::shared_ptr<Lane> lane_;
  std::unordered_map<int64_t, Napi::Promise::Deferred> waiting_;
  int64_t next_ticket_ = 1;
  int64_t reported_bytes_ = 0;
  std::atomic<int64_t> bytes_{0};

  std::mutex mutex_;  // guards the three below
  std::vector<Letter> letters_;
  bool woken_ = false;
  bool closed_ = false;
  napi_threadsafe_function bell_ = nullptr;
};

// Runs the body of an exported function: whatever it throws becomes a rejected promise.
template <typename Body>
Napi::Value promised(const Napi::CallbackInfo& info, const Body& body) {
  const auto rejected = [&](napi_value reason) -> Napi::Value {
    const auto deferred = Napi::Promise::Deferred::New(info.Env());
    deferred.Reject(reason);
    return deferred.Promise();
  };
  try {
    return body();
  } catch (const Napi::Error& error) {
    return rejected(error.Value());
  } catch (...) {
    return rejected(to_error(info.Env(), current_failure()).Value());
  }
}

}  // namespace merge
