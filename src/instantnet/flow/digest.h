// What a file, a folder or a data set is, in one digest.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace instantnet::flow {

/// SHA-256 of a file's bytes, or of a folder's sorted names and bytes. Folders and files of more
/// than `most_content` bytes are known by names, sizes and times of change instead: images by the
/// hundred thousand are not read again for every stage. Empty when there is nothing at `path`.
std::string digest_of(const std::string& path, uint64_t most_content = uint64_t{1} << 30);

/// Digests of what does not change while it lives: each path is read once.
class Digests {
 public:
  const std::string& of(const std::string& path);
  /// A stage has written there, or below.
  void forget(const std::string& path);

 private:
  std::map<std::string, std::string> known_;
};

}  // namespace instantnet::flow
