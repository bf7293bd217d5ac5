// Keeps the account of live sessions and their bytes.
#include "hosted_session.h"

namespace merge {

namespace {

// Of the process, because memory is: memoryStats() answers for all workers.
std::atomic<int64_t> live_session_count{0};
std::atomic<int64_t> live_byte_count{0};

}  // namespace

std::shared_ptr<HostedSession> HostedSession::open(const Record& config,
                                                   const std::shared_ptr<Environment>& environment) {
  const std::shared_ptr<HostedSession> hosted(new HostedSession(config, environment), [](HostedSession* remains) {
    ComputeThread::process().bury(std::shared_ptr<HostedSession>(remains));
  });
  const std::weak_ptr<HostedSession> weak = hosted;
  hosted->lane_ = ComputeThread::process().open_lane(environment->owner(), [weak] {
    if (const auto alive = weak.lock()) alive->cancel();
  });
  hosted->weigh();
  return hosted;
}

HostedSession::HostedSession(const Record& config, const std::shared_ptr<Environment>& environment)
    : session_(config), environment_(environment) {
  ++live_session_count;
}

HostedSession::~HostedSession() {
  set_bytes(0);
  --live_session_count;
}

void HostedSession::check_wanted() const {
  if (session_.cancelled) throw Error("ERR_ABORTED", "session: it was disposed before this call began");
}

void HostedSession::weigh() {
  const Record memory = session_.memory();
  double bytes = 0;
  for (const auto& [name, value] : memory.fields()) {
    if (const auto* number = std::get_if<double>(&value)) bytes += *number;
  }
  set_bytes(static_cast<int64_t>(bytes));
}

void HostedSession::set_bytes(int64_t bytes) {
  const int64_t difference = bytes - bytes_;
  bytes_ = bytes;
  live_byte_count += difference;
  if (const auto environment = environment_.lock(); environment && difference != 0) {
    environment->add_bytes(difference);
  }
}

int64_t HostedSession::live_sessions() { return live_session_count; }
int64_t HostedSession::live_bytes() { return live_byte_count; }

}  // namespace merge
