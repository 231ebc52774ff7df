#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

#include "instantnet/core/error.h"
#include "instantnet/core/sha256.h"

namespace instantnet {

struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(),
                                                                  &EVP_MD_CTX_free};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  EVP_MD_CTX* context = state_->context.get();
  if (context == nullptr || EVP_DigestInit_ex(context, EVP_sha256(), nullptr) != 1)
    bug("OpenSSL has no SHA-256.");
}

Sha256::~Sha256() = default;

void Sha256::add(std::string_view bytes) {
  if (EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) != 1)
    bug("OpenSSL's SHA-256 failed.");
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (EVP_DigestFinal_ex(state_->context.get(), digest.data(), &size) != 1)
    bug("OpenSSL's SHA-256 failed.");
  std::string text;
  for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

}  // namespace instantnet
