// Each method: read the arguments here, call the engine on the compute thread, make the result here again.
#include "session_object.h"

#include <utility>

#include "answers.h"
#include "arguments.h"

namespace merge {

namespace {

// Marks our objects; `instanceof` and a borrowed method can be fooled, a tag cannot.
constexpr napi_type_tag kSessionTag = {0x6d657267656c6d01, 0x53657373696f6e00};

// What make() hands to the constructor that it calls.
thread_local std::shared_ptr<HostedSession>* newcomer = nullptr;

constexpr int64_t kLargestGeneration = 9007199254740991;
const std::vector<std::string> kFileDtypes = {"float32", "bfloat16"};
constexpr int64_t kMostDenoisingSteps = 1 << 20;
const std::vector<std::string> kWays = {"cached", "whole"};
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

CachedRows read_cached_rows(const Napi::Value& value, const std::string& name) {
  CachedRows cached{0, read_rows(value, name), {}, {}};
  const auto object = value.As<Napi::Object>();
  cached.generation = read_integer(object.Get("generation"), name + ".generation", 0, kLargestGeneration);
  cached.positions = read_int32s(object.Get("positions"), name + ".positions");
  cached.slots = read_int32s(object.Get("slots"), name + ".slots");
  return cached;
}

NextInput read_next_input(const Napi::CallbackInfo& info) {
  NextInput input{0, read_rows(info[1], "rows"), {}, {}, {}};
  const auto object = info[1].As<Napi::Object>();
  input.generation = read_integer(object.Get("generation"), "rows.generation", 0, kLargestGeneration);
  input.slots = read_int32s(object.Get("slots"), "rows.slots");
  input.stop = read_int32s(info[2], "stop");
  input.columns_B = read_columns(info[3], "columns");
  return input;
}

WeightPieces read_weight_pieces(const Napi::Value& value) {
  if (!value.IsObject()) throw Error("ERR_INPUT", "pieces: expected {tensors, parameters, begins, rows}");
  const auto object = value.As<Napi::Object>();
  return {read_strings(object.Get("tensors"), "pieces.tensors"),
          read_strings(object.Get("parameters"), "pieces.parameters"),
          read_int32s(object.Get("begins"), "pieces.begins"), read_int32s(object.Get("rows"), "pieces.rows")};
}

Trajectory read_trajectory(const Napi::Value& value, const std::string& name) {
  Trajectory run;
  run.rows = read_rows(value, name);
  const auto object = value.As<Napi::Object>();
  run.prompts_B = read_int32s(object.Get("prompts"), name + ".prompts");
  run.steps = read_integer(object.Get("steps"), name + ".steps", 1, kMostDenoisingSteps);
  run.states_SA = read_int32s(object.Get("states"), name + ".states");
  run.ranks_SA = read_int32s(object.Get("ranks"), name + ".ranks");
  run.forbidden = read_int32s(object.Get("forbidden"), name + ".forbidden");
  run.columns = read_columns(object.Get("columns"), name + ".columns");
  return run;
}

}  // namespace

Napi::Function SessionObject::define(Napi::Env env) {
  return DefineClass(env, "NativeSession",
                     {
                         InstanceMethod<&SessionObject::train_step>("trainStep"),
                         InstanceMethod<&SessionObject::evaluate>("evaluate"),
                         InstanceMethod<&SessionObject::refine_round>("refineRound"),
                         InstanceMethod<&SessionObject::denoise>("denoise"),
                         InstanceMethod<&SessionObject::remember>("remember"),
                         InstanceMethod<&SessionObject::forget>("forget"),
                         InstanceMethod<&SessionObject::next_tokens>("nextTokens"),
                         InstanceMethod<&SessionObject::predict_lengths>("predictLengths"),
                         InstanceMethod<&SessionObject::policy_logs>("policyLogs"),
                         InstanceMethod<&SessionObject::policy_step>("policyStep"),
                         InstanceMethod<&SessionObject::inspect>("inspect"),
                         InstanceMethod<&SessionObject::inspect_behind>("inspectBehind"),
                         InstanceMethod<&SessionObject::save>("save"),
                         InstanceMethod<&SessionObject::load>("load"),
                         InstanceMethod<&SessionObject::read_pieces>("readPieces"),
                         InstanceMethod<&SessionObject::write_pieces>("writePieces"),
                         InstanceMethod<&SessionObject::draw>("draw"),
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
    RoundInput input{read_rows(info[1], "rows"), {}, {}, read_conditions(info[4]), {}};
    if (!info[5].IsUndefined()) input.parents_B = read_int32s(info[5], "parents");
    const auto tokens = static_cast<int64_t>(input.rows.tokens.size());
    input.locked_N = read_flags(info[2], "locked", tokens, 1);
    input.open_G = read_flags(info[3], "open", tokens + input.rows.count(), 2);
    return submit(info, [options = std::move(options), input = std::move(input)](HostedSession& hosted) {
      return answer_with(hosted.session().refine_round(options, input));
    });
  });
}

Napi::Value SessionObject::denoise(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    Record options = read_record(info[0], "options");
    DenoiseInput input{read_cached_rows(info[1], "blocks"), {}, {}, {}};
    input.fate_N = read_flags(info[2], "fate", static_cast<int64_t>(input.blocks.rows.tokens.size()), 2);
    input.forbidden = read_int32s(info[3], "forbidden");
    input.columns_B = read_columns(info[4], "columns");
    return submit(info, [options = std::move(options), input = std::move(input)](HostedSession& hosted) {
      return answer_with(hosted.session().denoise(options, input));
    });
  });
}

