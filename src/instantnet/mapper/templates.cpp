#include "instantnet/mapper/templates.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "instantnet/core/error.h"

namespace instantnet::mapper {

namespace {

/// The levels a dataflow speaks of. The array is below `above`; `inner` is the level of one of its
/// elements, absent where the multipliers follow directly.
struct Roles {
  LevelConstraint outermost, above;
  std::optional<LevelConstraint> inner;
  int64_t columns = 1, rows = 1;
  bool separate = false;  // `outermost` is not `above`
};

using Fix = std::function<void(const LayerShape&, Roles&)>;

struct Dataflow {
  std::string name, sentence;
  Fix fix;
};

/// What an array element works on at a time: one step of these loops.
void one_step_inside(Roles& roles, const std::vector<Dim>& dims) {
  if (!roles.inner) return;
  for (const Dim d : dims) roles.inner->temporal.push_back({d, 1});
}

/// Output channels over columns, input channels over rows.
void spread_channels(Roles& roles) {
  roles.above.spatial_dims = {Dim::K, Dim::C};
  roles.above.spatial_most = {{Dim::K, roles.columns}, {Dim::C, roles.rows}};
}

void row_stationary(const LayerShape& layer, Roles& roles) {
  roles.above.spatial_dims = {Dim::R, Dim::P, Dim::G, Dim::K, Dim::C};
  if (layer.r <= roles.rows)
    roles.above.spatial = {{Dim::R, layer.r}};  // a filter row each, up the column
  else
    roles.above.spatial_most = {{Dim::R, roles.rows}};
  roles.above.spatial_most.push_back({Dim::P, roles.columns});
  roles.above.order = {Dim::Q};  // the window slides along the row
  one_step_inside(roles, {Dim::N, Dim::P, Dim::Q, Dim::R});
  if (roles.inner) roles.inner->temporal.push_back({Dim::S, layer.s});
  if (roles.separate) roles.outermost.temporal = {{Dim::Q, 1}};  // rows are not cut
}

void nvdla(const LayerShape&, Roles& roles) {
  spread_channels(roles);
  roles.above.order = {Dim::C, Dim::R, Dim::S, Dim::P, Dim::Q};
  one_step_inside(roles, {Dim::N, Dim::P, Dim::Q, Dim::R, Dim::S});
}

void tpu(const LayerShape&, Roles& roles) {
  spread_channels(roles);
  roles.above.order = {Dim::K, Dim::C, Dim::R, Dim::S, Dim::N, Dim::P, Dim::Q};
  one_step_inside(roles, {kAllDims.begin(), kAllDims.end()});
}

void shidiannao(const LayerShape&, Roles& roles) {
  roles.above.spatial_dims = {Dim::P, Dim::Q};
  roles.above.spatial_most = {{Dim::Q, roles.columns}, {Dim::P, roles.rows}};
  roles.above.order = {Dim::C, Dim::R, Dim::S};
  one_step_inside(roles, {kAllDims.begin(), kAllDims.end()});
}

void magnet_ws(const LayerShape&, Roles& roles) {
  spread_channels(roles);
  roles.above.order = {Dim::N, Dim::P, Dim::Q};
  one_step_inside(roles, {Dim::N, Dim::P, Dim::Q, Dim::R, Dim::S});
}

void magnet_os(const LayerShape&, Roles& roles) {
  spread_channels(roles);
  roles.above.order = {Dim::C, Dim::R, Dim::S};
  one_step_inside(roles, {Dim::N, Dim::C, Dim::P, Dim::Q, Dim::R, Dim::S});
}

void magnet_ws_los(const LayerShape&, Roles& roles) {
  spread_channels(roles);
  roles.above.order = {Dim::N, Dim::P, Dim::Q};
  one_step_inside(roles, {Dim::N, Dim::P, Dim::Q});
}

void magnet_os_lws(const LayerShape&, Roles& roles) {
  spread_channels(roles);
  roles.above.order = {Dim::C, Dim::R, Dim::S};
  one_step_inside(roles, {Dim::C, Dim::R, Dim::S});
}

void chaidnn(const LayerShape&, Roles& roles) {
  roles.above.spatial_dims = {Dim::K, Dim::C, Dim::Q};
  roles.above.spatial_most = {{Dim::K, 16}, {Dim::C, 4}, {Dim::Q, 32}};
  roles.above.order = {Dim::C, Dim::R, Dim::S};
  one_step_inside(roles, {kAllDims.begin(), kAllDims.end()});
}

void dnnbuilder(const LayerShape&, Roles& roles) {
  roles.above.spatial_dims = {Dim::K, Dim::C, Dim::G};
  roles.above.order = {Dim::C, Dim::R, Dim::S, Dim::P};
  roles.above.temporal = {{Dim::Q, 1}};
  one_step_inside(roles, {kAllDims.begin(), kAllDims.end()});
  if (roles.separate) roles.outermost.order = {Dim::Q, Dim::K};
}

const std::vector<Dataflow>& dataflows() {
  static const std::vector<Dataflow> all = {
      {"row-stationary",
       "Eyeriss (Chen et al., ISCA 2016): an element convolves one filter row with one input row; "
       "filter rows and output rows over the array, the rest of it for channels.",
       row_stationary},
      {"weight-stationary",
       "NVDLA (NVIDIA, hardware architectural specification, 2018): output channels by input "
       "channels over the array, weights stay for a stripe of outputs, then filter positions, then "
       "channels.",
       nvdla},
      {"systolic",
       "TPU (Jouppi et al., ISCA 2017): output channels by input channels over the array, one "
       "weight "
       "an element, all outputs stream through before the next weights.",
       tpu},
      {"output-stationary",
       "ShiDianNao (Du et al., ISCA 2015): output columns by output rows over the array, one "
       "output "
       "an element until it is finished.",
       shidiannao},
      {"magnet-ws",
       "MAGNet (Venkatesan et al., ICCAD 2019), weight stationary: channels over the array, a "
       "weight "
       "stays while outputs pass.",
       magnet_ws},
      {"magnet-os",
       "MAGNet (ICCAD 2019), output stationary: channels over the array, a partial sum stays until "
       "it is finished.",
       magnet_os},
      {"magnet-ws-los",
       "MAGNet (ICCAD 2019), weight stationary with local output stationary: products of several "
       "filter positions and channels are summed in the element, weights stay outside it.",
       magnet_ws_los},
      {"magnet-os-lws",
       "MAGNet (ICCAD 2019), output stationary with local weight stationary: a weight meets "
       "several "
       "outputs in the element, whose sums stay outside it.",
       magnet_os_lws},
      {"chaidnn",
       "CHaiDNN (Xilinx, 2018; XI_KER_PROC, XI_PIX_PROC): 16 output channels by 4 input channels "
       "by "
       "32 pixels of a row, each summed until it is finished.",
       chaidnn},
      {"dnnbuilder",
       "DNNBuilder (Zhang et al., ICCAD 2018): kernel and channel parallelism over the array, one "
       "column of outputs at a time from a cache of input columns, weights stay down the column.",
       dnnbuilder},
  };
  return all;
}

template <class T>
void merge_list(std::vector<T>& into, const std::vector<T>& other, const std::string& level,
                const char* key) {
  if (!into.empty() && !other.empty())
    fail("constraints",
         fmt::format("{}: the template fixes {} already; leave it out, or use no template.", level,
                     key));
  into.insert(into.end(), other.begin(), other.end());
}

void merge_level(LevelConstraint& into, const LevelConstraint& other) {
  merge_list(into.order, other.order, other.level, "order");
  merge_list(into.temporal, other.temporal, other.level, "temporal");
  merge_list(into.spatial, other.spatial, other.level, "spatial");
  merge_list(into.spatial_most, other.spatial_most, other.level, "spatial_most");
  if (into.spatial_dims && other.spatial_dims)
    fail("constraints", fmt::format("{}: the template fixes spatial_dims already; leave it out, or "
                                    "use no template.",
                                    other.level));
  if (other.spatial_dims) into.spatial_dims = other.spatial_dims;
  for (const Tensor t : kAllTensors)
    if (other.keeps[t].has_value()) into.keeps[t] = other.keeps[t];
}

}  // namespace

const std::vector<std::pair<std::string, std::string>>& templates() {
  static const std::vector<std::pair<std::string, std::string>> all = [] {
    std::vector<std::pair<std::string, std::string>> names;
    for (const Dataflow& one : dataflows()) names.emplace_back(one.name, one.sentence);
    return names;
  }();
  return all;
}

Constraints template_constraints(const std::string& name, const LayerShape& layer,
                                 const Accelerator& device) {
  const auto& all = dataflows();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Dataflow& one) { return one.name == name; });
  if (found == all.end()) {
    std::vector<std::string> names;
    for (const Dataflow& one : all) names.push_back(one.name);
    fail("search.template_name",
         fmt::format("there is no template '{}'{}", name, suggestion(name, names)));
  }
  size_t array = 0;  // the largest fan-out; of equal ones the outer
  const auto children = [&](size_t i) {
    return device.levels[i].fanout_x * device.levels[i].fanout_y;
  };
  for (size_t i = 1; i < device.levels.size(); ++i)
    if (children(i) > children(array)) array = i;
  if (children(array) == 1)
    fail("search.template_name",
         fmt::format("'{}' spreads loops over an array, but {} has none.", name, device.name));
  Roles roles;
  roles.columns = device.levels[array].fanout_x;
  roles.rows = device.levels[array].fanout_y;
  roles.separate = array > 0;
  roles.above.level = device.levels[array].name;
  roles.outermost.level = device.levels.front().name;
  if (array + 1 < device.levels.size()) {
    roles.inner.emplace();
    roles.inner->level = device.levels[array + 1].name;
  }
  found->fix(layer, roles);
  Constraints constraints;
  if (roles.separate) constraints.levels.push_back(roles.outermost);
  constraints.levels.push_back(roles.above);
  if (roles.inner) constraints.levels.push_back(*roles.inner);
  return constraints;
}

Constraints merged(const Constraints& from_template, const Constraints& from_user) {
  Constraints all = from_template;
  for (const LevelConstraint& one : from_user.levels) {
    const auto same =
        std::find_if(all.levels.begin(), all.levels.end(),
                     [&](const LevelConstraint& other) { return other.level == one.level; });
    if (same == all.levels.end())
      all.levels.push_back(one);
    else
      merge_level(*same, one);
  }
  return all;
}

}  // namespace instantnet::mapper
