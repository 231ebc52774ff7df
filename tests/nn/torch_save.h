// Writes what Python's torch.save writes, byte by byte, so that tests have such files without
// Python: the zip archive of torch >= 1.6 and the older stream of pickles.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace instantnet::test {

/// A float32 tensor, contiguous.
struct PlainTensor {
  std::vector<int64_t> shape;
  std::vector<float> values;
};
using PlainState = std::vector<std::pair<std::string, PlainTensor>>;

namespace torch_save_detail {

template <class T>
std::string raw(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

inline std::string text(const std::string& value) {
  return "X" + raw(static_cast<uint32_t>(value.size())) + value;
}
inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string integer(int64_t value) { return "J" + raw(static_cast<int32_t>(value)); }
inline std::string integers(const std::vector<int64_t>& values) {
  std::string result = "(";
  for (const int64_t value : values) result += integer(value);
  return result + "t";
}
inline std::string ordered_dict() { return global("collections", "OrderedDict") + ")R"; }

inline std::string tensor(const PlainTensor& value, const std::string& key, bool legacy) {
  std::vector<int64_t> strides(value.shape.size());
  int64_t stride = 1;
  for (size_t i = value.shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= value.shape[i];
  }
  const std::string storage = "(" + text("storage") + global("torch", "FloatStorage") + text(key) +
                              text("cuda:0") + integer(static_cast<int64_t>(value.values.size())) +
                              (legacy ? "N" : "") + "tQ";
  return global("torch._utils", "_rebuild_tensor_v2") + "(" + storage + integer(0) +
         integers(value.shape) + integers(strides) + "\x89" + ordered_dict() + "tR";
}

/// As state_dict(): an OrderedDict with an attribute _metadata.
inline std::string state_pickle(const PlainState& state, bool legacy) {
  std::string bytes = "\x80\x02" + ordered_dict() + "q" + std::string(1, '\0') + "(";
  for (size_t i = 0; i < state.size(); ++i)
    bytes += text(state[i].first) + tensor(state[i].second, std::to_string(i), legacy);
  return bytes + "u}" + text("_metadata") + ordered_dict() + "sb.";
}

inline std::string floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

inline uint32_t crc32(const std::string& bytes) {
  uint32_t crc = ~uint32_t{0};
  for (const char byte : bytes) {
    crc ^= static_cast<uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320U : 0U);
  }
  return ~crc;
}

/// Sizes, names and CRC as both headers of a zip entry have them.
inline std::string zip_facts(const std::string& name, const std::string& bytes) {
  const auto size = static_cast<uint32_t>(bytes.size());
  return raw<uint16_t>(0) + raw<uint16_t>(0) + raw<uint32_t>(0) + raw(crc32(bytes)) + raw(size) +
         raw(size) + raw(static_cast<uint16_t>(name.size())) + raw<uint16_t>(0);
}

}  // namespace torch_save_detail

/// A zip archive, nothing compressed.
inline std::string zip(const std::vector<std::pair<std::string, std::string>>& files) {
  using namespace torch_save_detail;
  std::string all, directory;
  for (const auto& [name, bytes] : files) {
    directory += std::string("PK\1\2", 4) + raw<uint16_t>(20) + raw<uint16_t>(20) +
                 zip_facts(name, bytes) + raw<uint16_t>(0) + raw<uint16_t>(0) + raw<uint16_t>(0) +
                 raw<uint32_t>(0) + raw(static_cast<uint32_t>(all.size())) + name;
    all += std::string("PK\3\4", 4) + raw<uint16_t>(20) + zip_facts(name, bytes) + name + bytes;
  }
  const auto count = static_cast<uint16_t>(files.size());
  return all + directory + std::string("PK\5\6", 4) + raw<uint32_t>(0) + raw(count) + raw(count) +
         raw(static_cast<uint32_t>(directory.size())) + raw(static_cast<uint32_t>(all.size())) +
         raw<uint16_t>(0);
}

/// torch.save(model.state_dict(), path) of torch >= 1.6.
inline std::string torch_save(const PlainState& state) {
  using namespace torch_save_detail;
  std::vector<std::pair<std::string, std::string>> files = {
      {"archive/data.pkl", state_pickle(state, false)}};
  for (size_t i = 0; i < state.size(); ++i)
    files.emplace_back("archive/data/" + std::to_string(i), floats(state[i].second.values));
  files.emplace_back("archive/version", "3\n");
  return zip(files);
}

/// The same of torch < 1.6.
inline std::string torch_save_legacy(const PlainState& state) {
  using namespace torch_save_detail;
  std::string bytes("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
  bytes += "\x80\x02M" + raw<uint16_t>(1001) + ".";
  bytes += "\x80\x02}" + text("little_endian") + "\x88s.";
  bytes += state_pickle(state, true);
  bytes += "\x80\x02](";
  for (size_t i = 0; i < state.size(); ++i) bytes += text(std::to_string(i));
  bytes += "e.";
  for (const auto& [name, tensor] : state)
    bytes += raw(static_cast<int64_t>(tensor.values.size())) + floats(tensor.values);
  return bytes;
}

}  // namespace instantnet::test
