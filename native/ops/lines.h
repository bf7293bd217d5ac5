// Lines: scratch memory of a thread that begins where a line of the cache does, so that no vector lies in two.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

namespace merge::ops {

template <typename Element>
class Lines {
 public:
  Element* fit(int64_t count) {
    if (count > size_) {
      data_.reset(new (kLine) Element[static_cast<size_t>(count)]);
      size_ = count;
    }
    return data_.get();
  }

 private:
  static constexpr std::align_val_t kLine{64};
  struct Free {
    void operator()(Element* data) const { ::operator delete[](data, kLine); }
  };
  std::unique_ptr<Element[], Free> data_;
  int64_t size_ = 0;
};

}  // namespace merge::ops
