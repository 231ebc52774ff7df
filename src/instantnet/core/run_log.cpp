#include "instantnet/core/run_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <system_error>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"

namespace instantnet {

namespace {

[[noreturn]] void fail_errno(const std::string& path, std::string_view what, int error) {
  fail(path, fmt::format("{}: {}.", what, std::generic_category().message(error)));
}

/// Opens for appending, made when missing. The caller closes it.
int open_log(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file < 0) fail_errno(path, "cannot be opened for writing", errno);
  return file;
}

int64_t length_of(int file, const std::string& path) {
  struct stat status;
  if (::fstat(file, &status) != 0) fail_errno(path, "cannot be read", errno);
  return status.st_size;
}

/// Cuts the file to `bytes` where it is longer. Pipes and devices have no length to cut.
void cut(int file, const std::string& path, int64_t bytes) {
  if (length_of(file, path) > bytes && ::ftruncate(file, bytes) != 0)
    fail_errno(path, fmt::format("cannot be cut to {} bytes", bytes), errno);
}

/// Appends everything, or cuts the file back to what it was and fails.
void append(int file, const std::string& path, std::string_view bytes) {
  const int64_t before = length_of(file, path);
  while (!bytes.empty()) {
    const ssize_t put = ::write(file, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      const int error = put == 0 ? ENOSPC : errno;
      if (::ftruncate(file, before) != 0) errno = 0;  // the next opening drops the rest
      fail_errno(path, "cannot be written", error);
    }
    bytes.remove_prefix(static_cast<size_t>(put));
  }
}

std::string read_at(int file, const std::string& path, int64_t from, size_t size) {
  std::string bytes(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t got =
        ::pread(file, bytes.data() + done, size - done, from + static_cast<int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_errno(path, "cannot be read", errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

/// Bytes up to and with the last end of a line.
int64_t length_of_whole_lines(int file, const std::string& path) {
  constexpr int64_t kPiece = 1 << 16;
  for (int64_t end = length_of(file, path); end > 0;) {
    const int64_t from = std::max<int64_t>(0, end - kPiece);
    const std::string piece = read_at(file, path, from, static_cast<size_t>(end - from));
    const size_t found = piece.rfind('\n');
    if (found != std::string::npos) return from + static_cast<int64_t>(found) + 1;
    end = from;
  }
  return 0;
}

// ---- TFRecord and protobuf, by hand.

template <class Word>
std::string little_endian(Word value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(Word); ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
  return bytes;
}

template <class Word>
Word from_little_endian(std::string_view bytes) {
  Word value = 0;
  for (size_t i = 0; i < sizeof(Word); ++i)
    value |= Word{static_cast<unsigned char>(bytes[i])} << (8 * i);
  return value;
}

constexpr size_t kHeader = 8 + 4;  // length and its CRC
constexpr size_t kFooter = 4;      // CRC of the data

/// Bytes of the whole records at the start of the file.
size_t length_of_whole_records(std::string_view file) {
  std::string_view rest = file;
  while (rest.size() >= kHeader + kFooter) {
    const std::string_view length_bytes = rest.substr(0, 8);
    if (masked_crc32c(length_bytes) != from_little_endian<uint32_t>(rest.substr(8))) break;
    const auto length = from_little_endian<uint64_t>(length_bytes);
    if (length > rest.size() - kHeader - kFooter) break;
    const std::string_view data = rest.substr(kHeader, length);
    if (masked_crc32c(data) != from_little_endian<uint32_t>(rest.substr(kHeader + length))) break;
    rest.remove_prefix(kHeader + length + kFooter);
  }
  return file.size() - rest.size();
}

constexpr std::string_view kVersion = "brain.Event:2";

enum class Wire : unsigned { Varint = 0, Eight = 1, Bytes = 2, Four = 5 };

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  return bytes + static_cast<char>(value);
}

std::string tag(unsigned field, Wire wire) {
  return varint(field << 3 | static_cast<unsigned>(wire));
}

std::string proto_bytes(unsigned field, std::string_view value) {
  return tag(field, Wire::Bytes) + varint(value.size()) + std::string(value);
}

std::string proto_double(unsigned field, double value) {
  return tag(field, Wire::Eight) + little_endian(std::bit_cast<uint64_t>(value));
}

std::string proto_float(unsigned field, float value) {
  return tag(field, Wire::Four) + little_endian(std::bit_cast<uint32_t>(value));
}

std::string proto_int(unsigned field, int64_t value) {
  return tag(field, Wire::Varint) + varint(static_cast<uint64_t>(value));
}

/// Event with file_version = 3.
std::string version_event(double wall_time) {
  return proto_double(1, wall_time) + proto_bytes(3, kVersion);
}

/// A file that begins like an event file, as far as it goes.
bool begins_like_events(std::string_view file) {
  if (file.size() < kHeader) return tf_record(version_event(0)).starts_with(file);
  return masked_crc32c(file.substr(0, 8)) == from_little_endian<uint32_t>(file.substr(8));
}

/// Event with summary = 5, whose values = 1 have tag = 1 and simple_value = 2.
std::string scalars_event(int64_t step, double wall_time,
                          const std::vector<std::pair<std::string, float>>& values) {
  std::string summary;
  for (const auto& [name, value] : values)
    summary += proto_bytes(1, proto_bytes(1, name) + proto_float(2, value));
  return proto_double(1, wall_time) + proto_int(2, step) + proto_bytes(5, summary);
}

/// Closes the file when a constructor does not get to its end.
class Opened {
 public:
  explicit Opened(const std::string& path) : file_(open_log(path)) {}
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  ~Opened() {
    if (file_ >= 0) ::close(file_);
  }
  int get() const { return file_; }
  int release() { return std::exchange(file_, -1); }

 private:
  int file_;
};

}  // namespace

Tree by_the_clock(double value) {
  Tree tree;
  tree.kind = Tree::Kind::Scalar;
  tree.scalar = fmt::format("{:.6e}", value);
  return tree;
}

double wall_time() {
  using namespace std::chrono;
  return duration<double>(system_clock::now().time_since_epoch()).count();
}

RunLog::RunLog(const std::string& path, int64_t keep_bytes) : path_(path) {
  Opened file(path);
  if (keep_bytes >= 0) cut(file.get(), path, keep_bytes);
  cut(file.get(), path, length_of_whole_lines(file.get(), path));
  file_ = file.release();
}

RunLog::~RunLog() { ::close(file_); }

void RunLog::write(const Tree& record) {
  if (record.kind != Tree::Kind::Map) bug("a record of a run log is a map.");
  append(file_, path_, print_json(record) + "\n");
}

int64_t RunLog::bytes() const { return length_of(file_, path_); }

EventFile::EventFile(const std::string& path, int64_t keep_bytes, double wall_time) : path_(path) {
  Opened file(path);
  const auto size = static_cast<size_t>(length_of(file.get(), path));
  const std::string old = read_at(file.get(), path, 0, size);
  if (!begins_like_events(old))
    fail(path, "is not a TensorBoard event file; give a new path, or move the file away.");
  const std::string_view kept =
      keep_bytes < 0 ? old : std::string_view(old).substr(0, static_cast<size_t>(keep_bytes));
  const size_t whole = length_of_whole_records(kept);
  cut(file.get(), path, static_cast<int64_t>(whole));
  if (whole == 0) append(file.get(), path, tf_record(version_event(wall_time)));
  file_ = file.release();
}

EventFile::~EventFile() { ::close(file_); }

void EventFile::scalars(int64_t step, double wall_time,
                        const std::vector<std::pair<std::string, float>>& values) {
  append(file_, path_, tf_record(scalars_event(step, wall_time, values)));
}

int64_t EventFile::bytes() const { return length_of(file_, path_); }

uint32_t masked_crc32c(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return std::rotr(crc, 15) + 0xA282EAD8u;
}

std::string tf_record(std::string_view data) {
  const std::string length = little_endian(static_cast<uint64_t>(data.size()));
  return length + little_endian(masked_crc32c(length)) + std::string(data) +
         little_endian(masked_crc32c(data));
}

}  // namespace instantnet
