// Checks at the engine's door, shared by all families: rows, ids and the fields of records.
#pragma once

#include <initializer_list>
#include <string>

#include "record.h"
#include "rows.h"

namespace merge {

// Throws ERR_SHAPE with the message unless it holds.
void expect_shape(bool holds, const std::string& message);
// Throws ERR_CONFIG with the message unless it holds.
void expect_config(bool holds, const std::string& message);

// Offsets and ids of rows that came over the border. Rows longer than max_length tokens are refused.
void check_rows(const char* name, const Rows& rows, int64_t vocabulary, int64_t max_length);

// A number between low and high; NaN fits no range.
void check_range(const Record& record, const char* name, double low, double high);

// The field's word, one of the given ones.
const std::string& one_of(const Record& config, const std::string& name, std::initializer_list<const char*> words);
// A whole number 1..2^24.
int64_t positive(const Record& config, const std::string& name);
// A token id below the configuration's vocabulary.
int32_t special_id(const Record& config, const std::string& name);

}  // namespace merge
