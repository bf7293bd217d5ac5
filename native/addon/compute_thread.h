// ComputeThread: the one thread that runs the engine. Jobs wait in lanes, and lanes take turns.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace merge {

using Job = std::function<void()>;

// One session's jobs, first in, first out. A busy lane cannot starve another: each turn is one job.
struct Lane {
  int64_t owner = 0;
  std::function<void()> cancel;  // any thread; tells the running job of this lane to end early; owns no session
  std::deque<Job> jobs;          // guarded by the thread's mutex
};

// An owner is one JavaScript environment. It enters when it loads the addon and leaves when it ends.
// The thread starts with the first job and lives until stop(): libtorch keeps state per thread.
class ComputeThread {
 public:
  // Shared by all environments of the process. It is stopped and joined when the process ends, which is the only hook
  // that Node runs on every way out (process.exit and an uncaught error skip environment clean-up).
  static ComputeThread& process();

  ComputeThread() = default;
  ~ComputeThread() { stop(); }
  ComputeThread(const ComputeThread&) = delete;
  ComputeThread& operator=(const ComputeThread&) = delete;

  int64_t enter();
  // Cancels the owner's lanes, drops its waiting jobs and waits until none of them runs.
  void leave(int64_t owner);

  std::shared_ptr<Lane> open_lane(int64_t owner, std::function<void()> cancel = nullptr);
  // False where the owner has left or the thread has stopped: the job will never run. A job must not throw.
  bool submit(const std::shared_ptr<Lane>& lane, Job job);

  // Releases `remains` on the thread, because tensors must die where they lived. Any thread; never waits.
  void bury(std::shared_ptr<void> remains);

  // Cancels everything, drops what waits, joins. Later calls do nothing.
  void stop();

  bool is_current() const { return std::this_thread::get_id() == id_.load(); }
  // Jobs that wait; the running one is not counted.
  int64_t queued() const;

 private:
  void run();
  std::vector<std::shared_ptr<Lane>> lanes_of(int64_t owner);
  void begin_if_needed();
  bool is_over() const { return phase_ == Phase::kStopping || phase_ == Phase::kEnded; }

  static constexpr int64_t kNobody = -1;

  mutable std::mutex mutex_;
  std::condition_variable work_;             // something to do, or the end
  std::condition_variable done_;             // a job has ended
  std::deque<std::shared_ptr<Lane>> turns_;  // exactly the lanes that have jobs, in the order of their turns
  std::vector<std::weak_ptr<Lane>> lanes_;
  std::set<int64_t> owners_;
  std::vector<std::shared_ptr<void>> graves_;
  int64_t next_owner_ = 0;
  int64_t running_owner_ = kNobody;
  enum class Phase { kFresh, kRunning, kStopping, kEnded } phase_ = Phase::kFresh;
  std::thread thread_;
  std::atomic<std::thread::id> id_{};
};

}  // namespace merge
