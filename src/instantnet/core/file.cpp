#include "instantnet/core/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/core/sha256.h"

namespace instantnet {

namespace {

namespace fs = std::filesystem;

std::string reason(int error) { return std::generic_category().message(error); }

[[noreturn]] void fail_errno(const std::string& path, std::string_view what, int error) {
  fail(path, fmt::format("{}: {}.", what, reason(error)));
}

/// A file descriptor that closes itself; -1 for none.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  /// Closes now; errno, or 0.
  int close() { return ::close(std::exchange(fd_, -1)) == 0 ? 0 : errno; }

 private:
  int fd_;
};

Descriptor open_for_reading(const std::string& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.open()) fail_errno(path, "cannot be read", errno);
  return file;
}

struct stat status_of_file(const Descriptor& file, const std::string& path) {
  struct stat status;
  if (::fstat(file.get(), &status) != 0) fail_errno(path, "cannot be read", errno);
  if (S_ISDIR(status.st_mode)) fail(path, "is a folder; give a file.");
  return status;
}

/// Reads up to `size` bytes; fewer only at the end of the file.
size_t read_some(const Descriptor& file, char* to, size_t size, const std::string& path) {
  size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(file.get(), to + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_errno(path, "cannot be read", errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

/// Writes everything; errno, or 0.
int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    if (put == 0) return ENOSPC;
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return 0;
}

/// "folder/name" in two; the folder of a bare name is ".".
struct Place {
  std::string folder, name;
  std::string sibling(const std::string& other) const { return folder + "/" + other; }
};

Place place_of(const std::string& path) {
  fs::path normal = fs::path(path).lexically_normal();
  if (!normal.has_filename()) normal = normal.parent_path();  // "a/" is "a"
  const std::string name = normal.filename().string();
  if (name.empty() || name == "." || name == "..")
    fail("'" + path + "'", "has no name to write to; give the path of a file or folder.");
  const std::string folder = normal.parent_path().string();
  return {folder.empty() ? "." : folder, name};
}

/// The start of every hidden name made for `place`. File systems allow names of 255 bytes.
std::string hidden_prefix(const Place& place) {
  constexpr size_t kLong = 200;
  if (place.name.size() <= kLong) return fmt::format(".{}.", place.name);
  return fmt::format(".{}.{}.", place.name.substr(0, kLong - 50), sha256(place.name).substr(0, 32));
}

bool is_folder(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

[[noreturn]] void fail_writing(const std::string& path, const Place& place, int error) {
  if (error == ENOENT && !is_folder(place.folder))
    fail(path,
         fmt::format("cannot be written: there is no folder '{}'; make it first.", place.folder));
  fail_errno(path, "cannot be written", error);
}

std::string fresh_name(const Place& place, std::string_view suffix) {
  static std::atomic<uint64_t> counter{0};
  return fmt::format("{}{}.{}{}", hidden_prefix(place), ::getpid(), counter.fetch_add(1), suffix);
}

/// Flushes a file or folder to the disk; errno, or 0. File systems that cannot flush a folder say
/// so.
int flush(const std::string& path, bool folder) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | (folder ? O_DIRECTORY : 0)));
  if (!file.open()) return errno;
  if (::fsync(file.get()) == 0) return 0;
  return folder && (errno == EINVAL || errno == ENOTSUP || errno == EROFS) ? 0 : errno;
}

/// A new file of a name that nobody has; removed again unless `keep` was called.
class TemporaryFile {
 public:
  explicit TemporaryFile(const Place& place, const std::string& path) {
    do {
      path_ = place.sibling(fresh_name(place, ".tmp"));
      file_ = Descriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    } while (!file_.open() && errno == EEXIST);
    if (!file_.open()) fail_writing(path, place, errno);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  /// Writes and flushes; errno, or 0.
  int fill(std::string_view bytes) {
    if (const int error = write_all(file_.get(), bytes)) return error;
    if (::fsync(file_.get()) != 0 && errno != EINVAL) return errno;
    return file_.close();
  }
  int move_to(const std::string& path) {
    if (::rename(path_.c_str(), path.c_str()) != 0) return errno;
    path_.clear();
    return 0;
  }

 private:
  std::string path_;
  Descriptor file_;
};

// A folder NAME is replaced through two hidden neighbours:
//   .NAME.PID.N.new.tmp  the new one while it is filled; its writer holds a lock (flock) on it
//   .NAME.old.tmp        the old one, from the moment it makes room until it is removed
// Steps: fill .new.tmp; flush it; [rename NAME to .old.tmp; rename .new.tmp to NAME]; remove
// .old.tmp. The steps in brackets, and recovery, hold a lock on the parent folder, so that a
// reader's recovery never meets them half done. Whatever the moment of a crash, either NAME is
// whole, or NAME is absent and .old.tmp is whole: recovery renames it back. A .new.tmp whose lock
// is free has lost its writer. The locks vanish with their process. Where a file system has no
// locks, only one process may work on a folder at a time.

constexpr const char* kNew = ".new.tmp";
constexpr const char* kOld = "old.tmp";

std::string old_path(const Place& place) { return place.sibling(hidden_prefix(place) + kOld); }

/// Opens a folder and locks it; not open when the folder is missing, or busy and `wait` is false.
Descriptor lock_folder(const std::string& path, bool wait) {
  Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.open()) return folder;
  int result = 0;
  do {
    result = ::flock(folder.get(), LOCK_EX | (wait ? 0 : LOCK_NB));
  } while (result != 0 && errno == EINTR);
  if (result != 0 && errno == EWOULDBLOCK) return Descriptor();
  return folder;
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() != fs::file_type::not_found;
}

