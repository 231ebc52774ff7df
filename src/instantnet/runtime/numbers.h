// Many numbers of a model: a vector's, or left where they lie in memory that someone else keeps.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace instantnet::runtime {

/// As a vector. Numbers that lie elsewhere (in a mapped file) are copied into a vector of its own
/// when they are first asked for in order to be changed.
template <class T>
class Numbers {
 public:
  Numbers() = default;
  Numbers(std::vector<T> own) : own_(std::move(own)) {}  // NOLINT: a vector is numbers
  /// `keeper` keeps `there`, unchanged, as long as it or a copy of it lives.
  Numbers(std::span<const T> there, std::shared_ptr<const void> keeper)
      : there_(there), keeper_(std::move(keeper)) {}

  size_t size() const { return keeper_ ? there_.size() : own_.size(); }
  bool empty() const { return size() == 0; }
  const T* data() const { return keeper_ ? there_.data() : own_.data(); }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size(); }
  const T& operator[](size_t i) const { return data()[i]; }
  bool operator==(const Numbers& other) const {
    return std::equal(begin(), end(), other.begin(), other.end());
  }

  T* begin() { return own().data(); }
  T* end() { return own().data() + own_.size(); }
  T& operator[](size_t i) { return own()[i]; }
  void push_back(T value) { own().push_back(value); }
  void pop_back() { own().pop_back(); }
  void resize(size_t size) { own().resize(size); }
  template <class Iterator>
  void assign(Iterator first, Iterator last) {
    own().assign(first, last);
  }

 private:
  std::vector<T>& own() {
    if (keeper_) {
      own_.assign(there_.begin(), there_.end());
      keeper_.reset();
    }
    return own_;
  }

  std::vector<T> own_;
  std::span<const T> there_;
  std::shared_ptr<const void> keeper_;  // null: own_
};

}  // namespace instantnet::runtime
