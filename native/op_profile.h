// profile_ops: where the time of native calls goes, op by op.
#pragma once

#include "operation.h"

namespace merge {

// options: begin. True: begins to record on this thread, anew if it records already. False: ends, and answers calls and
// milliseconds of each op without what it calls, by its name: `gemm` is every product of matrices, `attention` all that
// happens inside of attention. What a kernel of ours does outside of these has no name. Must be called from the compute
// thread, as the calls between the two.
Arrays profile_ops(const Record& options);

}  // namespace merge
