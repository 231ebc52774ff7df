#include "instantnet/cli/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "instantnet/core/error.h"

namespace instantnet::cli {

FolderLock::FolderLock(const std::string& folder, const std::string& what)
    : folder_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (folder_ < 0) fail(folder, fmt::format("cannot be opened ({}).", std::strerror(errno)));
  if (::flock(folder_, LOCK_EX | LOCK_NB) == 0) return;
  const int error = errno;
  ::close(folder_);
  if (error == EWOULDBLOCK)
    fail(folder, fmt::format("{} runs here already; wait for its end, or give another folder with "
                             "-o.",
                             what));
  fail(folder, fmt::format("cannot be locked ({}).", std::strerror(error)));
}

FolderLock::~FolderLock() { ::close(folder_); }

}  // namespace instantnet::cli
