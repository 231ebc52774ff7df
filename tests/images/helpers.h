// What the tests of data share: tiny data sets written to a temporary folder.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <opencv2/imgcodecs.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/helpers.h"
#include "instantnet/images/dataset.h"

namespace instantnet::images::test {

using instantnet::test::error_of;
using instantnet::test::slurp;
using instantnet::test::spill;
using instantnet::test::TempFolder;

inline std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

/// An IDX file: magic number, sides, values.
inline std::string idx_bytes(uint32_t magic, const std::vector<uint32_t>& sides,
                             const std::string& values) {
  std::string bytes = big_endian(magic);
  for (const uint32_t side : sides) bytes += big_endian(side);
  return bytes + values;
}

inline std::string idx_labels(const std::string& labels) {
  return idx_bytes(0x801, {static_cast<uint32_t>(labels.size())}, labels);
}

/// Values 0, 1, 2, ... modulo 251.
inline std::string counting_bytes(size_t count) {
  std::string bytes;
  for (size_t i = 0; i < count; ++i) bytes += static_cast<char>(i % 251);
  return bytes;
}

inline std::string idx_images(uint32_t count, uint32_t height, uint32_t width) {
  return idx_bytes(0x803, {count, height, width}, counting_bytes(size_t{count} * height * width));
}

inline std::string gzipped(const std::string& bytes) {
  z_stream stream = {};
  if (deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("deflateInit2");
  std::string packed(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("deflate");
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

/// Six training images of 3x4 with labels 0 1 2 0 1 2, three test images with labels 2 1 0.
inline void write_tiny_idx(const TempFolder& folder) {
  spill(folder / "train-images-idx3-ubyte", idx_images(6, 3, 4));
  spill(folder / "train-labels-idx1-ubyte", idx_labels({"\0\1\2\0\1\2", 6}));
  spill(folder / "t10k-images-idx3-ubyte", idx_images(3, 3, 4));
  spill(folder / "t10k-labels-idx1-ubyte", idx_labels({"\2\1\0", 3}));
}

/// CIFAR records: the given label bytes before each image, whose planes have the values `first`,
/// `first` + 1, `first` + 2.
inline std::string cifar_records(const std::vector<std::string>& labels, uint8_t first = 10) {
  std::string bytes;
  for (const std::string& label : labels) {
    bytes += label;
    for (int plane = 0; plane < 3; ++plane)
      bytes += std::string(1024, static_cast<char>(first + plane));
    ++first;
  }
  return bytes;
}

/// Two images in each of the six files.
inline void write_tiny_cifar10(const TempFolder& folder) {
  for (int batch = 1; batch <= 5; ++batch)
    spill(folder / ("data_batch_" + std::to_string(batch) + ".bin"),
          cifar_records({std::string(1, static_cast<char>(batch)), {"\0", 1}}));
  spill(folder / "test_batch.bin", cifar_records({"\3", "\4"}));
}

inline void write_tiny_cifar100(const TempFolder& folder) {
  spill(folder / "train.bin", cifar_records({"\x0a\x63", {"\x13\x00", 2}}));
  spill(folder / "test.bin", cifar_records({"\x01\x05"}));
}

/// An image file (ending decides) of one colour, given as B, G, R; one value: grey.
inline void write_image(const std::string& path, int height, int width,
                        const std::vector<int>& colour) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  cv::Mat image;
  if (colour.size() == 1)
    image = cv::Mat(height, width, CV_8UC1, cv::Scalar(colour[0]));
  else
    image = cv::Mat(height, width, CV_8UC3, cv::Scalar(colour[0], colour[1], colour[2]));
  if (!cv::imwrite(path, image)) throw std::runtime_error("cannot write " + path);
}

/// Classes ant and bee, two training images each, one test image each, 8x8 PNG.
inline void write_tiny_folder(const TempFolder& folder) {
  int value = 10;
  for (const char* name : {"ant", "bee"}) {
    for (const char* file : {"/0.png", "/1.png"})
      write_image(folder / ("train/" + std::string(name) + file), 8, 8,
                  {value, value + 1, value + 2}),
          value += 20;
    write_image(folder / ("val/" + std::string(name) + "/0.png"), 8, 8, {200, value, 100});
  }
}

inline std::unique_ptr<Dataset> open(const TempFolder& folder, Part part,
                                     const std::string& format = "auto") {
  return open_dataset({folder.path(), format}, part);
}

inline std::string open_error(const TempFolder& folder, Part part,
                              const std::string& format = "auto") {
  return error_of([&] { open(folder, part, format); });
}

}  // namespace instantnet::images::test
