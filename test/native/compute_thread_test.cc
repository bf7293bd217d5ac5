// The compute thread without Node and without libtorch: order, fairness, cancellation, orderly end.
// Alone under ThreadSanitizer:
//   g++ -std=c++20 -g -fsanitize=thread test/native/compute_thread_test.cc -pthread
#define MERGE_CHECK_MAIN
#include "check.h"

// The addon is no library, so the one file that is tested is compiled in.
#include <chrono>
#include <future>
#include <random>

#include "../../native/addon/compute_thread.cc"

using merge::ComputeThread;
using merge::Lane;
using std::chrono::milliseconds;

namespace {

// Holds the thread until it is opened, so that a test can fill the queue first.
struct Gate {
  std::promise<void> promise;
  std::shared_future<void> opened{promise.get_future()};
  void open() { promise.set_value(); }
};

void finish(ComputeThread& thread, const std::shared_ptr<Lane>& lane) {
  std::promise<void> done;
  CHECK(thread.submit(lane, [&] { done.set_value(); }));
  done.get_future().wait();
}

// Notes where and when it died.
struct Remains {
  std::shared_ptr<std::atomic<int>> deaths;
  std::shared_ptr<std::atomic<bool>> on_thread;
  ComputeThread* thread;
  ~Remains() {
    if (!thread->is_current()) *on_thread = false;
    ++*deaths;
  }
};

}  // namespace

TEST(jobs_of_a_lane_run_in_order_on_one_other_thread) {
  ComputeThread thread;
  const int64_t owner = thread.enter();
  const auto lane = thread.open_lane(owner);
  std::vector<int> order;
  std::set<std::thread::id> ids;
  for (int i = 0; i < 100; ++i) {
    thread.submit(lane, [&, i] {
      order.push_back(i);
      ids.insert(std::this_thread::get_id());
    });
  }
  finish(thread, lane);
  CHECK(order.size() == 100 && std::is_sorted(order.begin(), order.end()));
  CHECK(ids.size() == 1 && !ids.contains(std::this_thread::get_id()));
}

TEST(lanes_take_turns) {
  ComputeThread thread;
  const int64_t owner = thread.enter();
  const auto busy = thread.open_lane(owner);
  const auto second = thread.open_lane(owner);
  const auto third = thread.open_lane(owner);
  Gate gate;
  std::promise<void> waiting;
  thread.submit(busy, [&] {
    waiting.set_value();
    gate.opened.wait();
  });
  waiting.get_future().wait();
  std::string order;
  for (int i = 0; i < 6; ++i) thread.submit(busy, [&] { order += 'a'; });
  for (int i = 0; i < 2; ++i) thread.submit(second, [&] { order += 'b'; });
  thread.submit(third, [&] { order += 'c'; });
  CHECK(thread.queued() == 9);
  gate.open();
  finish(thread, busy);
  CHECK(order == "abcabaaaa");
  CHECK(thread.queued() == 0);
}

TEST(leave_cancels_drops_and_waits_for_its_own_jobs_only) {
  ComputeThread thread;
  const int64_t mine = thread.enter();
  const int64_t other = thread.enter();
  std::atomic<bool> cancelled{false};
  std::atomic<bool> ended{false};
  const auto lane = thread.open_lane(mine, [&] { cancelled = true; });
  const auto other_lane = thread.open_lane(other);
  std::promise<void> begun;
  thread.submit(lane, [&] {
    begun.set_value();
    while (!cancelled) std::this_thread::sleep_for(milliseconds(1));
    std::this_thread::sleep_for(milliseconds(20));
    ended = true;
  });
  std::atomic<int> later{0};
  for (int i = 0; i < 5; ++i) thread.submit(lane, [&] { ++later; });
  begun.get_future().wait();
  thread.leave(mine);
  CHECK(ended);
  CHECK(!thread.submit(lane, [&] { ++later; }));
  finish(thread, other_lane);
  CHECK(later == 0);
  thread.leave(mine);  // twice does nothing

  // Leaving does not wait for somebody else's job.
  Gate gate;
  std::promise<void> waiting;
  thread.submit(other_lane, [&] {
    waiting.set_value();
    gate.opened.wait();
  });
  waiting.get_future().wait();
  const int64_t third = thread.enter();
  thread.leave(third);
  gate.open();
  finish(thread, other_lane);
}

