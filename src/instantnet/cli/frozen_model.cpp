#include "instantnet/cli/frozen_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "instantnet/cli/precisions.h"
#include "instantnet/core/error.h"

namespace instantnet::cli {

std::shared_ptr<const runtime::Model> open_frozen(const std::string& path,
                                                  const std::string& kernels) {
  runtime::ModelOptions options;
  options.kernels = kernels;
  options.residency = runtime::Residency::FirstUse;
  return runtime::Model::load(path, options);
}

void check_width(const runtime::IntModel& model, int bits) {
  if (std::find(model.bits.begin(), model.bits.end(), bits) == model.bits.end())
    fail("--bits", fmt::format("the network was not made for {} bits; it has {}.", bits,
                               fmt::join(model.bits, ", ")));
}

std::vector<FrozenSetting> frozen_settings(const runtime::IntModel& model, const std::string& bits,
                                           const std::string& precisions) {
  const auto check = [&](int one) { check_width(model, one); };
  const std::vector<int> widths = parse_bits(bits, model.bits, check);
  std::vector<FrozenSetting> settings;
  if (precisions.empty()) {
    for (const int one : widths) settings.push_back({std::to_string(one), {{one, one}}});
    return settings;
  }
  int others = widths.back();
  for (const int one : widths)
    if (one < 32) others = one;
  return {{"mixed", parse_precisions(precisions, model.spec, others, check)}};
}

int threads_or_all(int threads) {
  return threads > 0 ? threads
                     : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

}  // namespace instantnet::cli
