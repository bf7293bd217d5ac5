// The compute thread's queue: round robin over lanes, cancellation by owner, orderly end.
#include "compute_thread.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace merge {

namespace {

// Two objects on purpose: the thread object is never destroyed, since a late caller may still ask it something;
// only the joiner is a static with a destructor, and it runs before libtorch's own, which was loaded earlier.
struct Joiner {
  ~Joiner() { ComputeThread::process().stop(); }
};

const Joiner kJoiner;

void take_jobs(Lane& lane, std::vector<Job>& jobs) {
  std::move(lane.jobs.begin(), lane.jobs.end(), std::back_inserter(jobs));
  lane.jobs.clear();
}

}  // namespace

ComputeThread& ComputeThread::process() {
  static auto* shared = new ComputeThread();
  return *shared;
}

void ComputeThread::run() {
  id_ = std::this_thread::get_id();
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    work_.wait(lock, [&] { return phase_ == Phase::kStopping || !turns_.empty() || !graves_.empty(); });
    // 1) free what others left behind
    if (auto graves = std::exchange(graves_, {}); !graves.empty()) {
      lock.unlock();
      graves.clear();
      lock.lock();
      continue;
    }
    // 2) the end: waiting jobs are dropped here, so that what they hold dies on this thread
    if (phase_ == Phase::kStopping) {
      if (turns_.empty()) {
        phase_ = Phase::kEnded;
        return;
      }
      std::vector<Job> dropped;
      for (const auto& lane : std::exchange(turns_, {})) take_jobs(*lane, dropped);
      lock.unlock();
      dropped.clear();
      lock.lock();
      continue;
    }
    // 3) one job of the lane whose turn it is
    std::shared_ptr<Lane> lane = std::move(turns_.front());
    turns_.pop_front();
    Job job = std::move(lane->jobs.front());
    lane->jobs.pop_front();
    if (!lane->jobs.empty()) turns_.push_back(lane);
    running_owner_ = lane->owner;
    lock.unlock();
    job();
    job = nullptr;
    lane.reset();
    lock.lock();
    running_owner_ = kNobody;
    done_.notify_all();
  }
}

int64_t ComputeThread::enter() {
  const std::lock_guard<std::mutex> lock(mutex_);
  owners_.insert(next_owner_);
  return next_owner_++;
}

void ComputeThread::leave(int64_t owner) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (owners_.erase(owner) == 0) return;
  auto lanes = lanes_of(owner);
  std::vector<Job> dropped;
  for (const auto& lane : lanes) take_jobs(*lane, dropped);
  std::erase_if(turns_, [](const std::shared_ptr<Lane>& lane) { return lane->jobs.empty(); });
  // Unlocked: a dropped job may hold the last reference to a session, whose end calls bury().
  lock.unlock();
  for (const auto& lane : lanes) {
    if (lane->cancel) lane->cancel();
  }
  lanes.clear();
  dropped.clear();
  lock.lock();
  done_.wait(lock, [&] { return running_owner_ != owner; });
}

std::shared_ptr<Lane> ComputeThread::open_lane(int64_t owner, std::function<void()> cancel) {
  auto lane = std::make_shared<Lane>(Lane{owner, std::move(cancel), {}});
  const std::lock_guard<std::mutex> lock(mutex_);
  std::erase_if(lanes_, [](const std::weak_ptr<Lane>& known) { return known.expired(); });
  lanes_.push_back(lane);
  return lane;
}

bool ComputeThread::submit(const std::shared_ptr<Lane>& lane, Job job) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (is_over() || !owners_.contains(lane->owner)) return false;
  begin_if_needed();
  lane->jobs.push_back(std::move(job));
  if (lane->jobs.size() == 1) turns_.push_back(lane);
  work_.notify_one();
  return true;
}

void ComputeThread::bury(std::shared_ptr<void> remains) {
  if (is_current()) return;  // the argument dies right here
  const std::lock_guard<std::mutex> lock(mutex_);
  if (phase_ == Phase::kEnded) {
    // The process is ending and the thread is gone: losing the memory is safe, freeing it elsewhere is not.
    static auto* leaked = new std::vector<std::shared_ptr<void>>();
    leaked->push_back(std::move(remains));
    return;
  }
  begin_if_needed();
  graves_.push_back(std::move(remains));
  work_.notify_one();
}

void ComputeThread::stop() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (is_over()) return;
  const bool started = phase_ == Phase::kRunning;
  phase_ = started ? Phase::kStopping : Phase::kEnded;
  std::vector<std::shared_ptr<Lane>> lanes;
  for (const int64_t owner : owners_) {
    for (auto& lane : lanes_of(owner)) lanes.push_back(std::move(lane));
  }
  lock.unlock();
  work_.notify_all();
  for (const auto& lane : lanes) {
    if (lane->cancel) lane->cancel();
  }
  lanes.clear();
  if (started) thread_.join();
}

int64_t ComputeThread::queued() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  int64_t count = 0;
  for (const auto& lane : turns_) count += static_cast<int64_t>(lane->jobs.size());
  return count;
}

std::vector<std::shared_ptr<Lane>> ComputeThread::lanes_of(int64_t owner) {
  std::vector<std::shared_ptr<Lane>> found;
  for (const auto& known : lanes_) {
    if (auto lane = known.lock(); lane && lane->owner == owner) found.push_back(std::move(lane));
  }
  return found;
}

void ComputeThread::begin_if_needed() {
  if (phase_ != Phase::kFresh) return;
  thread_ = std::thread([this] { run(); });
  phase_ = Phase::kRunning;
}

}  // namespace merge
