// The memory of large tensors on the CPU, kept for the next one of its size: a fresh block costs a page fault for every
// 4 KiB, which is up to a quarter of a pass.
#pragma once

#include <cstdint>

namespace merge {

// Once, before any large tensor.
void use_memory_pool();
// Gives back what is kept.
void empty_memory_pool();
// Bytes that are kept and not in use.
int64_t pooled_bytes();

}  // namespace merge
