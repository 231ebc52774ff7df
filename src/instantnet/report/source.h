// A folder to report on: what lies in it, and every file that was read, with its digest.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "instantnet/core/tree.h"

namespace instantnet::report {

/// A file that a report is made from.
struct ReadFile {
  std::string path;  // below the folder
  uint64_t bytes = 0;
  std::string sha256;
  bool operator==(const ReadFile&) const = default;
};

/// Paths are below the folder; "" is the folder itself.
class Source {
 public:
  explicit Source(std::string folder);

  /// For messages: the folder as it was given, and what is below it.
  std::string place(const std::string& path) const;
  bool has(const std::string& path) const;
  bool has_folder(const std::string& path) const;
  /// Names in a folder, sorted; none when there is no such folder.
  std::vector<std::string> folders(const std::string& path) const;
  /// Names of the files that end so, without the ending.
  std::vector<std::string> files(const std::string& path, std::string_view ending) const;

  /// Error when it cannot be read or is larger than 256 MiB.
  std::string text(const std::string& path);
  /// Error with file and line when it is neither YAML nor JSON, or no map.
  Tree map(const std::string& path);
  /// The records of a run.jsonl. Error with file and line for one that is no JSON map; a last line
  /// that a crash cut short is left out, which a note says.
  std::vector<Tree> records(const std::string& path);

  void note(const std::string& sentence) { notes_.push_back(sentence); }
  const std::vector<std::string>& notes() const { return notes_; }
  /// In the order they were read, each once.
  const std::vector<ReadFile>& read() const { return read_; }

 private:
  std::string folder_;
  std::vector<ReadFile> read_;
  std::vector<std::string> notes_;
};

/// "a/b", or "b" when a is empty.
std::string joined(const std::string& folder, const std::string& name);

}  // namespace instantnet::report
