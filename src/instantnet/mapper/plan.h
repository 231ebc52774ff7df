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

/// One layer at one bit-width of the network.
struct LayerPlan {
  std::string name;
  int bits = 0;       // of the network
  int own_bits = 0;   // as Workload::bits: the layer always runs at this width; 0 = at `bits`
  int64_t count = 1;  // layers of this shape
  LayerShape shape;
  Found found;

  Precision precision() const {
    const int width = own_bits > 0 ? own_bits : bits;
    return {width, width};
  }
};

/// The share of the device one layer has in a pipeline, and what it does with it.
struct Stage {
  std::string layer;
  int64_t multipliers = 0;
  int64_t buffer_words = 0;
  double energy_pj = 0, cycles = 0;
  double memory_cycles = 0;  // of these the outermost level serves it so long
  Mapping mapping;
  bool operator==(const Stage&) const = default;
};

/// A way to run the whole network at one bit-width.
struct Total {
  int bits = 0;
  Mode mode = Mode::MultiCycle;
  double energy_pj = 0;        // of one image
  double cycles = 0;           // from an image in to its result out; of a batch, all of it
  double interval_cycles = 0;  // between two images
  /// Multi-cycle: every layer's mapping is certified. Pipeline: so are its stages, and no other
  /// allocation has a shorter interval.
  bool proven = false;
  double edp() const { return energy_pj * cycles; }
  bool operator==(const Total&) const = default;
};

/// What it takes to go from one bit-width to another. Weights and inputs come from the outermost
/// level for every image anyway, so only mappings are loaded: a loop is 24 bits (dim, kind, bound),
/// a level 3 (what it keeps).
struct Switch {
  int from = 0, to = 0;
  int64_t layers = 0;              // whose mapping changes, all layers counted
  int64_t configuration_bits = 0;  // of their new mappings
  double cycles = 0, energy_pj = 0;
  /// A pipeline on an FPGA whose parts change needs another design loaded; 0 = not needed.
  double reconfiguration_ms = 0;
  bool operator==(const Switch&) const = default;
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
  /// One mapping for all bit-widths instead of one each, layer after layer: energy-delay product
  /// relative to `multi_cycle`, one a bit-width. Of each layer the mapping found at one of the
  /// bit-widths, the one that costs least over all of them; shared_mapping_bits says which.
  std::vector<double> shared_mapping_edp_ratio;
  std::vector<int> shared_mapping_bits;
  std::vector<Switch> switches;  // from each bit-width to each other one
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

/// plan.yaml; to_tree(plan_from_tree(t)) == t. Costs are derived again from the mappings; Error
/// when they are not those in the file.
Tree to_tree(const MappingPlan& plan);
MappingPlan plan_from_tree(const Tree& tree);
MappingPlan read_plan(const std::string& path);
void write_plan(const MappingPlan& plan, const std::string& path);

}  // namespace instantnet::mapper
