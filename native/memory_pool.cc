// The pool: free blocks in front of libtorch's own allocator; where there are too many, those go that wait the longest.
#include "memory_pool.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <list>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace merge {
namespace {

constexpr size_t kSmallest = size_t{256} << 10;  // smaller blocks malloc keeps itself
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kMostFree = size_t{256} << 20;

struct Block {
  void* data;
  size_t size;
};

// Eight sizes for each power of two, so that rows of changing lengths find each other's blocks.
size_t rounded(size_t bytes) {
  const size_t step = std::max<size_t>(kSmallest / 8, std::bit_floor(bytes) / 8);
  return (bytes + step - 1) / step * step;
}

class Pool final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes < kSmallest) return plain_->allocate(bytes);
    void* block = taken(rounded(bytes));
    return {block, block, &Pool::returned, at::kCPU};
  }

  // oneDNN gives back by the address alone, small blocks, too.
  c10::DeleterFnPtr raw_deleter() const override { return &Pool::returned; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }

  void empty() {
    const std::lock_guard lock(mutex_);
    give_back(0);
  }

  int64_t bytes() {
    const std::lock_guard lock(mutex_);
    return static_cast<int64_t>(free_bytes_);
  }

 private:
  // Until no more than so many bytes are free.
  void give_back(size_t most) {
    while (free_bytes_ > most) {
      const Block block = free_.front();
      const auto same = by_size_.find(block.size);
      same->second.erase(std::find(same->second.begin(), same->second.end(), free_.begin()));
      if (same->second.empty()) by_size_.erase(same);
      free_.pop_front();
      free_bytes_ -= block.size;
      plain_->raw_deallocate(block.data);
    }
  }

  static void advise(void* block, size_t size) {
#ifdef MADV_HUGEPAGE
    const auto begin = (reinterpret_cast<uintptr_t>(block) + kHugePage - 1) / kHugePage * kHugePage;
    const auto end = (reinterpret_cast<uintptr_t>(block) + size) / kHugePage * kHugePage;
    if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
  }

  static void returned(void* block);

  // The smallest kept block that is large enough and at most twice as large, or a new one.
  void* taken(size_t size) {
    {
      const std::lock_guard lock(mutex_);
      const auto fitting = by_size_.lower_bound(size);
      if (fitting != by_size_.end() && fitting->first <= 2 * size) {
        const auto newest = fitting->second.back();
        const Block block = *newest;
        free_.erase(newest);
        fitting->second.pop_back();
        if (fitting->second.empty()) by_size_.erase(fitting);
        free_bytes_ -= block.size;
        lent_[block.data] = block.size;
        return block.data;
      }
    }
    void* block = plain_->raw_allocate(size);
    // A page of 2 MiB faults once. Where there are none, nothing changes.
    if (size >= kHugePage) advise(block, size);
    const std::lock_guard lock(mutex_);
    lent_[block] = size;
    return block;
  }

  void take_back(void* block) {
    {
      const std::lock_guard lock(mutex_);
      const auto lent = lent_.find(block);
      if (lent == lent_.end()) return plain_->raw_deallocate(block);
      const size_t size = lent->second;
      lent_.erase(lent);
      if (size <= kMostFree) {
        give_back(kMostFree - size);
        free_.push_back({block, size});
        by_size_[size].push_back(std::prev(free_.end()));
        free_bytes_ += size;
        return;
      }
    }
    plain_->raw_deallocate(block);
  }

  c10::Allocator* plain_ = c10::GetDefaultCPUAllocator();
  std::mutex mutex_;
  std::list<Block> free_;  // the one that waits the longest first
  std::map<size_t, std::vector<std::list<Block>::iterator>> by_size_;
  std::unordered_map<void*, size_t> lent_;
  size_t free_bytes_ = 0;
};

// Never destroyed: tensors may outlive whatever ends first.
Pool& pool() {
  static auto* only = new Pool();
  return *only;
}

void Pool::returned(void* block) { pool().take_back(block); }

}  // namespace

void use_memory_pool() {
// A sanitizer must see each block's end.
#ifndef __SANITIZE_ADDRESS__
  c10::SetCPUAllocator(&pool(), /*priority=*/1);
#endif
}

void empty_memory_pool() { pool().empty(); }

int64_t pooled_bytes() { return pool().bytes(); }

}  // namespace merge
