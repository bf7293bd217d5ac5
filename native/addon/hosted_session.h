// HostedSession: a Session with what it weighs, and the rule that it is born and dies on the compute thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "compute_thread.h"
#include "engine.h"
#include "environment.h"

namespace merge {

class HostedSession {
 public:
  // Compute thread. The returned pointer may be dropped anywhere.
  static std::shared_ptr<HostedSession> open(const Record& config, const std::shared_ptr<Environment>& environment);
  ~HostedSession();

  Session& session() { return session_; }
  // The session's own lane: its calls run in order, and other sessions get their turns between them.
  const std::shared_ptr<Lane>& lane() const { return lane_; }

  // Any thread: the running call ends early, calls that wait do not begin.
  void cancel() { session_.cancelled = true; }
  // Compute thread: throws ERR_ABORTED after cancel().
  void check_wanted() const;
  // Compute thread, after a call that may have allocated.
  void weigh();

  // Of the whole process.
  static int64_t live_sessions();
  static int64_t live_bytes();

 private:
  HostedSession(const Record& config, const std::shared_ptr<Environment>& environment);
  void set_bytes(int64_t bytes);

  Session session_;
  std::shared_ptr<Lane> lane_;
  const std::weak_ptr<Environment> environment_;
  int64_t bytes_ = 0;
};

}  // namespace merge
