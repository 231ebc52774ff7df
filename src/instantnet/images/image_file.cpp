#include "instantnet/images/image_file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <fstream>
#include <opencv2/imgcodecs.hpp>
#include <optional>
#include <string_view>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"

namespace instantnet::images {

namespace {

constexpr uint64_t kMostFileBytes = uint64_t{1} << 28;
constexpr int64_t kMostPixels = int64_t{1} << 27;
constexpr size_t kHeadBytes = size_t{1} << 16;
constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";
constexpr std::string_view kJpegSignature = "\xff\xd8\xff";

uint8_t byte_at(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }

int64_t number_at(std::string_view bytes, size_t at, size_t length) {
  int64_t value = 0;
  for (size_t i = 0; i < length; ++i) value = value << 8 | byte_at(bytes, at + i);
  return value;
}

std::string first_bytes(std::string_view bytes) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(bytes.size(), 8); ++i)
    text += fmt::format("{}{:02x}", i ? " " : "", byte_at(bytes, i));
  return text;
}

[[noreturn]] void cut_short(const std::string& path, size_t end, std::string_view inside) {
  fail(path,
       fmt::format("the image is cut short: the file ends at offset {}, inside {}.", end, inside));
}

void check_size(const std::string& path, const StoredShape& shape) {
  if (shape.height < 1 || shape.width < 1 || shape.height > kMostPixels / shape.width)
    fail(path, fmt::format("the header gives the size {}x{}; an image has 1 to {} pixels.",
                           shape.height, shape.width, kMostPixels));
}

// JPEG (ITU-T T.81, annex B): segments 0xff, marker, and mostly a 16-bit length that counts itself.

enum JpegMarker : uint8_t {
  kStuffed = 0x00,
  kTem = 0x01,
  kRst0 = 0xd0,
  kRst7 = 0xd7,
  kEoi = 0xd9,
  kSos = 0xda
};

bool starts_frame(uint8_t marker) {  // SOF0 to SOF15 without DHT, JPG, DAC
  return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

bool stands_alone(uint8_t marker) {
  return marker == kStuffed || marker == kTem || (marker >= kRst0 && marker <= kRst7);
}

struct Segment {
  uint8_t marker = 0;
  size_t content = 0;  // offset after the length
  size_t next = 0;     // offset after the segment
};

/// The segment at or after `at`: like libjpeg, skips what is no marker. Empty when `bytes` end
/// before it does.
std::optional<Segment> jpeg_segment(const std::string& path, std::string_view bytes, size_t at) {
  at = bytes.find('\xff', at);
  if (at == std::string_view::npos) return {};
  while (at + 1 < bytes.size() && byte_at(bytes, at + 1) == 0xff) ++at;
  if (at + 2 > bytes.size()) return {};
  Segment segment{byte_at(bytes, at + 1), at + 2, at + 2};
  if (stands_alone(segment.marker) || segment.marker == kEoi) return segment;
  if (at + 4 > bytes.size()) return {};
  const int64_t length = number_at(bytes, at + 2, 2);
  if (length < 2)
    fail(path,
         fmt::format("offset {}: a JPEG segment of length {}; the least is 2.", at + 2, length));
  segment.content = at + 4;
  segment.next = at + 2 + static_cast<size_t>(length);
  if (segment.next > bytes.size()) return {};
  return segment;
}

/// Where the compressed data that starts at `at` end: at the next marker that is neither a stuffed
/// zero nor a restart.
size_t jpeg_scan_end(std::string_view bytes, size_t at) {
  while (true) {
    at = bytes.find('\xff', at);
    if (at == std::string_view::npos || at + 1 >= bytes.size()) return bytes.size();
    const uint8_t next = byte_at(bytes, at + 1);
    if (next != 0x00 && !(next >= kRst0 && next <= kRst7)) return at;
    at += 2;
  }
}

/// The frame header. Empty when `bytes` (a file's beginning) end before it.
std::optional<StoredShape> jpeg_shape(const std::string& path, std::string_view bytes) {
  size_t at = 2;
  while (const auto segment = jpeg_segment(path, bytes, at)) {
    if (starts_frame(segment->marker)) {
      if (segment->next < segment->content + 6) fail(path, "the JPEG frame header is too short.");
      return StoredShape{number_at(bytes, segment->content + 1, 2),
                         number_at(bytes, segment->content + 3, 2),
                         byte_at(bytes, segment->content + 5) == 1};
    }
    if (segment->marker == kSos || segment->marker == kEoi)
      fail(path, fmt::format("offset {}: the JPEG has no frame header before its data.", at));
    at = segment->next;
  }
  return {};
}

/// libjpeg fills what is missing with old memory; so look for the end marker first.
void check_whole_jpeg(const std::string& path, std::string_view bytes) {
  size_t at = 2;
  while (const auto segment = jpeg_segment(path, bytes, at)) {
    if (segment->marker == kEoi) return;
    at = segment->marker == kSos ? jpeg_scan_end(bytes, segment->next) : segment->next;
  }
  cut_short(path, bytes.size(), "the JPEG data");
}

// PNG (ISO/IEC 15948): an 8-byte signature, then chunks of length, type, content, CRC-32 of type
// and content.

constexpr size_t kChunkFrame = 12;

StoredShape png_shape(const std::string& path, std::string_view bytes) {
  const size_t header = kPngSignature.size();
  if (bytes.size() < header + 8 + 13) cut_short(path, bytes.size(), "the PNG header");
  if (bytes.substr(header + 4, 4) != "IHDR")
    fail(path, fmt::format("offset {}: the first PNG chunk is not IHDR.", header));
  const int colour_type = byte_at(bytes, header + 8 + 9);
  return {number_at(bytes, header + 12, 4), number_at(bytes, header + 8, 4),
          colour_type == 0 || colour_type == 4};
}

uint32_t png_checksum(std::string_view type_and_content) {
  return static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(type_and_content.data()),
                                     static_cast<uInt>(type_and_content.size())));
}