void remove_quietly(const std::string& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

/// Removes the .new.tmp folders of writers that are gone.
void remove_abandoned(const Place& place) {
  const std::string prefix = hidden_prefix(place);
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator it(place.folder, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(kNew)) continue;
    const std::string digits = name.substr(prefix.size(), name.size() - prefix.size() - 8);
    if (digits.find_first_not_of("0123456789.") == std::string::npos)
      found.push_back(place.sibling(name));
  }
  for (const std::string& folder : found)
    if (lock_folder(folder, /*wait=*/false).open()) remove_quietly(folder);
}

/// The caller holds the lock of the parent.
void recover_locked(const std::string& path, const Place& place) {
  const std::string old = old_path(place), target = place.sibling(place.name);
  if (exists(old)) {
    if (exists(target)) {
      remove_quietly(old);
    } else if (::rename(old.c_str(), target.c_str()) != 0) {
      fail_errno(path, fmt::format("cannot be put back from '{}'", old), errno);
    }
  }
  remove_abandoned(place);
}

/// The folder that is being filled, locked; removed again unless it was moved.
class NewFolder {
 public:
  NewFolder(const std::string& path, const Place& place) {
    std::string made;
    int error = 0;
    do {
      made = place.sibling(fresh_name(place, kNew));
      error = ::mkdir(made.c_str(), 0777) == 0 ? 0 : errno;
    } while (error == EEXIST);
    if (error != 0) fail_writing(path, place, error);
    path_ = made;
    lock_ = lock_folder(path_, /*wait=*/true);
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;
  ~NewFolder() {
    if (!path_.empty()) remove_quietly(path_);
  }
  const std::string& path() const { return path_; }
  int move_to(const std::string& path) {
    if (::rename(path_.c_str(), path.c_str()) != 0) return errno;
    path_.clear();
    return 0;
  }

 private:
  std::string path_;
  Descriptor lock_;
};

/// Flushes every file and folder below `folder`, and itself; errno, or 0.
int flush_tree(const std::string& folder) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it->is_symlink()) continue;
    if (const int failed = flush(it->path().string(), it->is_directory())) return failed;
  }
  if (error) return error.value();
  return flush(folder, true);
}

/// Puts the filled folder in the place of the old one. The caller holds the lock of the parent.
void swap_in(NewFolder& fresh, const std::string& path, const Place& place,
             const std::function<void(std::string_view)>& after) {
  const std::string old = old_path(place), target = place.sibling(place.name);
  const bool replaces = exists(target);
  if (replaces && ::rename(target.c_str(), old.c_str()) != 0)
    fail_errno(path, "cannot be replaced", errno);
  after("old moved away");
  if (const int error = fresh.move_to(target)) {
    if (replaces) ::rename(old.c_str(), target.c_str());
    fail_errno(path, "cannot be written", error);
  }
  after("new in place");
  if (const int error = flush(place.folder, true)) fail_errno(path, "cannot be flushed", error);
}

/// tables[k][b]: the CRC of byte b followed by k zero bytes.
using CrcTables = std::array<std::array<uint32_t, 256>, 8>;

constexpr CrcTables make_crc_tables() {
  constexpr uint32_t kReflected = 0x82F63B78;  // 0x1EDC6F41, lowest bit first
  CrcTables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kReflected : 0);
    tables[0][byte] = crc;
  }
  for (size_t k = 1; k < 8; ++k)
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t last = tables[k - 1][byte];
      tables[k][byte] = (last >> 8) ^ tables[0][last & 0xFF];
    }
  return tables;
}

constexpr CrcTables kCrc = make_crc_tables();

}  // namespace

std::string read_file(const std::string& path, uint64_t most) {
  const Descriptor file = open_for_reading(path);
  const struct stat status = status_of_file(file, path);
  const auto size = static_cast<uint64_t>(status.st_size);
  if (size > most) fail(path, fmt::format("has {} bytes; at most {} are read.", size, most));
  std::string bytes;
  try {
    bytes.resize(size);
    bytes.resize(read_some(file, bytes.data(), bytes.size(), path));
    // Pipes and files that grow: whatever is left.
    std::string more(size_t{1} << 16, '\0');
    while (const size_t got = read_some(file, more.data(), more.size(), path)) {
      bytes.append(more, 0, got);
      if (bytes.size() > most) fail(path, fmt::format("has more than {} bytes.", most));
    }
  } catch (const std::bad_alloc&) {
    fail(path, fmt::format("has {} bytes, more than fit into memory.", size));
  } catch (const std::length_error&) {
    fail(path, fmt::format("has {} bytes, more than fit into memory.", size));
  }
  return bytes;
}

