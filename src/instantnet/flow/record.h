// What has been run in a flow's folder: stages.json.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "instantnet/core/tree.h"

namespace instantnet::flow {

inline constexpr const char* kRecordFile = "stages.json";

struct StageRecord {
  std::string name;
  bool done = false;  // else started
  std::string key;    // of command, configs and inputs (key_of)
  std::vector<std::string> command;
  std::vector<std::pair<std::string, std::string>> inputs, outputs;  // path and digest
  double seconds = 0;
  bool operator==(const StageRecord&) const = default;
};

struct Record {
  std::string program;  // "instantnet 0.1.0"
  std::vector<StageRecord> stages;
  bool operator==(const Record&) const = default;

  const StageRecord* find(const std::string& name) const;
  /// In the place of one of that name, or behind the others.
  void put(StageRecord stage);
};

Tree to_tree(const Record& record);
/// Error with file and line.
Record record_from_tree(const Tree& tree);

/// The record in the folder; empty when it has none.
Record read_record(const std::string& folder);
void write_record(const Record& record, const std::string& folder);

}  // namespace instantnet::flow