void check_whole_png(const std::string& path, std::string_view bytes) {
  size_t at = kPngSignature.size();
  while (true) {
    if (bytes.size() - at < kChunkFrame) cut_short(path, bytes.size(), "the PNG data");
    const auto length = static_cast<size_t>(number_at(bytes, at, 4));
    const std::string_view type = bytes.substr(at + 4, 4);
    if (bytes.size() - at - kChunkFrame < length)
      cut_short(path, bytes.size(), fmt::format("the PNG chunk at offset {}", at));
    if (png_checksum(bytes.substr(at + 4, 4 + length)) != number_at(bytes, at + 8 + length, 4))
      fail(path, fmt::format("offset {}: the checksum of this PNG chunk is wrong; the file is "
                             "damaged.",
                             at));
    if (type == "IEND") return;
    at += kChunkFrame + length;
  }
}

/// The shape in the header of `bytes`, the whole file or its beginning; empty when more of it is
/// needed.
std::optional<StoredShape> header_shape(const std::string& path, std::string_view bytes) {
  if (bytes.empty()) fail(path, "the file is empty; a JPEG or PNG image is expected.");
  std::optional<StoredShape> shape;
  if (bytes.starts_with(kJpegSignature))
    shape = jpeg_shape(path, bytes);
  else if (bytes.starts_with(kPngSignature))
    shape = png_shape(path, bytes);
  else
    fail(path, fmt::format("offset 0: neither a JPEG nor a PNG image; it starts with {}.",
                           first_bytes(bytes)));
  if (shape) check_size(path, *shape);
  return shape;
}

std::string file_head(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string head(kHeadBytes, '\0');
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return head;
}

StoredShape whole_shape(const std::string& path, std::string_view bytes) {
  if (const auto shape = header_shape(path, bytes)) return *shape;
  cut_short(path, bytes.size(), "the JPEG header");
}

cv::Mat decode_bgr(const std::string& path, std::string& bytes) {
  cv::Mat decoded;
  try {
    const cv::Mat packed(1, static_cast<int>(bytes.size()), CV_8UC1, bytes.data());
    decoded = cv::imdecode(packed, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
  } catch (const cv::Exception& exception) {
    fail(path, fmt::format("the image cannot be decoded ({}).", exception.err));
  }
  if (decoded.empty()) fail(path, "the image cannot be decoded; the file is damaged.");
  return decoded;
}

Image rgb_of(const cv::Mat& bgr) {
  Image image{bgr.rows, bgr.cols, 3, {}};
  image.pixels.reserve(static_cast<size_t>(image.height * image.width * 3));
  for (int y = 0; y < bgr.rows; ++y) {
    const uint8_t* row = bgr.ptr<uint8_t>(y);
    for (int x = 0; x < bgr.cols; ++x)
      image.pixels.insert(image.pixels.end(), {row[3 * x + 2], row[3 * x + 1], row[3 * x]});
  }
  return image;
}

}  // namespace

StoredShape stored_shape(const std::string& path) {
  if (const auto shape = header_shape(path, file_head(path))) return *shape;
  return whole_shape(path, read_file(path, kMostFileBytes));
}

Image decode_image(const std::string& path) {
  std::string bytes = read_file(path, kMostFileBytes);
  const StoredShape shape = whole_shape(path, bytes);
  bytes.starts_with(kPngSignature) ? check_whole_png(path, bytes) : check_whole_jpeg(path, bytes);
  const cv::Mat decoded = decode_bgr(path, bytes);
  if (decoded.rows != shape.height || decoded.cols != shape.width || decoded.channels() != 3)
    fail(path, fmt::format("decodes to {}x{}, but its header says {}x{}.", decoded.rows,
                           decoded.cols, shape.height, shape.width));
  Image image = rgb_of(decoded);
  image.grey = shape.grey;
  return image;
}

bool has_image_ending(const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return false;
  std::string ending = name.substr(dot + 1);
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return ending == "jpg" || ending == "jpeg" || ending == "png";
}

}  // namespace instantnet::images
