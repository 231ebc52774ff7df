// Named tensors in one file.
#include "instantnet/train/tensor_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cstring>

#include "core/helpers.h"
#include "instantnet/core/rng.h"

namespace instantnet::train {
namespace {

using test::error_of;
using testing::HasSubstr;
using Tensors = std::map<std::string, at::Tensor>;

Tensors example() {
  at::Tensor image = at::arange(24, at::kFloat).view({1, 2, 3, 4});
  return {{"layer.weight", image.contiguous(at::MemoryFormat::ChannelsLast)},
          {"count", at::full({}, 7, at::kLong)},
          {"codes", at::arange(5, at::kInt)},
          {"bytes", at::arange(3, at::kByte)},
          {"nothing", at::empty({0, 4})},
          {"turned", at::arange(6, at::kFloat).view({2, 3}).t()}};
}

/// A file with this header and `data` bytes of data.
std::string file_with(const std::string& header, size_t data) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data, '\1');
}

std::string error_with(const std::string& header, size_t data) {
  return error_of([&] { tensors_from_bytes(file_with(header, data), "w.safetensors"); });
}

TEST(TensorFile, GivesBackEveryTensor) {
  const Tensors before = example();
  const Tensors after = tensors_from_bytes(tensors_to_bytes(before), "w");
  ASSERT_EQ(after.size(), before.size());
  for (const auto& [name, tensor] : before) {
    EXPECT_EQ(after.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(after.at(name), tensor)) << name;
  }
}

TEST(TensorFile, SameTensorsAreSameBytesWhateverTheirLayout) {
  Tensors other = example();
  for (auto& [name, tensor] : other) tensor = tensor.contiguous().clone();
  EXPECT_EQ(tensors_to_bytes(example()), tensors_to_bytes(other));
}

TEST(TensorFile, HasTheHeaderOfSafetensors) {
  const std::string bytes = tensors_to_bytes({{"a", at::zeros({2, 1})}});
  EXPECT_THAT(bytes, HasSubstr(R"("a":{"data_offsets":[0,8],"dtype":"F32","shape":[2,1]})"));
  EXPECT_EQ(bytes.size() % 8, 0U);
}

TEST(TensorFile, ReadsMetadataOfOtherPrograms) {
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";
  EXPECT_EQ(tensors_from_bytes(file_with(header, 2), "w").size(), 1U);
}

TEST(TensorFile, MistakesNameFileAndTensor) {
  EXPECT_THAT(error_of([] { tensors_from_bytes("abc", "w.safetensors"); }),
              HasSubstr("w.safetensors: has 3 bytes"));
  EXPECT_THAT(error_with("{", 0), HasSubstr("header is not JSON"));
  EXPECT_THAT(error_with("[]", 0), HasSubstr("not a map"));
  EXPECT_THAT(error_with(R"({"a":3})", 0), HasSubstr("tensor 'a' has no 'dtype'"));
  EXPECT_THAT(error_with(R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}})", 4),
              HasSubstr("dtype \"F16\""));
  EXPECT_THAT(error_with(R"({"a":{"dtype":"U8","shape":[-2],"data_offsets":[0,4]}})", 4),
              HasSubstr("no sizes"));
  EXPECT_THAT(error_with(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,4]}})", 4),
              HasSubstr("need 3"));
  EXPECT_THAT(error_with(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 3),
              HasSubstr("truncated"));
  EXPECT_THAT(error_with(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 5),
              HasSubstr("1 bytes follow the last tensor"));
  EXPECT_THAT(error_with(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                         R"("b":{"dtype":"U8","shape":[3],"data_offsets":[2,5]}})",
                         5),
              HasSubstr("tensor 'b' begins at byte 2"));
  EXPECT_THAT(error_with(R"({"a":{"dtype":"U8","shape":[4611686018427387904,4],)"
                         R"("data_offsets":[0,0]}})",
                         0),
              HasSubstr("does not fit"));
}

TEST(TensorFile, NoDamageIsMoreThanASentence) {
  const std::string whole = tensors_to_bytes(example());
  const uint64_t seed = 5;
  Rng rng(seed);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = whole;
    if (i % 4 == 0)
      bytes.resize(rng.below(whole.size()));
    else
      bytes[rng.below(whole.size())] = static_cast<char>(rng.below(256));
    try {
      tensors_from_bytes(bytes, "w");  // a changed number is not seen here but by the digest
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("w")) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace instantnet::train
