#include "instantnet/images/unpack.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"

namespace instantnet::images {

namespace {

constexpr int kGzipOnly = 16 + MAX_WBITS;  // zlib.h, inflateInit2
constexpr uint64_t kMostExpansion = 1032;  // zlib's technical notes: the limit of deflate
constexpr size_t kMostPiece = size_t{1} << 30;

bool is_gzip(const std::string& bytes) {
  return bytes.size() >= 2 && bytes[0] == '\x1f' && bytes[1] == '\x8b';
}

}  // namespace

struct ByteReader::Impl {
  std::string path;
  std::string bytes;  // of the file, as stored
  bool packed = false;
  size_t next = 0;  // in bytes, when not packed
  uint64_t offset = 0;
  z_stream stream = {};
  bool over = false;  // the last gzip member ended

  size_t packed_offset() const { return bytes.size() - stream.avail_in - later; }

  /// zlib counts input in 32 bits: gives it the next piece.
  void feed() {
    const size_t piece = std::min(later, kMostPiece);
    stream.next_in = reinterpret_cast<Bytef*>(bytes.data() + (bytes.size() - later));
    stream.avail_in = static_cast<uInt>(piece);
    later -= piece;
  }

  /// After the end of a member: another one follows, or the file ends.
  void next_member() {
    if (stream.avail_in == 0 && later > 0) feed();
    if (stream.avail_in == 0) {
      over = true;
      return;
    }
    if (stream.next_in[0] != 0x1f)
      fail(path, fmt::format("{} bytes follow the end of the gzip stream at packed offset {}; "
                             "nothing should.",
                             stream.avail_in + later, packed_offset()));
    inflateReset(&stream);
  }

  size_t read_packed(uint8_t* to, size_t size) {
    size_t done = 0;
    while (done < size && !over) {
      if (stream.avail_in == 0 && later > 0) feed();
      const uInt piece = static_cast<uInt>(std::min(size - done, kMostPiece));
      stream.next_out = to + done;
      stream.avail_out = piece;
      const int result = inflate(&stream, Z_NO_FLUSH);
      done += piece - stream.avail_out;
      if (result == Z_STREAM_END)
        next_member();
      else if (result == Z_BUF_ERROR ||
               (result == Z_OK && stream.avail_in == 0 && later == 0 && stream.avail_out > 0))
        fail(path, fmt::format("the gzip stream is cut short: the file ends at packed offset {}, "
                               "after {} unpacked bytes; fetch the file again.",
                               bytes.size(), offset + done));
      else if (result != Z_OK)
        fail(path, fmt::format("the gzip stream is damaged at packed offset {}, after {} unpacked "
                               "bytes ({}); fetch the file again.",
                               packed_offset(), offset + done,
                               stream.msg ? stream.msg : "zlib gives no reason"));
    }
    return done;
  }

  size_t read_plain(uint8_t* to, size_t size) {
    const size_t count = std::min(size, bytes.size() - next);
    if (count > 0) std::memcpy(to, bytes.data() + next, count);
    next += count;
    return count;
  }

  size_t later = 0;  // packed bytes not yet given to zlib
};

ByteReader::ByteReader(const std::string& path) : impl_(std::make_unique<Impl>()) {
  impl_->path = path;
  impl_->bytes = read_file(path);
  impl_->packed = is_gzip(impl_->bytes);
  if (!impl_->packed) return;
  impl_->later = impl_->bytes.size();
  if (inflateInit2(&impl_->stream, kGzipOnly) != Z_OK) bug("zlib cannot start");
}

ByteReader::~ByteReader() {
  if (impl_->packed) inflateEnd(&impl_->stream);
}

size_t ByteReader::read(uint8_t* to, size_t size) {
  const size_t count = impl_->packed ? impl_->read_packed(to, size) : impl_->read_plain(to, size);
  impl_->offset += count;
  return count;
}

uint64_t ByteReader::offset() const { return impl_->offset; }

uint64_t ByteReader::most_bytes() const {
  return impl_->packed ? impl_->bytes.size() * kMostExpansion : impl_->bytes.size() - impl_->next;
}

}  // namespace instantnet::images
