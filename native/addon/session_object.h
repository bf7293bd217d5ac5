// SessionObject: the JavaScript object around a HostedSession; `NativeSession` of src/native.ts.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>

#include "hosted_session.h"

namespace merge {

class SessionObject : public Napi::ObjectWrap<SessionObject> {
 public:
  // Makes the class of this environment; JavaScript cannot construct it, only make() can.
  static Napi::Function define(Napi::Env env);
  static Napi::Value make(Napi::Env env, std::shared_ptr<HostedSession> hosted);

  explicit SessionObject(const Napi::CallbackInfo& info);

  // Hides ObjectWrap's: refuses objects that are not ours before it looks inside.
  static SessionObject* Unwrap(Napi::Object object);

 private:
  // Runs on the compute thread with the session.
  using Call = std::function<Environment::Answer(HostedSession&)>;

  Napi::Value train_step(const Napi::CallbackInfo& info);
  Napi::Value evaluate(const Napi::CallbackInfo& info);
  Napi::Value refine_round(const Napi::CallbackInfo& info);
  Napi::Value denoise(const Napi::CallbackInfo& info);
  Napi::Value remember(const Napi::CallbackInfo& info);
  Napi::Value forget(const Napi::CallbackInfo& info);
  Napi::Value next_tokens(const Napi::CallbackInfo& info);
  Napi::Value predict_lengths(const Napi::CallbackInfo& info);
  Napi::Value policy_logs(const Napi::CallbackInfo& info);
  Napi::Value policy_step(const Napi::CallbackInfo& info);
  Napi::Value inspect(const Napi::CallbackInfo& info);
  Napi::Value inspect_behind(const Napi::CallbackInfo& info);
  Napi::Value save(const Napi::CallbackInfo& info);
  Napi::Value load(const Napi::CallbackInfo& info);
  Napi::Value read_pieces(const Napi::CallbackInfo& info);
  Napi::Value write_pieces(const Napi::CallbackInfo& info);
  Napi::Value draw(const Napi::CallbackInfo& info);
  Napi::Value import_weights(const Napi::CallbackInfo& info);
  Napi::Value parameters(const Napi::CallbackInfo& info);
  Napi::Value memory(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  // Call it after all arguments are read: reading them may run a getter that disposes this very session.
  Napi::Value submit(const Napi::CallbackInfo& info, Call call);

  std::shared_ptr<HostedSession> hosted_;  // empty once disposed
  std::shared_ptr<Lane> lane_;
};

}  // namespace merge
