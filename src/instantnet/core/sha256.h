// SHA-256 (FIPS 180-4) of bytes that come in pieces; by OpenSSL, or without it (sha256_plain.cpp).
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace instantnet {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(std::string_view bytes);
  /// 64 hexadecimal digits, once.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace instantnet
