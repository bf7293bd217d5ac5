// core.node: what `NativeAddon` of src/native.ts calls.
#include <dlfcn.h>
#include <napi.h>

#include <atomic>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "answers.h"
#include "arguments.h"
#include "compute_thread.h"
#include "engine.h"
#include "environment.h"
#include "hosted_session.h"
#include "operation.h"
#include "session_object.h"
#include "text/bpe_trainer.h"

namespace merge {

namespace {

constexpr int64_t kMostThreads = 1024;
constexpr int64_t kMostVocabulary = 10'000'000;

// Intra-op threads of the compute thread, 0 before start; of the process, as the thread is. Written there only.
std::atomic<int64_t> begun_threads{0};

void check_begun() {
  if (begun_threads == 0) throw Error("ERR_INTERNAL", "start: expected to be called first, received another call");
}

// start(threads)
Napi::Value start(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    const int64_t threads = read_integer(info[0], "threads", 1, kMostThreads);
    Environment& environment = Environment::of(info.Env());
    return environment.run(environment.lane(), [threads]() -> Environment::Answer {
      if (begun_threads == 0) {
        begin_compute_thread(threads);
        begun_threads = threads;
      }
      if (begun_threads != threads) {
        throw Error("ERR_CONFIG", "threads: expected " + std::to_string(begun_threads) +
                                      ", which this process has started with, received " + std::to_string(threads));
      }
      return nullptr;
    });
  });
}

// open(config)
Napi::Value open(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    Environment& environment = Environment::of(info.Env());
    const auto work = [config = read_record(info[0], "config"),
                       shared = environment.shared_from_this()]() -> Environment::Answer {
      check_begun();
      return [hosted = HostedSession::open(config, shared)](Napi::Env env) { return SessionObject::make(env, hosted); };
    };
    return environment.run(environment.lane(), work);
  });
}

// info()
Napi::Value engine_record(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    Environment& environment = Environment::of(info.Env());
    return environment.run(environment.lane(), []() -> Environment::Answer {
      check_begun();
      return [record = engine_info()](Napi::Env env) { return to_value(env, record); };
    });
  });
}

// memoryStats()
Napi::Value memory_stats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object stats = Napi::Object::New(env);
  const auto put_count = [&](const char* name, int64_t count) {
    put(stats, name, Napi::Number::New(env, static_cast<double>(count)));
  };
  put_count("sessions", HostedSession::live_sessions());
  put_count("bytes", HostedSession::live_bytes());
  put_count("queued", ComputeThread::process().queued());
  return stats;
}

// trainBpe(words, counts, vocabularySize, minFrequency, specialTokens)
Napi::Value train(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    auto words = read_strings(info[0], "words");
    const auto given = read_int32s(info[1], "counts");
    const int64_t vocabulary = read_integer(info[2], "vocabularySize", 1, kMostVocabulary);
    const int64_t frequency = read_integer(info[3], "minFrequency", 0, std::numeric_limits<int32_t>::max());
    auto special = read_strings(info[4], "specialTokens");
    if (given.size() != words.size()) {
      throw Error("ERR_SHAPE", "counts: expected " + std::to_string(words.size()) + ", one for each word, received " +
                                   std::to_string(given.size()));
    }
    // Shared, because a job is copyable and the words may be many.
    const auto shared_words = std::make_shared<const std::vector<std::string>>(std::move(words));
    const auto counts = std::make_shared<const std::vector<int64_t>>(given.begin(), given.end());
    return Environment::of(info.Env()).run_apart([=]() -> Environment::Answer {
      const auto text =
          std::make_shared<const std::string>(train_bpe(*shared_words, *counts, vocabulary, frequency, special));
      return [text](Napi::Env env) { return Napi::String::New(env, *text); };
    });
  });
}

// runOp(name, options, arrays): needs no session, and no start, as it depends on no setting of the engine.
Napi::Value run_operation(const Napi::CallbackInfo& info) {
  return promised(info, [&] {
    const auto name = read_string(info[0], "op");
    const auto options = read_record(info[1], "options");
    // Shared, because a job is copyable and the arrays may be large.
    const auto arrays = std::make_shared<const Arrays>(read_arrays(info[2], "arrays"));
    Environment& environment = Environment::of(info.Env());
    return environment.run(environment.lane(), [=]() -> Environment::Answer {
      const auto result = std::make_shared<const Arrays>(run_op(name, options, *arrays));
      return [result](Napi::Env env) { return to_value(env, *result); };
    });
  });
}

// leave(): called when the process or worker is about to exit, while libtorch is still whole
Napi::Value leave(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).close();
  return info.Env().Undefined();
}

// Threads of libtorch outlive a worker that loaded it, so this image may never be unmapped.
void pin_image() {
  Dl_info image{};
  if (dladdr(reinterpret_cast<void*>(&pin_image), &image) != 0) {
    dlopen(image.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
  }
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  pin_image();
  Environment::open(env);
  Environment::of(env).session_class = Napi::Persistent(SessionObject::define(env));
  put(exports, "start", Napi::Function::New<start>(env, "start"));
  put(exports, "open", Napi::Function::New<open>(env, "open"));
  put(exports, "info", Napi::Function::New<engine_record>(env, "info"));
  put(exports, "memoryStats", Napi::Function::New<memory_stats>(env, "memoryStats"));
  put(exports, "trainBpe", Napi::Function::New<train>(env, "trainBpe"));
  put(exports, "runOp", Napi::Function::New<run_operation>(env, "runOp"));
  put(exports, "leave", Napi::Function::New<leave>(env, "leave"));
  return exports;
}

}  // namespace

}  // namespace merge

static Napi::Object init_core(Napi::Env env, Napi::Object exports) { return merge::init(env, exports); }

NODE_API_MODULE(core, init_core)
