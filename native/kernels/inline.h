// MERGE_INLINE: a function that becomes part of each version of a loop that the processor may be given.
#pragma once

#define MERGE_INLINE inline __attribute__((always_inline))