Napi::Value SessionObject::remember(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info, [input = read_cached_rows(info[0], "rows")](HostedSession& hosted) -> Environment::Answer {
      hosted.session().remember(input);
      hosted.weigh();
      return nullptr;
    });
  });
}

Napi::Value SessionObject::forget(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info,
                  [generation = read_integer(info[0], "generation", 0, kLargestGeneration),
                   slots = read_int32s(info[1], "slots")](HostedSession& hosted) -> Environment::Answer {
                    hosted.session().forget(generation, slots);
                    hosted.weigh();
                    return nullptr;
                  });
  });
}

Napi::Value SessionObject::next_tokens(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info,
                  [options = read_record(info[0], "options"), input = read_next_input(info)](HostedSession& hosted) {
                    NextOutput output = hosted.session().next_tokens(options, input);
                    hosted.weigh();
                    return answer_with(std::move(output));
                  });
  });
}

Napi::Value SessionObject::predict_lengths(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info, [options = read_record(info[0], "options"),
                         sources = read_cached_rows(info[1], "sources")](HostedSession& hosted) {
      LengthOutput output = hosted.session().predict_lengths(options, sources);
      hosted.weigh();
      return answer_with(std::move(output));
    });
  });
}

Napi::Value SessionObject::policy_logs(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info, [options = read_record(info[0], "options"), run = read_trajectory(info[1], "run")](
                            HostedSession& hosted) { return answer_with(hosted.session().policy_logs(options, run)); });
  });
}

Napi::Value SessionObject::policy_step(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info,
                  [step = read_record(info[0], "step"), run = read_trajectory(info[1], "run")](HostedSession& hosted) {
                    Record report = hosted.session().policy_step(step, run);
                    hosted.weigh();
                    return answer_with(std::move(report));
                  });
  });
}

Napi::Value SessionObject::inspect(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info, [rows = read_rows(info[0], "rows"), outputs = read_strings(info[1], "outputs")](
                            HostedSession& hosted) { return answer_with(hosted.session().inspect(rows, outputs)); });
  });
}

Napi::Value SessionObject::inspect_behind(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info, [prompts = read_rows(info[0], "prompts"), rows = read_rows(info[1], "rows"),
                         way = read_choice(info[2], "way", kWays),
                         outputs = read_strings(info[3], "outputs")](HostedSession& hosted) {
      return answer_with(hosted.session().inspect_behind(prompts, rows, way, outputs));
    });
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

Napi::Value SessionObject::read_pieces(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info,
                  [path = read_path(info[0], "path"),
                   pieces = read_weight_pieces(info[1])](HostedSession& hosted) -> Environment::Answer {
                    hosted.session().read_pieces(path, pieces);
                    return nullptr;
                  });
  });
}

Napi::Value SessionObject::write_pieces(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info,
                  [path = read_path(info[0], "path"), pieces = read_weight_pieces(info[1]),
                   dtype = read_choice(info[2], "dtype", kFileDtypes)](HostedSession& hosted) -> Environment::Answer {
                    hosted.session().write_pieces(path, pieces, dtype);
                    return nullptr;
                  });
  });
}

Napi::Value SessionObject::draw(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    return submit(info, [names = read_strings(info[0], "parameters")](HostedSession& hosted) -> Environment::Answer {
      hosted.session().draw(names);
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
