#include "instantnet/interop/hls_design.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "instantnet/core/error.h"
#include "instantnet/mapper/fpga.h"
#include "instantnet/mapper/share.h"

namespace instantnet::interop::hls {
namespace {

using mapper::kAllTensors;
using mapper::MappingPlan;
using runtime::Form;
using runtime::FormKind;
using runtime::IntModel;
using runtime::Prepared;
using runtime::Rule;

constexpr const char* kWhere = "export hls";

std::string layer_where(const std::string& layer) {
  return fmt::format("{}, layer '{}'", kWhere, layer);
}

std::vector<int> integer_bits(const std::vector<int>& all) {
  std::vector<int> bits = all;
  std::erase(bits, 32);
  return bits;
}

/// The widths to write, each of which model and plan must have.
std::vector<int> chosen_bits(const IntModel& model, const MappingPlan& plan,
                             const std::vector<int>& asked) {
  const std::vector<int> have = integer_bits(model.bits), mapped = integer_bits(plan.options.bits);
  if (have != mapped)
    fail(kWhere, fmt::format("the model has the bit-widths [{}], the plan [{}]; map the network "
                             "with --bits {}.",
                             fmt::join(have, ", "), fmt::join(mapped, ", "), fmt::join(have, ",")));
  for (const int bits : asked)
    if (std::find(have.begin(), have.end(), bits) == have.end())
      fail(kWhere, fmt::format("the model was not made for {} bits; it has {}.", bits,
                               fmt::join(have, ", ")));
  return asked.empty() ? have : asked;
}

/// A name that may stand in comments and in texts of C++.
std::string plain(std::string name) {
  for (char& c : name)
    if (static_cast<unsigned char>(c) < ' ' || c == '"' || c == '\\') c = '_';
  return name;
}

void check_device(const mapper::Accelerator& device) {
  if (device.fpga) return;
  fail(kWhere, fmt::format("the plan is for '{}', which is not an FPGA; map the network with -a "
                           "zc706, zu9, zu7, or a device file with an fpga budget.",
                           device.name));
}

// ---- Structures and places.

bool same_form(const Form& a, const Form& b) {
  return a.value == b.value && a.kind == b.kind && a.rule == b.rule && a.inputs == b.inputs &&
         a.layer == b.layer && a.shape == b.shape;
}

bool same_forms(const Prepared& a, const Prepared& b) {
  if (!std::equal(a.forms.begin(), a.forms.end(), b.forms.begin(), b.forms.end(), same_form))
    return false;
  for (size_t l = 0; l < a.layers.size(); ++l)
    if (a.layers[l].input != b.layers[l].input) return false;
  return a.output == b.output;
}

void find_structures(Design& design) {
  for (size_t w = 0; w < design.bits.size(); ++w) {
    const auto same = [&](const Structure& one) {
      return same_forms(design.prepared[one.widths[0]], design.prepared[w]);
    };
    const auto found = std::find_if(design.structures.begin(), design.structures.end(), same);
    if (found == design.structures.end())
      design.structures.push_back({{}, {w}, {}, {}});
    else
      found->widths.push_back(w);
  }
  if (design.structures.size() == 1) return;
  for (size_t s = 0; s < design.structures.size(); ++s)
    design.structures[s].suffix = fmt::format("_{}", static_cast<char>('a' + s));
}

/// The stage of a pipeline that makes a form: its layer's, or that of what it is made from.
size_t stage_of(const Form& form, const std::vector<Place>& before) {
  if (form.rule == Rule::Layer) return static_cast<size_t>(form.layer);
  size_t stage = 0;
  for (const int input : form.inputs)
    stage = std::max(stage, before[static_cast<size_t>(input)].stage);
  return stage;
}

void place_forms(Design& design, Structure& structure) {
  const Prepared& prepared = design.prepared[structure.widths[0]];
  const runtime::Graph& graph = design.source->graph();
  for (size_t f = 0; f < prepared.forms.size(); ++f) {
    const Form& form = prepared.forms[f];
    Place place;
    place.form = static_cast<int>(f);
    place.name = fmt::format(
        "t{:02}_{}", f,
        form.value == runtime::kImage ? "image" : identifier_of(graph.node(form.value).name));
    place.stream = form.kind == FormKind::Stream;
    place.image = form.rule == Rule::Pixels;
    place.height = form.shape.height, place.width = form.shape.width;
    place.channels = form.shape.channels;
    if (design.pipeline) place.stage = stage_of(form, structure.places);
    place.last = place.stage;
    for (const int input : form.inputs) {
      Place& from = structure.places[static_cast<size_t>(input)];
      from.last = std::max(from.last, place.stage);
    }
    structure.places.push_back(place);
  }
}

/// Gives each tensor its place; pixels that only the first stage reads stay where they are.
void give_offsets(Design& design, Structure& structure) {
  // Images on the way in a pipeline may be of several structures.
  int64_t codes = design.pipeline ? design.code_elements : 0;
  int64_t streams = design.pipeline ? design.stream_elements : 0;
  for (Place& place : structure.places) {
    place.image = place.image && place.last == 0;
    if (place.image) continue;
    place.slots = static_cast<int64_t>(place.last - place.stage) + 1;
    int64_t& end = place.stream ? streams : codes;
    place.offset = end;
    end += place.slots * place.elements();
  }
  design.code_elements = std::max(design.code_elements, codes);
  design.stream_elements = std::max(design.stream_elements, streams);
}

// ---- Layers.

/// The plan's entry for a layer at one width. Layers that always run at 32 bits are 16-bit layers
/// once frozen; a plan may say either.
const mapper::LayerPlan& planned_layer(const MappingPlan& plan, const NamedLayer& layer, int bits) {
  for (const mapper::LayerPlan& one : plan.layers) {
    const bool same_bits = one.own_bits == layer.bits || (layer.bits == 32 && one.own_bits == 16);
    if (one.bits == bits && one.shape == layer.shape && same_bits) return one;
  }
  fail(layer_where(layer.name),
       fmt::format("the plan, which is of '{}', has no layer of this shape; map the network that "
                   "the model was made from.",
                   plan.network));
}

/// The device that a stage of a pipeline has, but for its share of the buffer.
mapper::Accelerator stage_device(const MappingPlan& plan, const mapper::Stage& stage) {
  for (const mapper::ArrayShare& share : mapper::array_shares(plan.accelerator).shares)
    if (share.multipliers == stage.multipliers) return share.device;
  fail(layer_where(stage.layer),
       fmt::format("its part of the device has {} multipliers, which is no part of {}.",
                   stage.multipliers, plan.accelerator.name));
}

size_t index_of_bits(const MappingPlan& plan, int bits) {
  const std::vector<int>& all = plan.options.bits;
  return static_cast<size_t>(std::find(all.begin(), all.end(), bits) - all.begin());
}

/// What the plan says about a layer at one width.
void read_plan(const MappingPlan& plan, const NamedLayer& layer, size_t index, LayerWidth& width) {
  const mapper::LayerPlan& entry = planned_layer(plan, layer, width.bits);
  width.planned = entry.precision();
  width.macs_per_cycle = mapper::macs_per_cycle(plan.accelerator.mac, width.planned);
  width.multipliers = mapper::multipliers(plan.accelerator);
  width.mapping = &entry.found.mapping;
  mapper::Accelerator device = plan.accelerator;
  const std::vector<mapper::Stage>& stages = plan.stages[index_of_bits(plan, width.bits)];
  if (!stages.empty()) {
    if (index >= stages.size() || stages[index].layer != layer.name)
      fail(layer_where(layer.name), "the plan's pipeline has no stage for it at its place.");
    device = stage_device(plan, stages[index]);
    width.mapping = &stages[index].mapping;
    width.multipliers = stages[index].multipliers;
  }
  const auto answer = mapper::evaluate(layer.shape, width.planned, device, *width.mapping);
  if (const mapper::Misfit* misfit = std::get_if<mapper::Misfit>(&answer))
    fail(layer_where(layer.name),
         fmt::format("its mapping at {} bits does not run: {}", width.bits, misfit->why));
  const mapper::Cost& cost = std::get<mapper::Cost>(answer);
  width.steps = cost.counts.steps;
  width.compute_cycles = static_cast<int64_t>(cost.compute_cycles);
}

/// What the integers of a layer can be at one width.
void read_numbers(const runtime::LayerNumbers& numbers, LayerWidth& width) {
  const runtime::ConvProblem& problem = numbers.problem;
  width.weight_bits = problem.weight_bits;
  width.zero = problem.input.zero;
  width.codes = {0, (int64_t{1} << problem.weight_bits) - 1};
  const int64_t most = problem.input.largest() - width.zero;
  width.inputs = {width.zero > 0 ? -most : 0, most};
  width.sums = {numbers.least_sum, numbers.most_sum};
}

LayerDesign make_layer(const Design& design, const MappingPlan& plan, const NamedLayer& named,
                       size_t index) {
  const runtime::ConvShape conv = design.source->shape(static_cast<int>(index));
  const runtime::IntLayer& stored = design.model->layers[index];
  LayerDesign layer;
  layer.index = index;
  layer.name = named.name;
  layer.id = fmt::format("layer_{:03}_{}", index + 1, identifier_of(named.name));
  layer.shape = named.shape;
  layer.sbm = stored.lattice == runtime::Lattice::Sbm;
  layer.master_bits = stored.master_bits;
  layer.weights = named.shape.weights();
  // A linear layer takes a flattened image as the channels of one pixel.
  if (named.shape.r == conv.kernel_height && named.shape.s == conv.kernel_width) {
    layer.height = conv.height, layer.width = conv.width;
    layer.padding = conv.padding;
  }
  for (size_t w = 0; w < design.bits.size(); ++w) {
    LayerWidth width;
    width.bits = design.bits[w];
    read_numbers(design.prepared[w].layers[index], width);
    read_plan(plan, named, index, width);
    layer.multipliers = std::max(layer.multipliers, width.multipliers);
    layer.widths.push_back(width);
  }
  return layer;
}

/// Widths with the same mapping run the same loops.
std::vector<NestGroup> group_widths(const Design& design, const Structure& structure,
                                    const LayerDesign& layer) {
  std::vector<NestGroup> groups;
  std::vector<const mapper::Mapping*> mappings;
  for (size_t i = 0; i < structure.widths.size(); ++i) {
    const LayerWidth& width = layer.widths[structure.widths[i]];
    size_t g = 0;
    while (g < groups.size() && !(*mappings[g] == *width.mapping)) ++g;
    if (g == groups.size()) {
      mappings.push_back(width.mapping);
      groups.emplace_back();
      groups[g].nest =
          make_nest(layer.shape, *width.mapping, design.device, layer_where(layer.name));
      groups[g].codes = width.codes, groups[g].inputs = width.inputs, groups[g].sums = width.sums;
    }
    if (groups[g].nest.steps != width.steps) bug("a nest has other steps than its cost says.");
    groups[g].widths.push_back(i);
    groups[g].codes.widen(width.codes);
    groups[g].inputs.widen(width.inputs);
    groups[g].sums.widen(width.sums);
    groups[g].multipliers = std::max(groups[g].multipliers, width.multipliers);
    double& rate = groups[g].macs_per_cycle;
    rate =
        groups[g].widths.size() == 1 ? width.macs_per_cycle : std::min(rate, width.macs_per_cycle);
  }
  return groups;
}

void check_modes(const Design& design, const MappingPlan& plan) {
  for (const int bits : design.bits)
    if (plan.stages[index_of_bits(plan, bits)].empty() == design.pipeline)
      fail(kWhere,
           "the plan is a pipeline at some bit-widths and not at others, which is no single "
           "design; map with --mode multi-cycle or pipeline, or give --bits.");
  if (!design.pipeline) return;
  int64_t taken = 0;
  for (const LayerDesign& layer : design.layers) taken += layer.multipliers;
  const int64_t most = mapper::multipliers(design.device);
  if (taken > most)
    fail(kWhere, fmt::format("the pipeline's parts differ so much by bit-width that a design for "
                             "all needs {} multipliers, {} has {}; give --bits for one of them.",
                             taken, design.device.name, most));
}

// ---- Memories.

/// The least type for both.
void merge(std::vector<Memory>& into, const std::vector<Memory>& from) {
  for (const Memory& memory : from) {
    const auto same = std::find_if(into.begin(), into.end(), [&](const Memory& other) {
      return other.level == memory.level && other.tensor == memory.tensor;
    });
    if (same == into.end()) {
      into.push_back(memory);
      continue;
    }
    same->instances = std::max(same->instances, memory.instances);
    same->elements = std::max(same->elements, memory.elements);
    same->span.widen(memory.span);
  }
}

/// Bits of one instance of each level; tensors with a memory of their own count as the level's.
std::vector<int64_t> taken_bits(const std::vector<Memory>& memories, size_t levels) {
  std::vector<int64_t> bits(levels, 0);
  for (const Memory& memory : memories) bits[memory.level] += memory.elements * memory.span.bits();
  return bits;
}

int64_t capacity_words(const mapper::StorageLevel& level) {
  int64_t words = level.capacity_words;
  for (const mapper::Tensor t : kAllTensors) words += level.tensor_capacity_words[t];
  return level.double_buffered ? words / 2 : words;
}

/// Sums are exact, and wider than the plan may count them. Where that is more than the level holds
/// in the plan, it may be as large as the device's budget lets it be.
LevelUse level_use(const mapper::Accelerator& device, size_t index, int64_t taken) {
  const mapper::StorageLevel& level = device.levels[index];
  LevelUse use;
  use.level = level.name;
  for (size_t l = 0; l < index; ++l)
    use.instances *= device.levels[l].fanout_x * device.levels[l].fanout_y;
  use.taken = taken;
  use.planned = use.allowed = capacity_words(level) * level.word_bits;
  if (use.planned == 0 || taken <= use.planned) return use;
  mapper::Accelerator larger = device;
  const int64_t words = (taken - use.planned + level.word_bits - 1) / level.word_bits;
  larger.levels[index].capacity_words += level.double_buffered ? 2 * words : words;
  if (mapper::over_budget(larger).empty())
    use.allowed = capacity_words(larger.levels[index]) * level.word_bits;
  return use;
}

bool fits(const LevelUse& use) { return use.planned == 0 || use.taken <= use.allowed; }

std::vector<LevelUse> uses(const Design& design, const std::vector<int64_t>& taken) {
  std::vector<LevelUse> all;
  for (size_t l = 1; l < design.device.levels.size(); ++l)
    all.push_back(level_use(design.device, l, taken[l]));
  return all;
}

/// What each layer takes alone, at its worst width.
std::vector<std::vector<int64_t>> taken_by_layer(const Design& design) {
  const size_t levels = design.device.levels.size();
  std::vector<std::vector<int64_t>> all(design.layers.size(), std::vector<int64_t>(levels, 0));
  for (const Structure& structure : design.structures)
    for (size_t l = 0; l < design.layers.size(); ++l)
      for (const NestGroup& group : structure.groups[l]) {
        const std::vector<int64_t> bits =
            taken_bits(memories_of(group.nest, group.codes, group.inputs, group.sums), levels);
        for (size_t i = 0; i < levels; ++i) all[l][i] = std::max(all[l][i], bits[i]);
      }
  return all;
}

/// Bits that exact sums have more than the activations that the plan counts them as.
int extra_bits(const Design& design) {
  int extra = 0;
  for (const LayerDesign& layer : design.layers)
    for (const LayerWidth& width : layer.widths)
      extra = std::max(extra, width.sums.bits() - width.planned.activation);
  return extra;
}

[[noreturn]] void fail_memory(const Design& design, const LevelUse& use, const std::string& layer) {
  fail(layer.empty() ? kWhere : layer_where(layer),
       fmt::format("{} has to hold {} bits of weights, inputs and exact sums, it has {}, and the "
                   "device has no room for more; count sums as wide as they are: put 'psum: "
                   "{{extra_bits: {}}}' into the device's file ('instantnet accelerators {} "
                   "--yaml') and map again.",
                   use.level, use.taken, use.planned, extra_bits(design), design.device.name));
}

/// Levels above the array are shared by the stages of a pipeline; those below are each
/// multiplier's.
void check_memories(Design& design, size_t first_fanout) {
  const auto by_layer = taken_by_layer(design);
  std::vector<int64_t> most(design.device.levels.size(), 0);
  for (size_t l = 0; l < by_layer.size(); ++l) {
    const std::vector<LevelUse> alone = uses(design, by_layer[l]);
    for (size_t i = 0; i < alone.size(); ++i) {
      if (!fits(alone[i])) fail_memory(design, alone[i], design.layers[l].name);
      int64_t& level = most[i + 1];
      const bool together = design.pipeline && i + 1 <= first_fanout;
      level = together ? level + alone[i].taken : std::max(level, alone[i].taken);
    }
  }
  design.use = uses(design, most);
  for (const LevelUse& use : design.use)
    if (!fits(use)) fail_memory(design, use, "");
}

void plan_memories(Design& design) {
  size_t first_fanout = 0;
  const auto& levels = design.device.levels;
  while (first_fanout + 1 < levels.size() &&
         levels[first_fanout].fanout_x * levels[first_fanout].fanout_y == 1)
    ++first_fanout;
  check_memories(design, first_fanout);
  design.shared.assign(levels.size(), false);
  if (design.pipeline) return;
  std::vector<Memory> all;
  for (const Structure& structure : design.structures)
    for (const auto& groups : structure.groups)
      for (const NestGroup& group : groups)
        merge(all, memories_of(group.nest, group.codes, group.inputs, group.sums));
  const std::vector<LevelUse> together = uses(design, taken_bits(all, levels.size()));
  for (size_t i = 0; i < together.size(); ++i) {
    if (!fits(together[i])) continue;
    design.shared[i + 1] = true;
    design.use[i] = together[i];
  }
  for (const Memory& memory : all)
    if (design.shared[memory.level]) design.memories.push_back(memory);
}

// ---- Types, and memory off the chip.

void find_types(Design& design) {
  design.code = {0, 1};
  for (const LayerDesign& layer : design.layers) {
    design.master.widen({0, (int64_t{1} << layer.master_bits) - 1});
    const int64_t taps = layer.shape.c * layer.shape.r * layer.shape.s;
    for (const LayerWidth& width : layer.widths) {
      design.input_operand.widen(width.inputs);
      const int64_t most = width.codes.most;
      design.weight_operand.widen(layer.sbm ? Span{0, most} : Span{-most, most});
      design.sum.widen(width.sums);
      if (layer.sbm) design.sum.widen({taps * width.inputs.least, taps * width.inputs.most});
    }
  }
  const int64_t w = std::max(-design.weight_operand.least, design.weight_operand.most);
  const int64_t x = std::max(-design.input_operand.least, design.input_operand.most);
  design.product = {-w * x, w * x};
  for (const Prepared& prepared : design.prepared)
    for (const Form& form : prepared.forms)
      if (form.kind == FormKind::Codes) design.code.widen({0, form.format.largest()});
}

/// Room for boxes and incomplete sums: of all layers in a pipeline, else of one at a time.
void place_sums(Design& design) {
  for (const LayerDesign& layer : design.layers) {
    bool spilled = false;
    for (const Structure& structure : design.structures)
      for (const NestGroup& group : structure.groups[layer.index])
        spilled = spilled || spills(group);
    const int64_t needed = (layer.sbm ? layer.boxes() : 0) + (spilled ? layer.outputs() : 0);
    design.sum_offset.push_back(design.pipeline ? design.sum_elements : 0);
    design.sum_elements =
        design.pipeline ? design.sum_elements + needed : std::max(design.sum_elements, needed);
  }
}

}  // namespace

void Span::widen(const Span& other) {
  least = std::min(least, other.least);
  most = std::max(most, other.most);
}

int Span::bits() const {
  int bits = 1;
  if (least >= 0) {
    while ((most >> bits) > 0) ++bits;
    return bits;
  }
  while (least < -(int64_t{1} << (bits - 1)) || most > (int64_t{1} << (bits - 1)) - 1) ++bits;
  return bits;
}

std::string Span::type() const {
  return fmt::format("{}<{}>", least < 0 ? "int_t" : "uint_t", bits());
}

std::vector<Memory> memories_of(const Nest& nest, const Span& codes, const Span& inputs,
                                const Span& sums) {
  std::vector<Memory> all;
  for (size_t l = 1; l < nest.levels.size(); ++l)
    for (const Tensor t : kAllTensors) {
      if (!nest.keeps[l][t]) continue;
      const Span& span = t == Tensor::Weights ? codes : t == Tensor::Inputs ? inputs : sums;
      all.push_back({l, t, nest.instances[l], nest.elements(l, t), span});
    }
  return all;
}

Design make_design(const IntModel& model, const MappingPlan& plan, const std::vector<int>& bits) {
  check_device(plan.accelerator);
  Design design;
  design.bits = chosen_bits(model, plan, bits);
  if (plan.options.batch != 1)
    fail(kWhere, fmt::format("the plan is for batches of {} images; map the network with "
                             "--batch 1.",
                             plan.options.batch));
  design.model = &model;
  design.source = std::make_shared<const runtime::Source>(model);
  design.device = plan.accelerator;
  design.device.name = plain(design.device.name);
  for (mapper::StorageLevel& level : design.device.levels) level.name = plain(level.name);
  design.network = plain(model.spec.name);
  design.space = "net_" + identifier_of(model.spec.name);
  for (const int one : design.bits)
    design.prepared.push_back(runtime::prepare(*design.source, {{one, one}}));
  design.pipeline = !plan.stages[index_of_bits(plan, design.bits[0])].empty();
  find_structures(design);
  const std::vector<NamedLayer> named = instantnet::layers(model.spec);
  for (size_t l = 0; l < named.size(); ++l) {
    design.layers.push_back(make_layer(design, plan, named[l], l));
    design.layers.back().weights_offset = design.weight_elements;
    design.weight_elements += design.layers.back().weights;
  }
  check_modes(design, plan);
  for (Structure& structure : design.structures) {
    place_forms(design, structure);
    give_offsets(design, structure);
    for (const LayerDesign& layer : design.layers)
      structure.groups.push_back(group_widths(design, structure, layer));
  }
  find_types(design);
  plan_memories(design);
  place_sums(design);
  return design;
}

}  // namespace instantnet::interop::hls