FileBytes map_file(const std::string& path) {
  const Descriptor file = open_for_reading(path);
  const struct stat status = status_of_file(file, path);
  const auto size = static_cast<size_t>(status.st_size);
  if (S_ISREG(status.st_mode) && size > 0) {
#ifdef MAP_POPULATE
    constexpr int kFlags = MAP_PRIVATE | MAP_POPULATE;  // one call instead of a fault for each page
#else
    constexpr int kFlags = MAP_PRIVATE;
#endif
    void* const at = ::mmap(nullptr, size, PROT_READ, kFlags, file.get(), 0);
    if (at != MAP_FAILED)
      return {{static_cast<const char*>(at), size},
              std::shared_ptr<const void>(at, [size](void* mapped) { ::munmap(mapped, size); })};
  }
  const auto read = std::make_shared<const std::string>(read_file(path));
  return {*read, read};
}

void write_file_atomic(const std::string& path, std::string_view bytes) {
  const Place place = place_of(path);
  if (is_folder(path)) fail(path, "is a folder; give the path of a file.");
  TemporaryFile file(place, path);
  if (const int error = file.fill(bytes))
    fail_errno(path, fmt::format("cannot be written ({} bytes)", bytes.size()), error);
  if (const int error = file.move_to(place.sibling(place.name)))
    fail_errno(path, "cannot be written", error);
  if (const int error = flush(place.folder, true)) fail_errno(path, "cannot be flushed", error);
}

void write_folder_atomic(const std::string& path,
                         const std::function<void(const std::string& folder)>& fill,
                         const std::function<void(std::string_view step)>& after_step) {
  const Place place = place_of(path);
  const auto after = [&](std::string_view step) {
    if (after_step) after_step(step);
  };
  if (exists(path) && !is_folder(path)) fail(path, "is a file; give the path of a folder.");
  Descriptor lock = lock_folder(place.folder, /*wait=*/true);
  if (!lock.open()) fail_writing(path, place, errno);
  recover_locked(path, place);
  NewFolder fresh(path, place);
  lock = Descriptor();
  after("new made");
  fill(fresh.path());
  after("new filled");
  if (const int error = flush_tree(fresh.path())) fail_errno(path, "cannot be flushed", error);
  after("new flushed");
  lock = lock_folder(place.folder, /*wait=*/true);
  swap_in(fresh, path, place, after);
  remove_quietly(old_path(place));
  after("old removed");
}

void recover_folder(const std::string& path) {
  const Place place = place_of(path);
  const Descriptor lock = lock_folder(place.folder, /*wait=*/true);
  if (lock.open()) recover_locked(path, place);
}

void make_folders(const std::string& path) {
  if (path.empty()) fail("folder", "the path is empty; give the path of a folder.");
  std::error_code error;
  fs::create_directories(path, error);
  if (!error && !fs::is_directory(path, error) && !error)
    error = std::make_error_code(std::errc::not_a_directory);
  if (error) fail(path, fmt::format("the folder cannot be made: {}.", error.message()));
}

std::string sha256(std::string_view bytes) {
  Sha256 digest;
  digest.add(bytes);
  return digest.hex();
}

std::string sha256_file(const std::string& path) {
  const Descriptor file = open_for_reading(path);
  status_of_file(file, path);
  Sha256 digest;
  std::string piece(size_t{1} << 20, '\0');
  while (const size_t got = read_some(file, piece.data(), piece.size(), path))
    digest.add(std::string_view(piece).substr(0, got));
  return digest.hex();
}

uint32_t crc32c(std::string_view bytes, uint32_t previous) {
  uint32_t crc = ~previous;
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, data += 8) {  // eight bytes a step ("slicing by 8")
    crc ^= uint32_t{data[0]} | uint32_t{data[1]} << 8 | uint32_t{data[2]} << 16 |
           uint32_t{data[3]} << 24;
    crc = kCrc[7][crc & 0xFF] ^ kCrc[6][crc >> 8 & 0xFF] ^ kCrc[5][crc >> 16 & 0xFF] ^
          kCrc[4][crc >> 24] ^ kCrc[3][data[4]] ^ kCrc[2][data[5]] ^ kCrc[1][data[6]] ^
          kCrc[0][data[7]];
  }
  for (; left > 0; --left, ++data) crc = (crc >> 8) ^ kCrc[0][(crc ^ *data) & 0xFF];
  return ~crc;
}

}  // namespace instantnet
