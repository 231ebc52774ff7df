#include "instantnet/runtime/model_sections.h"

#include <fmt/format.h>

#include <algorithm>

#include "instantnet/core/error.h"
#include "instantnet/runtime/file_bytes.h"

namespace instantnet::runtime {
namespace {

constexpr size_t kAlign = 64;
constexpr uint32_t kMostWidths = 17;  // 1 .. 16 and 32
constexpr const char* kNetwork = "network";
constexpr const char* kLayers = "layers";
constexpr const char* kNumbers = "numbers";
constexpr const char* kCodes = "codes";
constexpr const char* kFloats = "float32";

// ---- Enums travel by name, or as the number stated here.

template <class E>
E named(ByteReader& in) {
  const std::string name = in.text();
  for (const auto& [value, text] : names_of(E{}))
    if (text == name) return value;
  in.fail_here(fmt::format("'{}' is unknown to this program.", name));
}

template <class E>
E counted(ByteReader& in, E last) {
  const auto value = in.number<uint8_t>();
  if (value > static_cast<uint8_t>(last)) in.fail_here("a number names something unknown.");
  return static_cast<E>(value);
}

bool flag(ByteReader& in) {
  const auto value = in.number<uint8_t>();
  if (value > 1) in.fail_here("a flag is neither 0 nor 1.");
  return value == 1;
}

// ---- Network.

void print_node(const Node& node, ByteWriter& out) {
  out.text(node.name);
  out.text(to_string(node.op));
  out.number(static_cast<uint32_t>(node.inputs.size()));
  for (const std::string& input : node.inputs) out.text(input);
  for (const int64_t value :
       {node.channels, node.kernel, node.stride, node.padding, node.dilation, node.groups})
    out.number(value);
  out.number(static_cast<uint8_t>(node.bias));
  out.number(static_cast<uint8_t>(node.batch_norm));
  out.text(to_string(node.activation));
  out.number(static_cast<int32_t>(node.bits));
  out.number(node.probability);
}

Node parse_node(ByteReader& in) {
  Node node;
  node.name = in.text();
  node.op = named<Op>(in);
  const auto inputs = in.number<uint32_t>();
  for (uint32_t i = 0; i < inputs; ++i) node.inputs.push_back(in.text());
  for (int64_t* value :
       {&node.channels, &node.kernel, &node.stride, &node.padding, &node.dilation, &node.groups})
    *value = in.number<int64_t>();
  node.bias = flag(in);
  node.batch_norm = flag(in);
  node.activation = named<Activation>(in);
  node.bits = in.number<int32_t>();
  node.probability = in.real();
  return node;
}

std::string print_network(const NetworkSpec& spec) {
  ByteWriter out;
  out.text(spec.name);
  for (const int64_t value : {spec.channels, spec.height, spec.width, spec.classes})
    out.number(value);
  out.number(static_cast<uint32_t>(spec.nodes.size()));
  for (const Node& node : spec.nodes) print_node(node, out);
  return out.bytes();
}

NetworkSpec parse_network(ByteReader in) {
  NetworkSpec spec;
  spec.name = in.text();
  for (int64_t* value : {&spec.channels, &spec.height, &spec.width, &spec.classes})
    *value = in.number<int64_t>();
  const auto nodes = in.number<uint32_t>();
  for (uint32_t i = 0; i < nodes; ++i) spec.nodes.push_back(parse_node(in));
  in.end();
  return spec;
}

// ---- Layers: everything but tables of numbers.

void print_texts(const std::vector<std::string>& texts, ByteWriter& out) {
  out.number(static_cast<uint32_t>(texts.size()));
  for (const std::string& text : texts) out.text(text);
}

std::string print_layers(const IntModel& model) {
  ByteWriter out;
  out.text(model.origin);
  print_texts(model.classes, out);
  out.number(static_cast<uint32_t>(model.bits.size()));
  for (const int bits : model.bits) out.number(static_cast<int32_t>(bits));
  out.number(static_cast<uint32_t>(model.layers.size()));
  for (const IntLayer& layer : model.layers) {
    out.text(layer.node);
    out.number(static_cast<uint8_t>(layer.lattice));
    out.number(static_cast<uint8_t>(layer.input));
    out.number(static_cast<uint8_t>(layer.master_bits));
    out.number(static_cast<uint64_t>(layer.codes.size()));
    out.number(static_cast<uint32_t>(layer.widths.size()));
    for (const LayerWidth& width : layer.widths) out.number(static_cast<int32_t>(width.bits));
  }
  return out.bytes();
}

std::vector<int> parse_bits(ByteReader& in) {
  const auto count = in.number<uint32_t>();
  if (count > kMostWidths)
    in.fail_here(fmt::format("{} bit-widths are listed; there are only {}.", count, kMostWidths));
  return in.numbers<int32_t>(count);
}

/// Fills in the model, and how many codes each layer has.
std::vector<uint64_t> parse_layers(ByteReader in, IntModel& model) {
  std::vector<uint64_t> codes;
  model.origin = in.text();
  const auto classes = in.number<uint32_t>();
  for (uint32_t i = 0; i < classes; ++i) model.classes.push_back(in.text());
  model.bits = parse_bits(in);
  const auto layers = in.number<uint32_t>();
  for (uint32_t i = 0; i < layers; ++i) {
    IntLayer& layer = model.layers.emplace_back();
    layer.node = in.text();
    layer.lattice = counted(in, Lattice::Sbm);
    layer.input = counted(in, InputKind::Offset);
    layer.master_bits = in.number<uint8_t>();
    codes.push_back(in.number<uint64_t>());
    for (const int bits : parse_bits(in)) layer.widths.emplace_back().bits = bits;
  }
  in.end();
  return codes;
}

// ---- Tables.

/// Every table of "numbers", in order, of a model that is const or not.
template <class Model, class Visit>
void each_table(Model& model, const Visit& visit) {
  visit(model.normalisation.mean);
  visit(model.normalisation.deviation);
  for (auto& layer : model.layers) {
    visit(layer.low);
    visit(layer.range);
    for (auto& width : layer.widths) {
      visit(width.scale);
      visit(width.shift);
      visit(width.low);
      visit(width.range);
    }
  }
}

std::string print_numbers(const IntModel& model) {
  ByteWriter out;
  each_table(model, [&](const std::vector<float>& table) { out.floats(table); });
  return out.bytes();
}

void parse_numbers(ByteReader in, IntModel& model) {
  each_table(model, [&](std::vector<float>& table) { table = in.floats(); });
  in.end();
}

std::string print_codes(const IntModel& model) {
  ByteWriter out;
  for (const IntLayer& layer : model.layers) {
    out.align(kAlign);
    for (const uint16_t code : layer.codes) {
      if (layer.master_bits == 8)
        out.number(static_cast<uint8_t>(code));
      else
        out.number(code);
    }
  }
  return out.bytes();
}

void parse_codes(ByteReader in, const std::vector<uint64_t>& counts,
                 const std::shared_ptr<const void>& keeper, IntModel& model) {
  for (size_t i = 0; i < counts.size(); ++i) {
    in.align(kAlign);
    if (model.layers[i].master_bits == 8) {
      const std::vector<uint8_t> narrow = in.numbers<uint8_t>(counts[i]);
      model.layers[i].codes.assign(narrow.begin(), narrow.end());
    } else {
      model.layers[i].codes = in.stored<uint16_t>(counts[i], keeper);
    }
  }
  in.end();
}

std::string print_floats(const IntModel& model) {
  ByteWriter out;
  for (const FloatLayer& layer : model.floats) {
    out.align(kAlign);
    out.floats(layer.weights);
    out.floats(layer.scale);
    out.floats(layer.shift);
  }
  return out.bytes();
}

void parse_floats(ByteReader in, const std::shared_ptr<const void>& keeper, IntModel& model) {
  for (size_t i = 0; i < model.layers.size(); ++i) {
    in.align(kAlign);
    FloatLayer& layer = model.floats.emplace_back();
    layer.weights = in.stored<float>(in.number<uint32_t>(), keeper);
    layer.scale = in.floats();
    layer.shift = in.floats();
  }
  in.end();
}

ByteReader reader(const SectionView& section, const std::string& where) {
  return ByteReader(section.bytes, fmt::format("{}, section '{}'", where, section.name),
                    section.offset);
}

}  // namespace

std::vector<Section> print_sections(const IntModel& model) {
  std::vector<Section> sections = {{kNetwork, print_network(model.spec)},
                                   {kLayers, print_layers(model)},
                                   {kNumbers, print_numbers(model)},
                                   {kCodes, print_codes(model)}};
  if (!model.floats.empty()) sections.push_back({kFloats, print_floats(model)});
  return sections;
}

IntModel parse_model_sections(const std::vector<SectionView>& sections, const std::string& where,
                              const std::shared_ptr<const void>& keeper) {
  const std::vector<std::string> wanted = {kNetwork, kLayers, kNumbers, kCodes, kFloats};
  for (size_t i = 0; i < std::max(sections.size(), wanted.size() - 1); ++i) {
    if (i >= sections.size()) fail(where, fmt::format("it has no section '{}'.", wanted[i]));
    if (i >= wanted.size() || sections[i].name != wanted[i])
      fail(where, fmt::format("section number {} is '{}', which this program does not know there.",
                              i + 1, sections[i].name));
  }
  IntModel model;
  model.spec = parse_network(reader(sections[0], where));
  const std::vector<uint64_t> codes = parse_layers(reader(sections[1], where), model);
  parse_numbers(reader(sections[2], where), model);
  parse_codes(reader(sections[3], where), codes, keeper, model);
  if (sections.size() > 4) parse_floats(reader(sections[4], where), keeper, model);
  return model;
}

}  // namespace instantnet::runtime
