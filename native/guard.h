// guarded: runs what calls libtorch and turns every failure into merge::Error.
#pragma once

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <exception>
#include <new>
#include <string>

#include "error.h"

namespace merge {

// libtorch's exceptions carry build paths and backtraces after their first sentence; only the sentence is for the user.
inline std::string sentence(const char* what) {
  std::string text(what);
  for (const char* marker : {"Exception raised from", "\n"}) {
    const size_t end = text.find(marker);
    if (end != std::string::npos) text.resize(end);
  }
  return text;
}

template <typename Work>
auto guarded(Work&& work) {
  try {
    return work();
  } catch (const Error&) {
    throw;
  } catch (const c10::OutOfMemoryError& error) {
    throw Error("ERR_MEMORY", sentence(error.what_without_backtrace()));
  } catch (const c10::Error& error) {
    const std::string text = sentence(error.what_without_backtrace());
    const bool is_memory =
        text.find("not enough memory") != std::string::npos || text.find("can't allocate") != std::string::npos;
    throw Error(is_memory ? "ERR_MEMORY" : "ERR_INTERNAL", text);
  } catch (const std::bad_alloc&) {
    throw Error("ERR_MEMORY", "out of memory");
  } catch (const std::exception& error) {
    throw Error("ERR_INTERNAL", sentence(error.what()));
  }
}

}  // namespace merge
