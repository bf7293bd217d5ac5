// Each method: read the arguments here, call the engine on the compute thread, make the result here again.
#include "session_object.h"

#include <utility>

#include "conversion.h"

namespace merge {

namespace {

// Marks our objects; `instanceof` and a borrowed method can be fooled, a tag cannot.
constexpr napi_type_tag kSessionTag = {0x6d657267656c6d01, 0x53657373696f6e00};

// What make() hands to the constructor that it calls.
thread_local std::shared_ptr<HostedSession>* newcomer = nullptr;

const std::vector<std::string> kParts = {"model", "optimizer"};

// An answer that owns a result of the engine.
template <typename Result>
Environment::Answer answer_with(Result result) {
  return [shared = std::make_shared<Result>(std::move(result))](Napi::Env env) { return to_value(env, *shared); };
}

// Rows that may be left out.
Rows read_conditions(const Napi::Value& value) { return value.IsUndefined() ? Rows() : read_rows(value, "conditions"); }

std::vector<Record> read_records(const Napi::Value& value, const std::string& name) {
  if (!value.IsArray()) throw Error("ERR_INPUT", name + ": expected an array of plain objects");
  const auto array = value.As<Napi::Array>();
  std::vector<Record> records;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::HandleScope scope(value.Env());
    records.push_back(read_record(array.Get(i), name + "[" + std::to_string(i) + "]"));
  }
  return records;
}

TrainBatch read_batch(const Napi::CallbackInfo& info) {
  TrainBatch batch{read_rows(info[1], "drafts"), read_rows(info[2], "targets"), read_conditions(info[3])};
  if (batch.drafts.count() != batch.targets.count()) {
    throw Error("ERR_SHAPE", "targets: expected " + std::to_string(batch.drafts.count()) +
                                 " rows, one for each draft, received " + std::to_string(batch.targets.count()));
  }
  return batch;
}

}  // namespace

Napi::Function SessionObject::define(Napi::Env env) {
  return DefineClass(env, "NativeSession",
                     {
                         InstanceMethod<&SessionObject::train_step>("trainStep"),
                         InstanceMethod<&SessionObject::evaluate>("evaluate"),
                         InstanceMethod<&SessionObject::refine_round>("refineRound"),
                         InstanceMethod<&SessionObject::inspect>("inspect"),
                         InstanceMethod<&SessionObject::save>("save"),
                         InstanceMethod<&SessionObject::load>("load"),
                         InstanceMethod<&SessionObject::import_weights>("importWeights"),
                         InstanceMethod<&SessionObject::parameters>("parameters"),
                         InstanceMethod<&SessionObject::memory>("memory"),
                         InstanceMethod<&SessionObject::dispose>("dispose"),
                     });
}

Napi::Value SessionObject::make(Napi::Env env, std::shared_ptr<HostedSession> hosted) {
  newcomer = &hosted;
  try {
    const Napi::Object object = Environment::of(env).session_class.New({});
    newcomer = nullptr;
    return object;
  } catch (...) {
    newcomer = nullptr;
    throw;
  }
}

SessionObject::SessionObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SessionObject>(info) {
  auto* const given = std::exchange(newcomer, nullptr);
  if (given == nullptr) {
    throw to_error(info.Env(), {"ERR_INPUT", "NativeSession: expected a call of open(), received `new`"});
  }
  info.This().As<Napi::Object>().TypeTag(&kSessionTag);
  hosted_ = std::move(*given);
  lane_ = hosted_->lane();
}

SessionObject* SessionObject::Unwrap(Napi::Object object) {
  if (!object.CheckTypeTag(&kSessionTag)) {
    throw to_error(object.Env(), {"ERR_INPUT", "this: expected a session, received another object"});
  }
  return Napi::ObjectWrap<SessionObject>::Unwrap(object);
}

Napi::Value SessionObject::submit(const Napi::CallbackInfo& info, Call call) {
  if (!hosted_) throw Error("ERR_DISPOSED", "session: expected one in use, received a disposed one");
  return Environment::of(info.Env()).run(lane_, [hosted = hosted_, call = std::move(call)] {
    hosted->check_wanted();
    return call(*hosted);
  });
}

Napi::Value SessionObject::train_step(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info, [step = read_record(info[0], "step"), batch = read_batch(info)](HostedSession& hosted) {
      Record report = hosted.session().train_step(step, batch);
      hosted.weigh();
      return answer_with(std::move(report));
    });
  });
}

Napi::Value SessionObject::evaluate(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info, [step = read_record(info[0], "step"), batch = read_batch(info)](HostedSession& hosted) {
      return answer_with(hosted.session().evaluate(step, batch));
    });
  });
}

Napi::Value SessionObject::refine_round(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    Record options = read_record(info[0], "options");
    RoundInput input{read_rows(info[1], "rows"), {}, {}, read_conditions(info[4])};
    const auto tokens = static_cast<int64_t>(input.rows.tokens.size());
    input.locked_N = read_flags(info[2], "locked", tokens, 1);
    input.open_G = read_flags(info[3], "open", tokens + input.rows.count(), 2);
    return submit(info, [options = std::move(options), input = std::move(input)](HostedSession& hosted) {
      return answer_with(hosted.session().refine_round(options, input));
    });
  });
}

Napi::Value SessionObject::inspect(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info, [rows = read_rows(info[0], "rows"), outputs = read_strings(info[1], "outputs")](
                            HostedSession& hosted) { return answer_with(hosted.session().inspect(rows, outputs)); });
  });
}

Napi::Value SessionObject::save(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info,
                  [path = read_path(info[0], "path"),
                   part = read_choice(info[1], "part", kParts)](HostedSession& hosted) -> Environment::Answer {
                    hosted.session().save(path, part);
                    return nullptr;
                  });
  });
}

Napi::Value SessionObject::load(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info,
                  [path = read_path(info[0], "path"),
                   part = read_choice(info[1], "part", kParts)](HostedSession& hosted) -> Environment::Answer {
                    hosted.session().load(path, part);
                    hosted.weigh();
                    return nullptr;
                  });
  });
}

Napi::Value SessionObject::import_weights(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info, [sources = read_records(info[0], "sources")](HostedSession& hosted) -> Environment::Answer {
      hosted.session().import_weights(sources);
      return nullptr;
    });
  });
}

Napi::Value SessionObject::parameters(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info, [](HostedSession& hosted) { return answer_with(hosted.session().parameters()); });
  });
}

Napi::Value SessionObject::memory(const Napi::CallbackInfo& info) {
  return promised(
      info, [&] { return submit(info, [](HostedSession& hosted) { return answer_with(hosted.session().memory()); }); });
}

Napi::Value SessionObject::dispose(const Napi::CallbackInfo& info) {
  return promised(info, [&]() -> Napi::Value {
    if (hosted_) hosted_->cancel();
    // Last in the lane: earlier calls have ended by then, and this is where the model is freed. A second dispose()
    // carries nothing and resolves when the first has.
    return Environment::of(info.Env()).run(lane_, [last = std::exchange(hosted_, nullptr)]() -> Environment::Answer {
      return nullptr;
    });
  });
}

}  // namespace merge
