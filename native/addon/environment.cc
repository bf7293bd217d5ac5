// Promises of one environment: tickets out, letters back, one bell to wake the event loop.
#include "environment.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace merge {

namespace {

using SharedEnvironment = std::shared_ptr<Environment>;

constexpr int64_t kBytesPerReport = int64_t{512} << 20;  // V8 judges a larger single report badly

void check(napi_env env, napi_status status) {
  if (status != napi_ok) throw Napi::Error::New(env);
}

}  // namespace

void Environment::open(Napi::Env env) {
  auto shared = std::make_shared<Environment>(env);
  env.SetInstanceData(new SharedEnvironment(shared));
  auto* context = new SharedEnvironment(shared);
  check(env, napi_create_threadsafe_function(
                 env, nullptr, nullptr, Napi::String::New(env, "merge-lm"), 0, 1, context,
                 [](napi_env, void* data, void*) { delete static_cast<SharedEnvironment*>(data); }, context, on_wake,
                 &shared->bell_));
  check(env, napi_unref_threadsafe_function(env, shared->bell_));
  // Registered after the bell, so it runs before the bell is torn down.
  check(env, napi_add_env_cleanup_hook(env, on_cleanup, shared.get()));
}

Environment& Environment::of(Napi::Env env) { return **env.GetInstanceData<SharedEnvironment>(); }

Environment::Environment(Napi::Env env)
    : env_(env), owner_(ComputeThread::process().enter()), lane_(ComputeThread::process().open_lane(owner_)) {}

Napi::Promise Environment::run(const std::shared_ptr<Lane>& lane, Work work) {
  const auto deferred = Napi::Promise::Deferred::New(env_);
  const int64_t ticket = expect(deferred);
  Letter refusal{ticket, nullptr, Failure{"ERR_ABORTED", "merge-lm: this environment is ending"}};
  try {
    if (ComputeThread::process().submit(lane, job_of(ticket, std::move(work)))) return deferred.Promise();
  } catch (...) {
    refusal.failure = current_failure();
  }
  settle(refusal);
  return deferred.Promise();
}

Napi::Promise Environment::run_apart(Work work) {
  const auto deferred = Napi::Promise::Deferred::New(env_);
  const int64_t ticket = expect(deferred);
  try {
    // Detached: it holds all it needs, touches nothing static, and an environment that ends need not wait for it.
    std::thread(job_of(ticket, std::move(work))).detach();
  } catch (...) {
    settle({ticket, nullptr, current_failure()});
  }
  return deferred.Promise();
}

int64_t Environment::expect(Napi::Promise::Deferred deferred) {
  if (waiting_.empty()) napi_ref_threadsafe_function(env_, bell_);
  waiting_.emplace(next_ticket_, deferred);
  return next_ticket_++;
}

std::function<void()> Environment::job_of(int64_t ticket, Work work) {
  return [self = shared_from_this(), ticket, work = std::move(work)]() mutable {
    Letter letter{ticket, nullptr, std::nullopt};
    try {
      letter.answer = work();
    } catch (...) {
      letter.failure = current_failure();
    }
    // What the work held is let go before its promise settles, so that counts are true when the caller looks.
    work = nullptr;
    self->post(std::move(letter));
  };
}

void Environment::post(Letter letter) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) return;
  letters_.push_back(std::move(letter));
  // Under the lock: close() must not tear the bell down meanwhile.
  if (!std::exchange(woken_, true)) napi_call_threadsafe_function(bell_, nullptr, napi_tsfn_nonblocking);
}

void Environment::add_bytes(int64_t difference) {
  bytes_ += difference;
  post({});
}

void Environment::on_wake(napi_env env, napi_value, void* context, void*) {
  if (env == nullptr) return;  // the environment ends, and the context may be gone
  const SharedEnvironment self = *static_cast<SharedEnvironment*>(context);
  try {
    self->deliver();
  } catch (...) {
    // Only where JavaScript can no longer run, that is, in a worker that is being terminated.
  }
}

void Environment::deliver() {
  std::vector<Letter> letters;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    letters = std::exchange(letters_, {});
    woken_ = false;
  }
  report_bytes();
  for (const auto& letter : letters) {
    const Napi::HandleScope scope(env_);
    settle(letter);
  }
}

void Environment::settle(const Letter& letter) {
  const auto found = waiting_.find(letter.ticket);
  if (found == waiting_.end()) return;
  const Napi::Promise::Deferred deferred = found->second;
  waiting_.erase(found);
  if (waiting_.empty()) napi_unref_threadsafe_function(env_, bell_);
  Napi::Value reason;
  try {
    if (!letter.failure) return deferred.Resolve(letter.answer ? letter.answer(env_) : env_.Undefined());
    reason = to_error(env_, *letter.failure).Value();
  } catch (const Napi::Error& error) {
    reason = error.Value();
  } catch (...) {
    reason = to_error(env_, current_failure()).Value();
  }
  deferred.Reject(reason);
}

void Environment::report_bytes() {
  const int64_t now = bytes_;
  while (reported_bytes_ != now) {
    const int64_t step = std::clamp(now - reported_bytes_, -kBytesPerReport, kBytesPerReport);
    Napi::MemoryManagement::AdjustExternalMemory(env_, step);
    reported_bytes_ += step;
  }
}

void Environment::close() {
  ComputeThread::process().leave(owner_);
  std::vector<Letter> unread;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    unread = std::exchange(letters_, {});
  }
  if (!std::exchange(waiting_, {}).empty()) napi_unref_threadsafe_function(env_, bell_);
}

void Environment::on_cleanup(void* self) {
  // A copy, since this may be the last call that reaches it.
  const SharedEnvironment kept = static_cast<Environment*>(self)->shared_from_this();
  kept->close();
  try {
    // A job may hold the environment longer than this thread lives, and references may only be dropped here.
    kept->session_class.Reset();
  } catch (const Napi::Error&) {
    // The environment is past caring.
  }
}

}  // namespace merge
