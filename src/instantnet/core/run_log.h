// What a long job reports: one JSON record a line in run.jsonl, and the same numbers as TensorBoard
// events.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "instantnet/core/tree.h"

namespace instantnet {

/// A number that no two runs share (a time, a rate), always 12 characters ("1.234567e+03"): so the
/// logs of equal runs have equal lengths.
Tree by_the_clock(double value);

/// Seconds since 1970.
double wall_time();

/// Append-only JSON lines. Each record is written and flushed whole. Opening an existing file drops
/// a last line that a crash cut short. Error (file, the system's reason) whenever something cannot
/// be written; the file then ends with the last whole record.
class RunLog {
 public:
  /// Opens `path` for appending. `keep_bytes` >= 0 cuts the file to that length first (a resumed
  /// run drops what was logged after its checkpoint). A file that is shorter stays as it is.
  explicit RunLog(const std::string& path, int64_t keep_bytes = -1);
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  /// Writes one record, a map.
  void write(const Tree& record);
  /// Length of the file in bytes.
  int64_t bytes() const;

 private:
  int file_ = -1;  // descriptor
  std::string path_;
};

/// TensorBoard event file: TFRecord framing (length, masked CRC-32C of the length, data, masked
/// CRC-32C of the data) around Event messages (tensorflow/core/util/event.proto: wall_time = 1,
/// step = 2, file_version = 3, summary = 5), written without a protobuf library. Scalars use
/// simple_value, which every TensorBoard reads.
class EventFile {
 public:
  /// Opens `path` for appending, and starts it with the version record "brain.Event:2" when it is
  /// new. `keep_bytes` as in RunLog; a last record that a crash cut short is dropped. `wall_time`
  /// (seconds since 1970) is that of the version record. Error when the file is something else.
  explicit EventFile(const std::string& path, int64_t keep_bytes = -1, double wall_time = 0);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  /// One event with these scalars. wall_time in seconds since 1970.
  void scalars(int64_t step, double wall_time,
               const std::vector<std::pair<std::string, float>>& values);
  int64_t bytes() const;

 private:
  int file_ = -1;  // descriptor
  std::string path_;
};

/// The masked CRC of the TFRecord format: ((crc >> 15) | (crc << 17)) + 0xa282ead8.
uint32_t masked_crc32c(std::string_view bytes);

/// One TFRecord of `data`, as bytes.
std::string tf_record(std::string_view data);

}  // namespace instantnet
