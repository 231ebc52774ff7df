// Everything a user can set about an architecture search: search.yaml, `--set`, and the presets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "instantnet/core/config.h"
#include "instantnet/core/tree.h"
#include "instantnet/data/loader.h"
#include "instantnet/net/search_space.h"
#include "instantnet/nn/model.h"
#include "instantnet/train/options.h"

namespace instantnet::nas {

/// Which width decides about architectures, and which train.
enum class Method {
  SpNas,   // weights at all widths, architecture at the lowest (InstantNet, DAC 2021)
  FpNas,   // weights at all widths, architecture at the highest
  LpNas,   // both at the lowest
  Random,  // nothing is trained: an architecture drawn from those in the window
};
const std::vector<std::pair<Method, std::string>>& names_of(Method);

/// How a step sees the supernet.
enum class Sampling {
  Single,  // one operator a cell (GDAS, CVPR 2019)
  Soft,    // all, weighted (Gumbel softmax; the authors')
};
const std::vector<std::pair<Sampling, std::string>>& names_of(Sampling);

enum class CostKind { Macs, BitOps, Parameters, Energy, Latency, Edp };
const std::vector<std::pair<CostKind, std::string>>& names_of(CostKind);

/// The keys of `cost`.
struct CostOptions {
  CostKind kind = CostKind::Macs;
  std::string accelerator = "eyeriss";
  double least = 0, most = 0;
  double weight = 0.1;
  bool adapt = true;
  double rate = 0.1;
  double penalty = 20;
};
Fields fields(CostOptions& options);

/// The keys of `alpha`.
struct AlphaOptions {
  double lr = 0.01;
  std::vector<double> betas = {0.5, 0.999};
  double initial = 1e-3;
  double temperature = 3.0;
  double temperature_decay = 0.88;
  double share = 0.5;
  bool two_steps = false;
};
Fields fields(AlphaOptions& options);

/// A whole search. A default-made struct is the preset `default`.
struct SearchOptions {
  std::string preset = "default";
  Method method = Method::SpNas;
  Sampling sampling = Sampling::Single;
  std::string space_preset = "small";
  SearchSpace space = instantnet::space_preset("small");
  CostOptions cost;
  AlphaOptions alpha;
  std::vector<int> bits = {4, 8, 12, 16, 32};
  nn::ModelOptions model;
  data::DataOptions data;
  uint64_t seed = 1;
  double weight_epochs = 2.0;
  double epochs = 25.0;
  int64_t patience = 0;
  train::LossOptions loss;
  train::ScheduleOptions schedule;
  train::OptimizerOptions optimizer;
  train::LrOptions lr;
  int64_t evaluate_images = 2000;
  int64_t checkpoint_steps = 0;
  int threads = 0;
};

/// All keys of search.yaml. References into `options`.
Fields fields(SearchOptions& options);

/// default, paper, reference.
const std::vector<std::string>& preset_names();
std::string describe_preset(std::string_view name);
/// Error with the nearest name when there is none.
SearchOptions preset(std::string_view name);

/// The preset named by `preset` and the space named by `space.preset` (in `sets` before the file),
/// then the keys of the file, then the `key=value` pairs, then check. An empty path means no file.
SearchOptions load_search_options(const std::string& path,
                                  const std::vector<std::string>& sets = {});
SearchOptions load_search_options(const Tree& tree, const std::vector<std::string>& sets = {});

/// Error, one sentence, for anything a search could not start with, but for the space, the window
/// and the data.
void check(const SearchOptions& options);

/// Widths whose losses train weights, ascending.
std::vector<int> weight_bits(const SearchOptions& options);
/// The width whose loss trains the architecture.
int alpha_bits(const SearchOptions& options);
/// The width at which networks are priced: the lowest.
int price_bits(const SearchOptions& options);

}  // namespace instantnet::nas
