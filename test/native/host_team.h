// A team of host threads: runs a kernel as a block would, barriers and all. Rules of a block hold: every thread calls
// the same collectives in the same order; a thread that does not hangs the test, as it would hang a device.
#pragma once

#include <barrier>
#include <cstdint>
#include <thread>
#include <vector>

namespace merge::check {

class HostTeam {
 public:
  struct Meeting {
    explicit Meeting(int64_t size) : barrier(size), values(static_cast<size_t>(size)) {}
    std::barrier<> barrier;
    std::vector<double> values;
  };

  HostTeam(Meeting& meeting, int64_t rank) : meeting_(meeting), rank_(rank) {}
  int64_t rank() const { return rank_; }
  int64_t size() const { return static_cast<int64_t>(meeting_.values.size()); }
  void wait() { meeting_.barrier.arrive_and_wait(); }

  float sum(float value) { return static_cast<float>(sum(static_cast<double>(value))); }
  double sum(double value) {
    return met(value, [](double a, double b) { return a + b; });
  }
  double most(double value) {
    return met(value, [](double a, double b) { return a > b ? a : b; });
  }
  int64_t least(int64_t value) {
    return static_cast<int64_t>(met(static_cast<double>(value), [](double a, double b) { return a < b ? a : b; }));
  }
  int64_t total(int64_t value) { return static_cast<int64_t>(sum(static_cast<double>(value))); }
  int64_t before(int64_t value) {
    meeting_.values[static_cast<size_t>(rank_)] = static_cast<double>(value);
    wait();
    double sum = 0;
    for (int64_t r = 0; r < rank_; ++r) sum += meeting_.values[static_cast<size_t>(r)];
    wait();
    return static_cast<int64_t>(sum);
  }

 private:
  template <typename Join>
  double met(double value, Join join) {
    meeting_.values[static_cast<size_t>(rank_)] = value;
    wait();
    double all = meeting_.values[0];
    for (size_t r = 1; r < meeting_.values.size(); ++r) all = join(all, meeting_.values[r]);
    wait();
    return all;
  }

  Meeting& meeting_;
  int64_t rank_;
};

// Runs body(team) on each of `size` threads.
template <typename Body>
void as_team(int64_t size, Body&& body) {
  HostTeam::Meeting meeting(size);
  std::vector<std::jthread> threads;
  for (int64_t rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      HostTeam team(meeting, rank);
      body(team);
    });
  }
}

}  // namespace merge::check
