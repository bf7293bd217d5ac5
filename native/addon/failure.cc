// Maps any exception to a Failure and a Failure to a JavaScript error.
#include "failure.h"

#include <new>
#include <system_error>

#include "answers.h"
#include "error.h"

namespace merge {

namespace {

// libtorch appends where it threw (with the paths of the machine that built it) and often a backtrace.
std::string without_backtrace(std::string text) {
  for (const char* mark : {"Exception raised from", "C++ CapturedTraceback", "\nframe #"}) {
    if (const auto at = text.find(mark); at != std::string::npos) text.resize(at);
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '(')) text.pop_back();
  return text;
}

std::string first_line(const std::string& text) {
  const std::string line = text.substr(0, text.find('\n'));
  return line.empty() ? "the engine failed without a message" : line;
}

}  // namespace

Failure current_failure() {
  try {
    throw;
  } catch (const Error& error) {
    return {error.code, without_backtrace(error.what())};
  } catch (const std::bad_alloc&) {
    return {"ERR_MEMORY", "memory: the system has no more"};
  } catch (const std::length_error&) {
    return {"ERR_MEMORY", "memory: the request is larger than a container can be"};
  } catch (const std::system_error& error) {
    return {"ERR_INTERNAL", first_line(error.code().message())};
  } catch (const std::exception& error) {
    return {"ERR_INTERNAL", first_line(without_backtrace(error.what()))};
  } catch (...) {
    return {"ERR_INTERNAL", "the engine threw something that is no exception"};
  }
}

Napi::Error to_error(Napi::Env env, const Failure& failure) {
  Napi::Error error = Napi::Error::New(env, failure.message);
  put(error.Value(), "code", Napi::String::New(env, failure.code));
  return error;
}

}  // namespace merge
