// The min-max quantizer of weights and activations against numbers of the authors' own code.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <bit>
#include <filesystem>

#include "instantnet/nn/authors.h"
#include "quant/cases.h"

namespace instantnet::quant {
namespace {

using test::floats;

std::string golden() {
  return std::string(INSTANTNET_SHARED_DIR) + "/golden/reference/quantiser.pt";
}

/// Position of a float among all floats in ascending order.
int64_t place_of(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  return bits >> 31U ? -static_cast<int64_t>(bits & 0x7fffffffU) : static_cast<int64_t>(bits);
}

/// Largest distance in units in the last place.
int64_t most_ulps(const at::Tensor& ours, const at::Tensor& theirs) {
  const std::vector<float> a = floats(ours), b = floats(theirs);
  EXPECT_EQ(a.size(), b.size());
  int64_t most = 0;
  for (size_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::abs(place_of(a[i]) - place_of(b[i])));
  return most;
}

class Golden : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(golden())) GTEST_SKIP() << "the golden numbers are not here";
    stored_ = nn::read_pytorch(golden());
  }
  const at::Tensor& of(int number, const std::string& key) const {
    return stored_.at(fmt::format("case{}.{}", number, key));
  }
  nn::NamedTensors stored_;
};

TEST_P(Golden, WeightsAreTheAuthorsToOneUnitInTheLastPlace) {
  const int bits = GetParam();
  for (const int number : {0, 1}) {
    const at::Tensor values =
        test::quantizer_of(Kind::Sbm)->weight(of(number, "x"), bits, bits, {});
    const int64_t ulps = most_ulps(values, of(number, fmt::format("dequantised.{}", bits)));
    fmt::print("weights, case {}, {} bits: {} ulp\n", number, bits, ulps);
    EXPECT_LE(ulps, 1);
  }
}

TEST_P(Golden, ActivationsAreTheAuthorsToOneUnitInTheLastPlace) {
  const int bits = GetParam();
  for (const int number : {2, 3}) {
    const auto stored = [&](const char* key) {
      return of(number, fmt::format("{}.{}", key, bits));
    };
    const Grid grid = offset_grid(stored("min").flatten(), stored("range").flatten(), bits, false);
    const int64_t ulps = most_ulps(fake_quantize(of(number, "x"), grid), stored("dequantised"));
    fmt::print("activations, case {}, {} bits: {} ulp\n", number, bits, ulps);
    EXPECT_LE(ulps, 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Bits, Golden, testing::Values(2, 3, 4, 5, 6, 8, 12, 16),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace instantnet::quant
