// A network on a device: a mapping for each layer and bit-width, and how layers share the device.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "instantnet/core/tree.h"
#include "instantnet/mapper/search.h"
#include "instantnet/net/spec.h"

namespace instantnet::mapper {

enum class Mode {
  MultiCycle,  // layer after layer, each on the whole device
  Pipeline,    // the device split among the layers, which work on different images at once
  Auto,        // whichever the objective prefers
};
const std::vector<std::pair<Mode, std::string>>& names_of(Mode);

struct MapOptions {
  std::vector<int> bits = {4, 8, 12, 16, 32};
  int64_t batch = 1;
  Mode mode = Mode::Auto;
  SearchOptions search;
};
Fields fields(MapOptions& options);

/// One layer at one bit-width.
struct LayerPlan {
  std::string name;
  int bits = 0;
  int64_t count = 1;  // layers of this shape
  LayerShape shape;
  Found found;
  bool operator==(const LayerPlan&) const = default;
};

/// The share of the device one layer has in a pipeline, and what it does with it.
struct Stage {
  std::string layer;
  int64_t multipliers = 0;
  int64_t buffer_words = 0;
  double energy_pj = 0, cycles = 0;
  Mapping mapping;
};

/// A way to run the whole network at one bit-width.
struct Total {
  int bits = 0;
  Mode mode = Mode::MultiCycle;
  double energy_pj = 0;        // of one image
  double cycles = 0;           // from an image in to its result out
  double interval_cycles = 0;  // between two images
  double edp() const { return energy_pj * cycles; }
};

struct MappingPlan {
  std::string network;
  Accelerator accelerator;
  MapOptions options;
  std::vector<LayerPlan> layers;             // layers x bits, by layer, then in the order of bits
  std::vector<std::vector<Stage>> stages;    // one list a bit-width, empty for multi-cycle
  std::vector<Total> totals;                 // the chosen mode, one a bit-width
  std::vector<Total> multi_cycle, pipeline;  // both, where they were computed
  std::vector<std::string> why;              // one sentence a bit-width: why this mode
  /// Layers that are not mapped (pooling, additions): listed, not dropped.
  std::vector<std::string> unmapped;
  /// One mapping for all bit-widths instead of one each: energy-delay product relative to `totals`.
  std::vector<double> shared_mapping_edp_ratio;
};

/// Told after each layer and bit-width.
using MapWatch = std::function<void(const LayerPlan& done, size_t index, size_t of)>;

/// Error naming the layer that fits nowhere, with what it needs. `network` may come from another
/// room (ONNX); its batch is in the shapes, options.batch does not change it.
MappingPlan map_network(const NetworkLayers& network, const Accelerator& device,
                        const Constraints& constraints, const MapOptions& options,
                        const MapWatch& watch = {});
/// network_layers(network, options.batch), mapped.
MappingPlan map_network(const NetworkSpec& network, const Accelerator& device,
                        const Constraints& constraints, const MapOptions& options,
                        const MapWatch& watch = {});

/// plan.yaml; plan_from_tree(to_tree(p)) == p up to what is derived again (cost details).
Tree to_tree(const MappingPlan& plan);
MappingPlan plan_from_tree(const Tree& tree);
MappingPlan read_plan(const std::string& path);
void write_plan(const MappingPlan& plan, const std::string& path);

}  // namespace instantnet::mapper
