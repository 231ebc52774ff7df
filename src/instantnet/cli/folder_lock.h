// One program at a time in a folder.
#pragma once

#include <string>

namespace instantnet::cli {

/// Holds a folder until it goes away, also when the process is killed. Error when another process
/// holds it.
class FolderLock {
 public:
  /// `what`: "a pipeline", for the message.
  FolderLock(const std::string& folder, const std::string& what);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int folder_ = -1;
};

}  // namespace instantnet::cli
