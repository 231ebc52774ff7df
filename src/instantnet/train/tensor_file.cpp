#include "instantnet/train/tensor_file.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "instantnet/core/error.h"

namespace instantnet::train {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor files are little-endian");

using Json = nlohmann::json;

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMostHeaderBytes = uint64_t{100} << 20;  // the limit of the safetensors library
constexpr const char* kMetadata = "__metadata__";

/// A kind of number: its name in the file and in torch.
struct NumberType {
  const char* name;
  at::ScalarType type;
  uint64_t bytes;
};
constexpr std::array<NumberType, 4> kTypes = {
    {{"F32", at::kFloat, 4}, {"I64", at::kLong, 8}, {"I32", at::kInt, 4}, {"U8", at::kByte, 1}}};

const NumberType& type_of(const at::Tensor& tensor, const std::string& name) {
  for (const NumberType& one : kTypes)
    if (one.type == tensor.scalar_type()) return one;
  bug(fmt::format("tensor '{}' is {}, which tensor files do not hold", name,
                  c10::toString(tensor.scalar_type())));
}

/// One tensor as the header describes it.
struct Entry {
  std::string name;
  NumberType type;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // in the data
};

/// Reads and checks; `fail` of every function names the file and the tensor.
class Reader {
 public:
  Reader(const std::string& bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  std::map<std::string, at::Tensor> read() {
    const Json header = read_header();
    std::vector<Entry> entries;
    for (const auto& [name, value] : header.items())
      if (name != kMetadata) entries.push_back(read_entry(name, value));
    check_places(entries);
    std::map<std::string, at::Tensor> tensors;
    for (const Entry& entry : entries) tensors.emplace(entry.name, copy(entry));
    return tensors;
  }

 private:
  [[noreturn]] void refuse(const std::string& sentence) const { fail(where_, sentence); }
  [[noreturn]] void refuse(const std::string& name, const std::string& sentence) const {
    fail(where_, fmt::format("tensor '{}' {}", name, sentence));
  }
  uint64_t data_bytes() const { return bytes_.size() - data_begin_; }

  Json read_header() {
    if (bytes_.size() < kLengthBytes)
      refuse(
          fmt::format("has {} bytes; a tensor file has at least {}.", bytes_.size(), kLengthBytes));
    uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), kLengthBytes);
    if (length > kMostHeaderBytes || length > bytes_.size() - kLengthBytes)
      refuse(
          fmt::format("offset 0: the header should have {} bytes, but {} follow; the file is "
                      "truncated or no tensor file.",
                      length, bytes_.size() - kLengthBytes));
    data_begin_ = kLengthBytes + length;
    const auto* first = bytes_.data() + kLengthBytes;
    Json header;
    try {
      header = Json::parse(first, first + length);
    } catch (const Json::exception& error) {
      refuse(fmt::format("offset {}: the header is not JSON ({}).", kLengthBytes, error.what()));
    }
    if (!header.is_object())
      refuse(fmt::format("offset {}: the header is not a map of tensors.", kLengthBytes));
    return header;
  }

  const Json& member(const std::string& name, const Json& value, const char* key) const {
    const auto found = value.is_object() ? value.find(key) : value.end();
    if (!value.is_object() || found == value.end())
      refuse(name, fmt::format("has no '{}' in the header.", key));
    return *found;
  }

  std::vector<int64_t> read_numbers(const std::string& name, const Json& list,
                                    const char* key) const {
    std::vector<int64_t> numbers;
    if (!list.is_array()) refuse(name, fmt::format("has a '{}' that is no list.", key));
    for (const Json& one : list) {
      if (!one.is_number_unsigned() || one.get<uint64_t>() > uint64_t{1} << 62)
        refuse(name, fmt::format("has '{}' {}, which are no sizes.", key, list.dump()));
      numbers.push_back(one.get<int64_t>());
    }
    return numbers;
  }

