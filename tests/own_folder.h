// A folder for a test program's files. Tests run side by side, each in a process of its own: what
// they write must not meet.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace instantnet {

/// The folder of this process, with a slash at the end; removed with all that is in it when the
/// process ends.
inline const std::string& own_folder() {
  struct Folder {
    std::string path = testing::TempDir() + "instantnet-test-" + std::to_string(::getpid()) + "/";
    Folder() { std::filesystem::create_directories(path); }
    ~Folder() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  };
  static const Folder folder;
  return folder.path;
}

}  // namespace instantnet