TEST(remains_die_on_the_thread) {
  auto deaths = std::make_shared<std::atomic<int>>(0);
  auto on_thread = std::make_shared<std::atomic<bool>>(true);
  {
    ComputeThread thread;
    const int64_t owner = thread.enter();
    const auto lane = thread.open_lane(owner);
    // 1) buried from here, 2) buried on the thread, 3) held by a job that the end of the thread drops
    auto first = std::shared_ptr<Remains>(new Remains{deaths, on_thread, &thread});
    thread.bury(std::move(first));
    auto second = std::shared_ptr<Remains>(new Remains{deaths, on_thread, &thread});
    thread.submit(lane, [&thread, &second] { thread.bury(std::move(second)); });
    finish(thread, lane);
    std::promise<void> begun;
    thread.submit(lane, [&] {
      begun.set_value();
      std::this_thread::sleep_for(milliseconds(30));
    });
    begun.get_future().wait();
    auto third = std::shared_ptr<Remains>(new Remains{deaths, on_thread, &thread});
    thread.submit(lane, [third] {});
    third.reset();
    thread.stop();
    CHECK(!thread.submit(lane, [] {}));
  }
  CHECK(*deaths == 3);
  CHECK(*on_thread);
}

TEST(stop_cancels_the_running_job_and_joins) {
  ComputeThread thread;
  const int64_t owner = thread.enter();
  std::atomic<bool> cancelled{false};
  std::atomic<bool> ended{false};
  const auto lane = thread.open_lane(owner, [&] { cancelled = true; });
  std::promise<void> begun;
  thread.submit(lane, [&] {
    begun.set_value();
    while (!cancelled) std::this_thread::sleep_for(milliseconds(1));
    ended = true;
  });
  begun.get_future().wait();
  thread.stop();
  CHECK(ended);
  thread.stop();
}

TEST(never_started_stops_at_once) {
  ComputeThread thread;
  thread.leave(thread.enter());
  thread.stop();
}

// Owners come and go from several threads while jobs run and sessions are buried; ThreadSanitizer watches.
TEST(many_owners_at_once) {
  auto deaths = std::make_shared<std::atomic<int>>(0);
  auto on_thread = std::make_shared<std::atomic<bool>>(true);
  std::atomic<int> ran{0};
  std::atomic<int> accepted{0};
  constexpr int kOwners = 4;
  constexpr int kLives = 40;
  {
    ComputeThread thread;
    std::vector<std::thread> environments;
    for (int e = 0; e < kOwners; ++e) {
      environments.emplace_back([&, e] {
        std::mt19937 random(static_cast<uint32_t>(e));
        for (int life = 0; life < kLives; ++life) {
          const int64_t owner = thread.enter();
          auto cancelled = std::make_shared<std::atomic<bool>>(false);
          auto session = std::shared_ptr<Remains>(new Remains{deaths, on_thread, &thread}, [&thread](Remains* remains) {
            thread.bury(std::shared_ptr<Remains>(remains));
          });
          const auto lane = thread.open_lane(owner, [cancelled] { *cancelled = true; });
          const int jobs = static_cast<int>(random() % 8);
          for (int i = 0; i < jobs; ++i) {
            if (thread.submit(lane, [&ran, cancelled, session] {
                  if (!*cancelled) ++ran;
                })) {
              ++accepted;
            }
          }
          if (random() % 2 == 0) session.reset();
          static_cast<void>(thread.queued());
          thread.leave(owner);
        }
      });
    }
    for (auto& environment : environments) environment.join();
  }
  CHECK(*deaths == kOwners * kLives);
  CHECK(*on_thread);
  CHECK(ran <= accepted);
}
