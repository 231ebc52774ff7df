// What a generated design consists of, before any text: layers with their nests, tensors with
// their places in memory, the widths that share them, and the memories on the chip.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "instantnet/interop/hls_nest.h"
#include "instantnet/mapper/plan.h"
#include "instantnet/runtime/prepare.h"

namespace instantnet::interop::hls {

/// Integers least .. most.
struct Span {
  int64_t least = 0, most = 0;
  void widen(const Span& other);
  int bits() const;          // as int_t when negative numbers are among them, else as uint_t
  std::string type() const;  // "uint_t<4>"
  bool operator==(const Span&) const = default;
};

/// A tensor between layers.
struct Place {
  int form = 0;
  std::string name;  // "t03_stem"
  bool stream = false, image = false;
  int64_t height = 1, width = 1, channels = 1;
  int64_t offset = 0;          // in the memory of codes or of streams
  int64_t slots = 1;           // images that are kept at the same time
  size_t stage = 0, last = 0;  // that writes it; the last that reads it
  int64_t elements() const { return height * width * channels; }
  std::string element() const { return image ? "pixel_t" : stream ? "stream_t" : "code_t"; }
};

/// How a layer runs at one bit-width of the network.
struct LayerWidth {
  int bits = 0;         // of the network
  int weight_bits = 0;  // of the layer
  int zero = 0;         // stored input code of zero
  Span codes, inputs, sums;
  Precision planned;  // what the plan counts it at
  const mapper::Mapping* mapping = nullptr;
  double macs_per_cycle = 1;
  int64_t steps = 0, compute_cycles = 0;  // the plan's
  int64_t multipliers = 1;                // of the part of the device
};

/// Widths of a layer with one mapping: the same loops.
struct NestGroup {
  std::vector<size_t> widths;  // of the structure
  Nest nest;
  Span codes, inputs, sums;  // of all widths
  int64_t multipliers = 1;
  double macs_per_cycle = 1;  // of a multiplier, at the slowest width
};

struct LayerDesign {
  size_t index = 0;
  std::string name, id;  // "stage1.conv1", "layer_002_stage1_conv1"
  LayerShape shape;
  int64_t height = 1, width = 1, padding = 0;  // of its input image; a linear layer's is one pixel
  bool sbm = false;
  int master_bits = 8;
  int64_t weights_offset = 0, weights = 0;
  int64_t multipliers = 1;         // the most at any width
  std::vector<LayerWidth> widths;  // by Design::bits
  int64_t boxes() const { return shape.p * shape.q * shape.groups; }
  int64_t outputs() const { return shape.p * shape.q * shape.k; }
};

/// Widths at which the same tensors occur. Nearly always there is one.
struct Structure {
  std::string suffix;                          // "", or "_a", "_b", ...
  std::vector<size_t> widths;                  // of Design::bits
  std::vector<Place> places;                   // by form
  std::vector<std::vector<NestGroup>> groups;  // by layer
};

/// One memory on the chip, of one level and tensor.
struct Memory {
  size_t level = 0;
  Tensor tensor = Tensor::Weights;
  int64_t instances = 1, elements = 0;  // of each instance
  Span span;
};

/// What one instance of a level takes and may take, in bits.
struct LevelUse {
  std::string level;
  int64_t instances = 1;
  int64_t taken = 0;
  int64_t planned = 0;  // capacity in the plan; 0: unlimited
  int64_t allowed =
      0;  // more than planned where the device's own budget has room (LUT RAM is 64 deep)
};

struct Design {
  const runtime::IntModel* model = nullptr;
  std::shared_ptr<const runtime::Source> source;
  mapper::Accelerator device;
  std::string network;
  std::string space;  // namespace of what is generated
  bool pipeline = false;
  /// By level: one set of memories for all layers. Off where the largest of all layers do not fit
  /// together, and when the layers run at the same time; then each layer has its own.
  std::vector<bool> shared;
  std::vector<int> bits;
  std::vector<runtime::Prepared> prepared;  // by bits
  std::vector<LayerDesign> layers;
  std::vector<Structure> structures;
  std::vector<Memory> memories;  // of levels that are shared
  std::vector<LevelUse> use;     // of each level below the outermost
  int64_t code_elements = 0, stream_elements = 0, weight_elements = 0;
  int64_t sum_elements = 0;  // off the chip: boxes, and sums that leave before they are complete
  std::vector<int64_t> sum_offset;  // by layer
  Span master, code, sum, weight_operand, input_operand, product;

  size_t stages() const { return pipeline ? layers.size() : 1; }
  const runtime::Form& form(const Structure& structure, size_t place) const {
    return prepared[structure.widths[0]].forms[place];
  }
};

/// Memories of one group of widths of a layer.
std::vector<Memory> memories_of(const Nest& nest, const Span& codes, const Span& inputs,
                                const Span& sums);
/// Whether sums go off the chip before they are complete.
inline bool spills(const NestGroup& group) { return !group.nest.finishes_once; }

/// `bits` empty: all of the model's below 32. Error (where "export hls") for a device that is no
/// FPGA, a plan of another network or of other widths, and what cannot be expressed.
Design make_design(const runtime::IntModel& model, const mapper::MappingPlan& plan,
                   const std::vector<int>& bits);

}  // namespace instantnet::interop::hls