  NumberType read_type(const std::string& name, const Json& value) const {
    for (const NumberType& one : kTypes)
      if (value == one.name) return one;
    refuse(name, fmt::format("has dtype {}; F32, I64, I32 and U8 are read.", value.dump()));
  }

  Entry read_entry(const std::string& name, const Json& value) const {
    Entry entry{name, read_type(name, member(name, value, "dtype")),
                read_numbers(name, member(name, value, "shape"), "shape"), 0, 0};
    const std::vector<int64_t> offsets =
        read_numbers(name, member(name, value, "data_offsets"), "data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1])
      refuse(name, "has data_offsets that are not [begin, end].");
    entry.begin = static_cast<uint64_t>(offsets[0]);
    entry.end = static_cast<uint64_t>(offsets[1]);
    if (entry.end > data_bytes())
      refuse(name, fmt::format("ends at byte {} of the data, which has {}; the file is truncated.",
                               entry.end, data_bytes()));
    check_size(entry);
    return entry;
  }

  void check_size(const Entry& entry) const {
    uint64_t bytes = entry.type.bytes;
    bool empty = false;
    for (const int64_t size : entry.shape) empty = empty || size == 0;
    for (const int64_t size : entry.shape) {
      if (empty) break;
      if (bytes > data_bytes() / static_cast<uint64_t>(size))
        refuse(entry.name, "has a shape that does not fit into the file.");
      bytes *= static_cast<uint64_t>(size);
    }
    if (empty) bytes = 0;
    if (bytes != entry.end - entry.begin)
      refuse(entry.name, fmt::format("has {} bytes from offset {}; its shape and dtype need {}.",
                                     entry.end - entry.begin, data_begin_ + entry.begin, bytes));
  }

  /// Tensors tile the data: no gap, no overlap, nothing after the last.
  void check_places(std::vector<Entry>& entries) const {
    std::vector<const Entry*> order;
    for (const Entry& entry : entries) order.push_back(&entry);
    std::sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) {
      return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
    });
    uint64_t at = 0;
    for (const Entry* entry : order) {
      if (entry->begin != at)
        refuse(entry->name, fmt::format("begins at byte {} of the data, where byte {} is next.",
                                        entry->begin, at));
      at = entry->end;
    }
    if (at != data_bytes())
      refuse(fmt::format("offset {}: {} bytes follow the last tensor.", data_begin_ + at,
                         data_bytes() - at));
  }

  at::Tensor copy(const Entry& entry) const {
    at::Tensor tensor = at::empty(entry.shape, at::TensorOptions(entry.type.type));
    if (entry.end > entry.begin)
      std::memcpy(tensor.data_ptr(), bytes_.data() + data_begin_ + entry.begin,
                  entry.end - entry.begin);
    return tensor;
  }

  const std::string& bytes_;
  const std::string& where_;
  uint64_t data_begin_ = 0;
};

}  // namespace

std::string tensors_to_bytes(const std::map<std::string, at::Tensor>& tensors) {
  Json header = Json::object();
  std::vector<at::Tensor> plain;
  uint64_t at = 0;
  for (const auto& [name, tensor] : tensors) {
    const uint64_t bytes = type_of(tensor, name).bytes * static_cast<uint64_t>(tensor.numel());
    header[name] = {{"dtype", type_of(tensor, name).name},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {at, at + bytes}}};
    plain.push_back(tensor.detach().to(at::kCPU).contiguous());
    at += bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data is aligned in a mapped file
  const uint64_t length = text.size();
  std::string result(kLengthBytes, '\0');
  result.reserve(kLengthBytes + length + at);
  std::memcpy(result.data(), &length, kLengthBytes);
  result += text;
  for (const at::Tensor& tensor : plain)
    result.append(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes());
  return result;
}

std::map<std::string, at::Tensor> tensors_from_bytes(const std::string& bytes,
                                                     const std::string& where) {
  return Reader(bytes, where).read();
}

}  // namespace instantnet::train
