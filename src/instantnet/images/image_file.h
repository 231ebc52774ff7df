// JPEG and PNG files: their size without decoding, and their pixels.
#pragma once

#include <cstdint>
#include <string>

#include "instantnet/images/dataset.h"

namespace instantnet::images {

/// What a file's header says.
struct StoredShape {
  int64_t height = 0, width = 0;
  bool grey = false;  // one component
};

/// Reads only as much of the file as needed. Error (offset, what was found) when it is neither JPEG
/// nor PNG, its header is damaged, or it has more than 2^27 pixels.
StoredShape stored_shape(const std::string& path);

/// Decodes to 3 channels, RGB: grey values three times, 16 bits to 8, transparency and EXIF
/// orientation ignored. Error as stored_shape, and when the file is cut short (JPEG: before its end
/// marker; PNG: inside a chunk) or damaged (PNG checksums; a damaged JPEG mostly still decodes, as
/// in every program that uses libjpeg).
Image decode_image(const std::string& path);

/// Whether the name ends in .jpg, .jpeg or .png, in small or capital letters.
bool has_image_ending(const std::string& name);

}  // namespace instantnet::images
