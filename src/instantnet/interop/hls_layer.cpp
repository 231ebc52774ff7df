#include "instantnet/interop/hls_layer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "instantnet/core/error.h"
#include "instantnet/interop/hls_loops.h"

namespace instantnet::interop::hls {
namespace {

using runtime::Form;
using runtime::RequantTable;

/// Calls list(w, numbers) for each width of the structure and writes "{...}," a width.
template <class Row>
void rows(Code& code, const std::string& declaration, size_t widths, const Row& row) {
  code.open(fmt::format("const {} = {{", declaration));
  for (size_t w = 0; w < widths; ++w) code.lines(fmt::format("{{{}}},", row(w)));
  code.close("};");
}

std::string wrapped(const std::vector<int64_t>& numbers) {
  const std::string text = number_rows(numbers, 12, 1);
  return text.substr(1);
}

// ---- Numbers.

/// Border classes of a layer, at the width that has most of them.
struct Borders {
  const runtime::BorderTable* table = nullptr;
  int count() const { return table->count; }
};

Borders borders_of(const Design& design, const Structure& structure, const LayerDesign& layer) {
  Borders most;
  for (const size_t w : structure.widths) {
    const runtime::BorderTable& one = design.prepared[w].layers[layer.index].borders;
    if (most.table == nullptr || one.count > most.count()) most.table = &one;
  }
  return most;
}

void write_borders(const Borders& borders, Code& code) {
  if (borders.count() == 1) return;
  code.line("// Which offsets count at the image's border: class = row class + column class.");
  const auto list = [&](const char* name, const std::vector<uint16_t>& classes) {
    code.open(fmt::format("const unsigned short {}[{}] = {{", name, classes.size()));
    code.lines(number_rows({classes.begin(), classes.end()}, 20, 0));
    code.close("};");
  };
  list("kRowClass", borders.table->row);
  list("kColumnClass", borders.table->column);
}

std::string requant_row(const RequantTable& table) {
  return fmt::format("{}, {}, {}, {}", table.sum_shift, table.shift, table.least, table.most);
}

template <class T>
std::vector<int64_t> first(const T& values, int64_t count) {
  return {values.begin(), values.begin() + count};
}

/// Offsets (class, channel); a width without classes has the same ones in all.
std::string offset_rows(const RequantTable& table, int classes) {
  const int64_t row = runtime::padded(table.channels);
  std::string text;
  for (int64_t b = 0; b < classes; ++b) {
    const int64_t from = static_cast<int64_t>(table.offset.size()) > row ? b * row : 0;
    std::vector<int64_t> numbers;
    for (int64_t k = 0; k < table.channels; ++k)
      numbers.push_back(table.offset[static_cast<size_t>(from + k)]);
    text += fmt::format("{}{{{}}}", b > 0 ? ",\n " : "", wrapped(numbers));
  }
  return text;
}

/// Tables of one tensor that the layer writes.
void write_tables(const Design& design, const Structure& structure, const LayerDesign& layer,
                  const Place& place, int classes, Code& code) {
  const size_t widths = structure.widths.size();
  const int64_t k = layer.shape.k;
  const auto table = [&](size_t w) -> const RequantTable& {
    return design.prepared[structure.widths[w]].forms[static_cast<size_t>(place.form)].requant;
  };
  code.blank();
  code.line(
      fmt::format("// {}: sum shift, shift, least, most; then tables by channel.", place.name));
  rows(code, fmt::format("Requant kRequant_{}[{}]", place.name, widths), widths,
       [&](size_t w) { return requant_row(table(w)); });
  rows(code, fmt::format("int kMultiplier_{}[{}][{}]", place.name, widths, k), widths,
       [&](size_t w) { return wrapped(first(table(w).multiplier, k)); });
  if (layer.sbm)
    rows(code, fmt::format("int kBoxMultiplier_{}[{}][{}]", place.name, widths, k), widths,
         [&](size_t w) { return wrapped(first(table(w).box_multiplier, k)); });
  rows(code, fmt::format("long long kOffset_{}[{}][{}][{}]", place.name, widths, classes, k),
       widths, [&](size_t w) { return offset_rows(table(w), classes); });
}

void write_structure_numbers(const Design& design, const Structure& structure,
                             const LayerDesign& layer, Code& code) {
  std::vector<int> bits, zeros, of_network;
  for (const size_t w : structure.widths) {
    of_network.push_back(design.bits[w]);
    bits.push_back(layer.widths[w].weight_bits);
    zeros.push_back(layer.widths[w].zero);
  }
  open_structure(structure, code);
  code.line(
      fmt::format("// One entry each for the network at {} bits.", fmt::join(of_network, ", ")));
  code.line(fmt::format("const int kMasterBits = {};", layer.master_bits));
  code.line(fmt::format("const int kWeightBits[{}] = {{{}}};", bits.size(), fmt::join(bits, ", ")));
  code.line(fmt::format("const int kZero[{}] = {{{}}};  // stored input code of zero", zeros.size(),
                        fmt::join(zeros, ", ")));
  const Borders borders = borders_of(design, structure, layer);
  write_borders(borders, code);
  for (const Place* place : written_by(design, structure, layer))
    write_tables(design, structure, layer, *place, borders.count(), code);
  close_structure(structure, code);
}

// ---- Functions beside the nest.

/// The parameters that stand for what the layer writes.
std::string outputs_of(const Design& design, const Structure& structure, const LayerDesign& layer,
                       bool types) {
  std::string text;
  for (const Place* place : written_by(design, structure, layer))
    text += types ? fmt::format(", {}* {}", place->element(), place->name)
                  : fmt::format(", {}", place->name);
  return text;
}

void write_weight_functions(const LayerDesign& layer, Code& code) {
  const char* lattice = layer.sbm ? "sbm" : "nested";
  code.line("/// The narrow code of a master code.");
  code.open("inline wide_t narrow(wide_t master, int width) {");
  code.line(fmt::format("return narrow_{}(master, kMasterBits, kWeightBits[width]);", lattice));
  code.close();
  code.blank();
  code.line("/// What the multipliers take for a narrow code.");
  if (layer.sbm) {
    code.line("inline wide_t weight_of(wide_t code, int) { return code; }");
  } else {
    code.open("inline wide_t weight_of(wide_t code, int width) {");
    code.line("return weight_nested(code, kWeightBits[width]);");
    code.close();
  }
}

void write_input_function(const LayerDesign& layer, const std::string& element, Code& code) {
  const int64_t channels = layer.shape.groups * layer.shape.c;
  code.blank();
  code.line("/// An input code; 0 outside the image.");
  code.open(fmt::format(
      "inline wide_t input_at(const {}* in, int y, int x, int channel, int width) {{", element));
  code.line(fmt::format("if (y < 0 || y >= {} || x < 0 || x >= {}) return 0;", layer.height,
                        layer.width));
  code.line(
      fmt::format("return static_cast<wide_t>(in[(y * {} + x) * {} + channel]) - kZero[width];",
                  layer.width, channels));
  code.close();
}

/// finish(): a complete sum to all that is read of it.
void write_finish(const Design& design, const Structure& structure, const LayerDesign& layer,
                  Code& code) {
  const LayerShape& shape = layer.shape;
  const bool classes = borders_of(design, structure, layer).count() > 1;
  code.blank();
  code.line("/// A complete sum of output channel k at (p, q) to what is read of it.");
  code.open(fmt::format("inline void finish(int width, int p, int q, int k, wide_t sum{}{}) {{",
                        layer.sbm ? ", const sum_t* boxes" : "",
                        outputs_of(design, structure, layer, true)));
  code.line(fmt::format("const int at = (p * {} + q) * {} + k;", shape.q, shape.k));
  if (layer.sbm)
    code.line(fmt::format("const wide_t box = boxes[(p * {} + q) * {} + k / {}];", shape.q,
                          shape.groups, shape.k / shape.groups));
  if (classes) code.line("const int border = kRowClass[p] + kColumnClass[q];");
  for (const Place* place : written_by(design, structure, layer)) {
    const std::string box =
        layer.sbm ? fmt::format("box, kBoxMultiplier_{}[width][k], ", place->name) : "";
    code.line(fmt::format(
        "{0}[at] = requantised(sum, kMultiplier_{0}[width][k], {1}kOffset_{0}[width][{2}][k], "
        "kRequant_{0}[width]);",
        place->name, box, classes ? "border" : "0"));
  }
  code.close();
}

std::string joined_bits(const Design& design, const Structure& structure, const NestGroup& group,
                        const char* between) {
  std::vector<int> bits;
  for (const size_t w : group.widths) bits.push_back(design.bits[structure.widths[w]]);
  return fmt::format("{}", fmt::join(bits, between));
}

// ---- What the plan says.

/// Multiply-accumulates a cycle as a fraction.
std::pair<int64_t, int64_t> fraction(double value) {
  for (int64_t below = 1; below <= 4096; ++below) {
    const double above = value * static_cast<double>(below);
    if (std::abs(above - std::round(above)) < 1e-9)
      return {static_cast<int64_t>(std::llround(above)), below};
  }
  return {0, 1};
}

void write_cycles(const Structure& structure, const LayerDesign& layer, const NestGroup& group,
                  const std::string& bits, Code& code) {
  std::vector<std::string> factors;
  for (const auto& [dim, count] : group.nest.step_factors)
    factors.push_back(fmt::format("{}LL /* {} */", count, dim));
  code.line("// Steps of the multipliers: what the plan's compute cycles are made of.");
  code.line(fmt::format("constexpr long long kSteps_{} = {};", bits,
                        factors.empty() ? "1" : fmt::format("{}", fmt::join(factors, " * "))));
  for (const size_t w : group.widths) {
    const LayerWidth& width = layer.widths[structure.widths[w]];
    const auto [above, below] = fraction(width.macs_per_cycle);
    if (above == 0) continue;
    std::string cycles = fmt::format("kSteps_{}", bits);
    if (below > 1) cycles += fmt::format(" * {}", below);
    if (above > 1) cycles = fmt::format("({} + {}) / {}", cycles, above - 1, above);
    code.line(fmt::format("static_assert({} == {}, \"cycles at {} bits\");", cycles,
                          width.compute_cycles, width.bits));
    if (width.macs_per_cycle > group.macs_per_cycle)
      code.line(fmt::format("// At {} bits the plan counts {} steps a cycle, at the widest {}.",
                            width.bits, width.macs_per_cycle, group.macs_per_cycle));
  }
}

/// Words of `elements` of `bits` at a level, as text.
std::string words_text(const mapper::StorageLevel& level, int64_t elements, int bits) {
  if (level.packing == mapper::Packing::Tight) return fmt::format("{}LL * {}", elements, bits);
  const double words = mapper::words_per_element(level, bits);
  return fmt::format("{}LL",
                     static_cast<int64_t>(std::ceil(static_cast<double>(elements) * words - 1e-9)) *
                         level.word_bits);
}

/// The memories of this nest, sums as wide as they are.
void write_exact_capacities(const Design& design, const NestGroup& group, Code& code) {
  const auto memories = memories_of(group.nest, group.codes, group.inputs, group.sums);
  for (size_t i = 0; i < design.use.size(); ++i) {
    if (design.shared[i + 1] || design.use[i].planned == 0) continue;
    std::vector<std::string> sum;
    for (const Memory& memory : memories)
      if (memory.level == i + 1)
        sum.push_back(fmt::format("{}LL * {}", memory.elements, memory.span.bits()));
    if (!sum.empty())
      code.line(fmt::format("static_assert({} <= {}LL, \"bits of {} with exact sums\");",
                            fmt::join(sum, " + "), design.use[i].allowed, design.use[i].level));
  }
}

/// The tiles at the widths that the plan counts must fit, for the widest of the group.
void write_capacities(const Design& design, const Structure& structure, const LayerDesign& layer,
                      const NestGroup& group, Code& code) {
  const LayerWidth& width = layer.widths[structure.widths[group.widths.back()]];
  for (size_t l = 1; l < design.device.levels.size(); ++l) {
    const mapper::StorageLevel& level = design.device.levels[l];
    std::vector<std::string> sum;
    for (const Tensor t : mapper::kAllTensors) {
      if (!group.nest.keeps[l][t] || level.tensor_capacity_words[t] > 0) continue;
      sum.push_back(words_text(level, group.nest.elements(l, t),
                               mapper::element_bits(design.device, width.planned, t)));
    }
    if (level.capacity_words == 0 || sum.empty()) continue;
    code.line(fmt::format(
        "static_assert({} <= {}LL, \"bits of {} as planned\");", fmt::join(sum, " + "),
        (level.double_buffered ? level.capacity_words / 2 : level.capacity_words) * level.word_bits,
        level.name));
  }
}

void write_nest(const Design& design, const Structure& structure, const LayerDesign& layer,
                const NestGroup& group, Code& code) {
  const std::string bits = joined_bits(design, structure, group, "_");
  const LayerWidth& width = layer.widths[structure.widths[group.widths[0]]];
  code.blank();
  code.line(
      fmt::format("// ---- The mapping at {} bits.", joined_bits(design, structure, group, ", ")));
  code.line("//");
  code.lines(commented(loop_nest_text(*width.mapping, layer.shape, design.device)));
  code.line("//");
  write_cycles(structure, layer, group, bits, code);
  write_capacities(design, structure, layer, group, code);
  write_exact_capacities(design, group, code);
  code.blank();
  NestText text;
  text.name = fmt::format("nest_{}", bits);
  text.input = read_by(design, structure, layer).element();
  text.outputs = outputs_of(design, structure, layer, true);
  text.arguments = outputs_of(design, structure, layer, false);
  write_loops(design, layer, group, text, code);
}

void write_switch(const Design& design, const Structure& structure, const LayerDesign& layer,
                  Code& code) {
  code.open("switch (width) {");
  for (const NestGroup& group : structure.groups[layer.index]) {
    for (const size_t w : group.widths)
      code.line(fmt::format("case {}:  // {} bits", w, design.bits[structure.widths[w]]));
    code.line(
        fmt::format("  nest_{}(width, weights, in{}{}{});",
                    joined_bits(design, structure, group, "_"), layer.sbm ? ", sums" : "",
                    spills(group) ? fmt::format(", sums + {}", layer.sbm ? layer.boxes() : 0) : "",
                    outputs_of(design, structure, layer, false)));
    code.line("  break;");
  }
  code.close();
}

void write_layer_function(const Design& design, const Structure& structure,
                          const LayerDesign& layer, Code& code) {
  const LayerShape& s = layer.shape;
  code.open(fmt::format("{} {{", layer_signature(design, structure, layer)));
  if (layer.sbm)
    code.line(
        fmt::format("box_sums<{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}>(in, kZero[width], sums);",
                    layer.height, layer.width, s.groups, s.c, s.p, s.q, s.r, s.s, s.stride,
                    s.dilation, layer.padding));
  if (structure.groups[layer.index].size() > 1) {
    write_switch(design, structure, layer, code);
  } else {
    const NestGroup& group = structure.groups[layer.index][0];
    code.line(
        fmt::format("nest_{}(width, weights, in{}{}{});",
                    joined_bits(design, structure, group, "_"), layer.sbm ? ", sums" : "",
                    spills(group) ? fmt::format(", sums + {}", layer.sbm ? layer.boxes() : 0) : "",
                    outputs_of(design, structure, layer, false)));
  }
  code.close();
}

void write_structure_layer(const Design& design, const Structure& structure,
                           const LayerDesign& layer, Code& code) {
  open_structure(structure, code);
  code.line("namespace {");
  code.blank();
  write_weight_functions(layer, code);
  write_input_function(layer, read_by(design, structure, layer).element(), code);
  write_finish(design, structure, layer, code);
  for (const NestGroup& group : structure.groups[layer.index])
    write_nest(design, structure, layer, group, code);
  code.blank();
  code.line("}  // namespace");
  code.blank();
  write_layer_function(design, structure, layer, code);
  close_structure(structure, code);
}

std::string summary(const Design& design, const LayerDesign& layer) {
  const LayerShape& s = layer.shape;
  std::string text = fmt::format("// Layer {} of {}, {}: {} -> {} channels", layer.index + 1,
                                 design.layers.size(), layer.name, s.groups * s.c, s.k);
  if (s.groups > 1) text += fmt::format(" in {} groups", s.groups);
  text += fmt::format(", {} x {} window", s.r, s.s);
  if (s.stride > 1) text += fmt::format(", stride {}", s.stride);
  if (s.dilation > 1) text += fmt::format(", dilation {}", s.dilation);
  if (layer.padding > 0) text += fmt::format(", padding {}", layer.padding);
  return text +
         fmt::format(", {} x {} outputs; {} lattice.", s.p, s.q, layer.sbm ? "sbm" : "nested");
}

}  // namespace

std::string scope_of(const Structure& structure) {
  return structure.suffix.empty() ? "" : fmt::format("widths{}::", structure.suffix);
}

void open_structure(const Structure& structure, Code& code) {
  if (structure.suffix.empty()) return;
  code.line(fmt::format("namespace widths{} {{", structure.suffix));
  code.blank();
}

void close_structure(const Structure& structure, Code& code) {
  if (structure.suffix.empty()) return;
  code.blank();
  code.line(fmt::format("}}  // namespace widths{}", structure.suffix));
}

std::string commented(const std::string& text) {
  std::string all = "// ";
  for (size_t i = 0; i < text.size(); ++i) {
    all += text[i];
    if (text[i] == '\n' && i + 1 < text.size()) all += "// ";
  }
  return all;
}

void write_multiply(const std::string& head, Code& code) {
  code.open(fmt::format(
      "{}(const weight_operand_t* weight, const input_operand_t* input, product_t* product, "
      "int lanes) {{",
      head));
  code.open("for (int lane = 0; lane < lanes; ++lane) { IN_UNROLL");
  code.line(
      "product[lane] = static_cast<wide_t>(weight[lane]) * static_cast<wide_t>(input[lane]);");
  code.close();
  code.close();
}

bool uses_sums(const Structure& structure, const LayerDesign& layer) {
  const auto& groups = structure.groups[layer.index];
  return layer.sbm || std::any_of(groups.begin(), groups.end(), spills);
}

std::vector<const Place*> written_by(const Design& design, const Structure& structure,
                                     const LayerDesign& layer) {
  std::vector<const Place*> all;
  for (const Place& place : structure.places) {
    const Form& form = design.form(structure, static_cast<size_t>(place.form));
    if (form.rule == runtime::Rule::Layer && form.layer == static_cast<int>(layer.index))
      all.push_back(&place);
  }
  return all;
}

const Place& read_by(const Design& design, const Structure& structure, const LayerDesign& layer) {
  const runtime::Prepared& prepared = design.prepared[structure.widths[0]];
  return structure.places[static_cast<size_t>(prepared.layers[layer.index].input)];
}

std::string layer_signature(const Design& design, const Structure& structure,
                            const LayerDesign& layer) {
  return fmt::format("void {}(int width, const master_t* weights, const {}* in{}{})", layer.id,
                     read_by(design, structure, layer).element(),
                     uses_sums(structure, layer) ? ", sum_t* sums" : "",
                     outputs_of(design, structure, layer, true));
}

std::string memory_name(const std::string& level, Tensor t) {
  std::string name = identifier_of(level);
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (std::isalpha(static_cast<unsigned char>(name[0])) == 0) name.insert(0, "level_");
  return fmt::format("{}_{}", name, mapper::to_string(t));
}

std::string memory_declaration(const std::string& level, const Memory& memory) {
  const std::string name = memory_name(level, memory.tensor);
  if (memory.instances == 1)
    return fmt::format("{} {}[{}]", memory.span.type(), name, memory.elements);
  return fmt::format("{} {}[{}][{}]", memory.span.type(), name, memory.instances, memory.elements);
}

std::string layer_source(const Design& design, const LayerDesign& layer) {
  Code code;
  code.line(summary(design, layer));
  code.line("#include \"layers.h\"");
  code.line(fmt::format("#include \"{}_numbers.h\"", layer.id));
  if (!design.pipeline) code.line("#include \"engine.h\"");
  code.blank();
  code.line(fmt::format("namespace {} {{", design.space));
  if (design.pipeline) {
    code.blank();
    code.line("/// This stage's part of the array.");
    write_multiply("static void multiply", code);
  }
  for (const Structure& structure : design.structures) {
    code.blank();
    write_structure_layer(design, structure, layer, code);
  }
  code.blank();
  code.line(fmt::format("}}  // namespace {}", design.space));
  return code.text();
}

std::string layer_numbers(const Design& design, const LayerDesign& layer) {
  Code code;
  const std::string guard = fmt::format("{}_{}_NUMBERS_H", design.space, layer.id);
  code.line(fmt::format("// Numbers of layer {} ({}): docs/integer-model.md, equation (5).",
                        layer.index + 1, layer.name));
  code.line(fmt::format("#ifndef {}", guard));
  code.line(fmt::format("#define {}", guard));
  code.blank();
  code.line("#include \"arithmetic.h\"");
  code.blank();
  code.line(fmt::format("namespace {} {{", design.space));
  code.blank();
  code.line("using namespace instantnet;");
  code.blank();
  for (const Structure& structure : design.structures)
    write_structure_numbers(design, structure, layer, code);
  code.blank();
  code.line(fmt::format("}}  // namespace {}", design.space));
  code.blank();
  code.line("#endif");
  return code.text();
}

}  // namespace instantnet::interop::hls
