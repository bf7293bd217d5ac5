// Record keeps each value's kind: a double is not rounded, a flag stays a flag.
#define MERGE_CHECK_MAIN
#include "../../native/record.h"

#include "check.h"

using merge::Record;

TEST(values_keep_their_kind) {
  Record record;
  const double loss = 2.75;
  const float share = 0.5f;
  const bool built = true;
  const int64_t steps = 3;
  record.set("loss", loss);
  record.set("share", share);
  record.set("built", built);
  record.set("steps", steps);
  record.set("word", std::string("merge"));
  CHECK(record.number("loss") == 2.75);
  CHECK(record.number("share") == 0.5);
  CHECK(record.flag("built"));
  CHECK(record.integer("steps") == 3);
  CHECK(record.word("word") == "merge");
}

TEST(readers_refuse_what_is_missing_or_of_another_kind) {
  Record record;
  record.set("loss", 2.75);
  CHECK_THROWS(record.number("lost"));
  CHECK_THROWS(record.flag("loss"));
  CHECK_THROWS(record.word("loss"));
  CHECK_THROWS(record.integer("loss"));
}
