// A tiny RemeDi model for tests: 4 token blocks, 3 policy blocks of which 2 are used, 2 key heads for 4 heads.
#pragma once

#include "tiny.h"

namespace merge::tiny {

inline Record remedi_config(const std::string& dtype = "float32", int64_t seed = 3) {
  Record record;
  for (const auto& [name, value] : std::map<std::string, int64_t>{{"vocabulary", 20},
                                                                  {"width", 32},
                                                                  {"layers", 4},
                                                                  {"heads", 4},
                                                                  {"keyHeads", 2},
                                                                  {"feedForward", 24},
                                                                  {"maxLength", 64},
                                                                  {"policyBlocks", 3},
                                                                  {"mask", 3},
                                                                  {"loraRank", 0},
                                                                  {"loraAlpha", 16},
                                                                  {"seed", seed}}) {
    record.set(name, value);
  }
  record.set("ropeBase", 10000.0);
  record.set("normEpsilon", 1e-5);
  record.set("tiedHead", false);
  record.set("scaledLogits", false);
  for (const auto& [name, word] : std::map<std::string, std::string>{{"policyPositions", "0,2"},
                                                                     {"family", "remedi"},
                                                                     {"start", "random"},
                                                                     {"weightDtype", "float32"},
                                                                     {"loraTargets", "q,k,v,output,gate,up,down"},
                                                                     {"loraPolicy", "lora"},
                                                                     {"dtype", dtype},
                                                                     {"device", "cpu"},
                                                                     {"matmulPrecision", "highest"}}) {
    record.set(name, Record::Value(word));
  }
  return record;
}

}  // namespace merge::tiny
