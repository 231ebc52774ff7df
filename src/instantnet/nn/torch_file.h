// Files written by Python's torch.save: the zip archive of torch >= 1.6 and the older stream of
// pickles. Read by a small unpickler of our own that runs nothing: classes it does not know become
// opaque objects. (torch::pickle_load turns every OrderedDict, and so every state_dict(), into
// None, refuses parameters and the older files, and trusts offsets.)
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace instantnet::nn {

/// A Python value, as far as such files need it. References point into the TorchFile.
struct PyValue {
  enum class Kind { None, Bool, Int, Float, Text, List, Dict, Storage, Tensor, Object };

  Kind kind = Kind::None;
  int64_t integer = 0;  // Bool, Int; Storage: number of elements; Tensor: offset in elements
  double number = 0;    // Float
  /// Text; Object: "module.Class" that it is an instance of (or is); Storage: its key.
  std::string text;
  std::vector<PyValue*> items;                         // List and tuple; Tensor: its storage
  std::vector<std::pair<PyValue*, PyValue*>> entries;  // Dict
  std::vector<int64_t> sizes, strides;                 // Tensor
  at::ScalarType type = at::ScalarType::Float;         // Storage
};

/// One file, read whole.
class TorchFile {
 public:
  /// Error (file, offset, what was found, how to save it again) for anything else than a whole file
  /// of torch.save.
  explicit TorchFile(const std::string& path);
  TorchFile(const TorchFile&) = delete;
  TorchFile& operator=(const TorchFile&) = delete;

  /// What was given to torch.save.
  const PyValue& top() const { return *top_; }
  /// The tensor of a Kind::Tensor on the CPU, wherever it was saved from, contiguous, in its own
  /// memory. Error when it reaches beyond its storage or the storage beyond the file.
  at::Tensor tensor(const PyValue& value) const;

 private:
  void read_archive();
  void read_stream();

  std::string path_;
  std::string bytes_;
  std::deque<PyValue> values_;  // everything unpickled; never moved
  PyValue* top_ = nullptr;
  std::map<std::string, std::pair<size_t, size_t>> storages_;  // key -> first byte, number of bytes
  mutable std::map<std::string, at::Tensor> loaded_;           // storages as tensors
};

}  // namespace instantnet::nn
