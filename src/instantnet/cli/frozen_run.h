// What infer and run share: a frozen network on one image, or on a data set.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "instantnet/cli/frozen_scores.h"
#include "instantnet/images/dataset.h"

namespace CLI {
class App;
}

namespace instantnet::cli {

/// As on the command line.
struct FrozenRunOptions {
  std::string image, data;
  std::string format = "auto";
  std::string part = "test";
  std::string fit = "auto";
  std::string bits = "all";
  std::string precisions;
  std::string kernels = "auto";
  int64_t limit = 0;
  int64_t check = 0;
  int64_t top = 5;
  int threads = 0;
  bool json = false;
};

/// What an inference takes on the device of a plan.
struct SettingCost {
  double energy_pj = 0, latency_ms = 0;
};
/// By FrozenSetting::name; settings without a cost are printed without one.
using SettingCosts = std::map<std::string, SettingCost>;

/// Adds all options of the struct; the one for bit-widths is called `bits_name`.
void add_frozen_run_options(CLI::App& verb, FrozenRunOptions& options, const char* bits_name);

/// Runs and prints. Error unless exactly one of image and data is given.
void run_frozen(const FrozenRunOptions& options, const std::shared_ptr<const runtime::Model>& model,
                const SettingCosts& costs = {});

/// The images of a data set at the network's size.
struct OpenImages {
  std::shared_ptr<const images::Dataset> set;
  FrozenImages images;
};
/// The first `limit` of the options' data. Error when they are not what the network takes.
OpenImages open_images(const FrozenRunOptions& options, const NetworkSpec& spec);

}  // namespace instantnet::cli
