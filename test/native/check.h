// A test harness in one header: TEST registers a case, CHECK and CHECK_THROWS judge, main() prints `N passed, N
// failed`.
//
//   TEST(name) { CHECK(1 + 1 == 2); CHECK_NEAR(a, b, 1e-9); CHECK_THROWS(f(-1)); }
//
// Each test binary defines MERGE_CHECK_MAIN in exactly one source before including this file. Arguments are substrings:
// only tests whose name contains one of them run. A failed CHECK marks the test and goes on; an escaped exception ends
// it.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

// Its CHECK ends the process; whoever includes it later must not bring that one back. A test without libtorch has none.
#if __has_include(<c10/util/Logging.h>)
#include <c10/util/Logging.h>
#endif

#include "error.h"

namespace merge::check {

struct Case {
  std::string name;
  std::function<void()> body;
};

inline std::vector<Case>& cases() {
  static auto* all = new std::vector<Case>();
  return *all;
}

// Failures of the running test.
inline int64_t& failures() {
  static int64_t count = 0;
  return count;
}

struct Registration {
  Registration(const char* name, std::function<void()> body) { cases().push_back({name, std::move(body)}); }
};

// The code of the engine's error that a call throws; empty without one.
inline std::string code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code;
  }
  return {};
}

// A path for a file of this process alone.
inline std::string temporary(const std::string& name) {
  return "/tmp/merge-lm-test-" + std::to_string(getpid()) + "-" + name;
}

inline void report(const char* file, int line, const std::string& what) {
  ++failures();
  std::printf("  %s:%d: %s\n", file, line, what.c_str());
}

inline int run(int argc, char** argv) {
  int64_t passed = 0;
  int64_t failed = 0;
  for (const auto& test : cases()) {
    bool wanted = argc < 2;
    for (int i = 1; i < argc; ++i) wanted = wanted || test.name.find(argv[i]) != std::string::npos;
    if (!wanted) continue;
    failures() = 0;
    const auto start = std::chrono::steady_clock::now();
    try {
      test.body();
    } catch (const std::exception& error) {
      report(test.name.c_str(), 0, std::string("escaped exception: ") + error.what());
    }
    const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    std::printf("%s %s (%.0f ms)\n", failures() == 0 ? "ok  " : "FAIL", test.name.c_str(), ms);
    std::fflush(stdout);
    ++(failures() == 0 ? passed : failed);
  }
  std::printf("%lld passed, %lld failed\n", static_cast<long long>(passed), static_cast<long long>(failed));
  return failed == 0 ? 0 : 1;
}

}  // namespace merge::check

#define TEST(name)                                                                   \
  static void test_##name();                                                         \
  static const ::merge::check::Registration registration_##name(#name, test_##name); \
  static void test_##name()

#undef CHECK  // libtorch's logging header has one of its own
#define CHECK(...)                                                                             \
  do {                                                                                         \
    if (!(__VA_ARGS__)) ::merge::check::report(__FILE__, __LINE__, "CHECK(" #__VA_ARGS__ ")"); \
  } while (false)

#define CHECK_NEAR(actual, expected, tolerance)                                                             \
  do {                                                                                                      \
    const double check_actual = static_cast<double>(actual);                                                \
    const double check_expected = static_cast<double>(expected);                                            \
    if (!(std::fabs(check_actual - check_expected) <= (tolerance))) {                                       \
      std::ostringstream check_text;                                                                        \
      check_text << "CHECK_NEAR(" #actual ", " #expected "): " << check_actual << " vs " << check_expected; \
      ::merge::check::report(__FILE__, __LINE__, check_text.str());                                         \
    }                                                                                                       \
  } while (false)

// Passes if the expression throws a std::exception (or anything else).
#define CHECK_THROWS(...)                                                                           \
  do {                                                                                              \
    bool check_threw = false;                                                                       \
    try {                                                                                           \
      static_cast<void>(__VA_ARGS__);                                                               \
    } catch (...) {                                                                                 \
      check_threw = true;                                                                           \
    }                                                                                               \
    if (!check_threw) ::merge::check::report(__FILE__, __LINE__, "CHECK_THROWS(" #__VA_ARGS__ ")"); \
  } while (false)

#ifdef MERGE_CHECK_MAIN
int main(int argc, char** argv) { return ::merge::check::run(argc, argv); }
#endif
