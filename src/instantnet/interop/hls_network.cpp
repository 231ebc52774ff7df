#include "instantnet/interop/hls_network.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "instantnet/core/error.h"
#include "instantnet/interop/hls_layer.h"

namespace instantnet::interop::hls {
namespace {

using runtime::Form;
using runtime::Rule;

const Form& form_of(const Design& design, const Structure& structure, const Place& place) {
  return design.form(structure, static_cast<size_t>(place.form));
}

const Form& form_at(const Design& design, const Structure& structure, size_t width,
                    const Place& place) {
  return design.prepared[structure.widths[width]].forms[static_cast<size_t>(place.form)];
}

const Place& input_of(const Structure& structure, const Form& form, size_t i = 0) {
  return structure.places[static_cast<size_t>(form.inputs[i])];
}

std::string shape_text(const Place& place) {
  return fmt::format("{} x {} x {}", place.height, place.width, place.channels);
}

// ---- Tables between layers.

std::string row_of(const std::vector<int64_t>& numbers) {
  return fmt::format("{{{}}},", number_rows(numbers, 12, 1).substr(1));
}

template <class Row>
void table(Code& code, const std::string& declaration, size_t widths, const Row& row) {
  code.open(fmt::format("const {} = {{", declaration));
  for (size_t w = 0; w < widths; ++w) code.lines(row(w));
  code.close("};");
}

void write_recode_tables(const Design& design, const Structure& structure, const Place& place,
                         Code& code) {
  const size_t widths = structure.widths.size();
  const auto requant = [&](size_t w) -> const runtime::RequantTable& {
    return form_at(design, structure, w, place).requant;
  };
  table(code, fmt::format("Requant kRequant_{}[{}]", place.name, widths), widths, [&](size_t w) {
    const runtime::RequantTable& one = requant(w);
    return fmt::format("{{{}, {}, {}, {}}},", one.sum_shift, one.shift, one.least, one.most);
  });
  const auto channels = place.channels;
  table(code, fmt::format("int kMultiplier_{}[{}][{}]", place.name, widths, channels), widths,
        [&](size_t w) {
          const auto& all = requant(w).multiplier;
          return row_of({all.begin(), all.begin() + channels});
        });
  table(code, fmt::format("long long kOffset_{}[{}][{}]", place.name, widths, channels), widths,
        [&](size_t w) {
          const auto& all = requant(w).offset;
          return row_of({all.begin(), all.begin() + channels});
        });
}

void write_image_table(const Design& design, const Structure& structure, const Place& place,
                       Code& code) {
  table(code,
        fmt::format("int kTable_{}[{}][{}][256]", place.name, structure.widths.size(),
                    place.channels),
        structure.widths.size(), [&](size_t w) {
          std::string text = "{";
          const std::vector<int32_t>& all = form_at(design, structure, w, place).table;
          for (int64_t c = 0; c < place.channels; ++c)
            text += row_of({all.begin() + c * 256, all.begin() + (c + 1) * 256}) + "\n";
          return text + "},";
        });
}

void write_ends(const Design& design, const Structure& structure, const Place& place, Code& code) {
  table(code, fmt::format("int kEnds_{}[{}][2]", place.name, structure.widths.size()),
        structure.widths.size(), [&](size_t w) {
          const Form& form = form_at(design, structure, w, place);
          // The literal of the least int would be one of a wider type.
          return fmt::format(
              "{{{}, {}}},",
              form.least == INT32_MIN ? "-2147483647 - 1" : fmt::format("{}", form.least),
              form.most);
        });
}

// ---- The steps of a network.

/// What a tensor is called in a function that works on it.
std::string address(const Place& place) { return place.image ? "image" : place.name; }

/// The pointers of a function that runs the steps of some stages.
void write_pointers(const std::vector<const Place*>& used, Code& code) {
  for (const Place* place : used) {
    if (place->image) continue;
    code.line(fmt::format(
        "{0}* const {1} = {2} + {3}{4};  // {5}", place->element(), place->name,
        place->stream ? "streams" : "codes", place->offset,
        place->slots > 1 ? fmt::format(" + number % {} * {}", place->slots, place->elements()) : "",
        shape_text(*place)));
  }
}

std::string layer_call(const Design& design, const Structure& structure, const LayerDesign& layer) {
  std::string text = fmt::format("{}(width, weights + {}, {}", layer.id, layer.weights_offset,
                                 address(read_by(design, structure, layer)));
  if (uses_sums(structure, layer)) {
    const int64_t offset = design.sum_offset[layer.index];
    text += offset == 0 ? ", sums" : fmt::format(", sums + {}", offset);
  }
  for (const Place* place : written_by(design, structure, layer)) text += ", " + address(*place);
  return text + ");";
}

/// Window numbers of a pooling node, for template arguments.
std::string pool_arguments(const Design& design, const Form& form, const Place& in,
                           const Place& out) {
  const Node& node = design.source->graph().node(form.value);
  const bool global = node.op == Op::GlobalAvgPool;
  const int64_t rows = global ? in.height : node.kernel, columns = global ? in.width : node.kernel;
  return fmt::format("{}, {}, {}, {}, {}, {}, {}, {}, {}", in.height, in.width, in.channels,
                     out.height, out.width, rows, columns, global ? 1 : node.stride,
                     global ? 0 : node.padding);
}

void write_add(const Structure& structure, const Form& form, const Place& place, Code& code) {
  const std::string to = address(place);
  const std::string ends = fmt::format("kEnds_{0}[width][0], kEnds_{0}[width][1]", place.name);
  if (form.inputs.size() == 1)
    return code.line(fmt::format("clamp_all<{}>({}, {}, {});", place.elements(),
                                 address(input_of(structure, form)), ends, to));
  std::string so_far = address(input_of(structure, form));
  for (size_t i = 1; i < form.inputs.size(); ++i) {
    const bool last = i + 1 == form.inputs.size();
    code.line(fmt::format("add<{}>({}, {}, {}, {});", place.elements(), so_far,
                          address(input_of(structure, form, i)),
                          last ? ends : "-2147483647LL - 1, 2147483647LL", to));
    so_far = to;
  }
}

void write_step(const Design& design, const Structure& structure, const Place& place, Code& code) {
  const Form& form = form_of(design, structure, place);
  const std::string to = address(place);
  const auto from = [&] { return address(input_of(structure, form)); };
  const int64_t pixels = place.height * place.width;
  switch (form.rule) {
    case Rule::Pixels:
      if (!place.image) code.line(fmt::format("copy_pixels<{}>(image, {});", place.elements(), to));
      return;
    case Rule::Table:
      return code.line(fmt::format("from_table<{}, {}>(image, kTable_{}[width], {});", pixels,
                                   place.channels, place.name, to));
    case Rule::Layer: {
      const LayerDesign& layer = design.layers[static_cast<size_t>(form.layer)];
      if (written_by(design, structure, layer)[0] == &place)
        code.line(layer_call(design, structure, layer));
      return;
    }
    case Rule::Add:
      return write_add(structure, form, place, code);
    case Rule::Average:
      return code.line(fmt::format("average_pool<{}>({}, {});",
                                   pool_arguments(design, form, input_of(structure, form), place),
                                   from(), to));
    case Rule::Recode:
      return code.line(
          fmt::format("recode<{0}, {1}>({2}, kMultiplier_{3}[width], kOffset_{3}[width], "
                      "kRequant_{3}[width], {4});",
                      pixels, place.channels, from(), place.name, to));
    case Rule::Maximum:
      return code.line(fmt::format("maximum_pool<{}>({}, {});",
                                   pool_arguments(design, form, input_of(structure, form), place),
                                   from(), to));
    case Rule::Shuffle:
      return code.line(fmt::format("shuffle<{}, {}, {}>({}, {});", pixels, place.channels,
                                   design.source->graph().node(form.value).groups, from(), to));
    case Rule::Flatten: {
      const Place& in = input_of(structure, form);
      return code.line(fmt::format("flatten<{}, {}, {}>({}, {});", in.height, in.width, in.channels,
                                   from(), to));
    }
  }
}

const Place& output_of(const Design& design, const Structure& structure) {
  return structure.places[static_cast<size_t>(design.prepared[structure.widths[0]].output)];
}

void write_logits(const Design& design, const Structure& structure, Code& code) {
  code.line(fmt::format("for (int i = 0; i < kClasses; ++i) logits[i] = {}[i];",
                        address(output_of(design, structure))));
}

constexpr const char* kMemory =
    "const master_t* weights, const pixel_t* image, code_t* codes, stream_t* streams, sum_t* sums, "
    "stream_t* logits";
constexpr const char* kMemoryArguments = "weights, image, codes, streams, sums, logits";

/// A function whose parameters need not all be used: those that `body` does not mention are marked.
template <class Body>
void write_function(const std::string& head, const std::vector<std::string>& parameters,
                    const Body& body, Code& code) {
  Code inside(code.depth() + 1);
  body(inside);
  code.open(fmt::format("{} {{", head));
  std::string unused;
  for (const std::string& name : parameters)
    if (!mentions(inside.text(), name))
      unused += fmt::format("{}(void){}", unused.empty() ? "" : ", ", name);
  if (!unused.empty()) code.line(fmt::format("{};", unused));
  code.append(inside);
  code.close();
}

/// Tensors that the steps of a stage write or read, in order.
std::vector<const Place*> used_in(const Design& design, const Structure& structure, size_t stage) {
  std::vector<const Place*> used;
  const auto use = [&](const Place& place) {
    if (std::find(used.begin(), used.end(), &place) == used.end()) used.push_back(&place);
  };
  for (const Place& place : structure.places) {
    if (place.stage != stage) continue;
    const Form& form = form_of(design, structure, place);
    for (size_t i = 0; i < form.inputs.size(); ++i) use(input_of(structure, form, i));
    use(place);
  }
  return used;
}

/// All steps of a stage.
void write_steps(const Design& design, const Structure& structure, size_t stage, Code& code) {
  write_pointers(used_in(design, structure, stage), code);
  for (const Place& place : structure.places)
    if (place.stage == stage) write_step(design, structure, place, code);
  if (output_of(design, structure).stage == stage) write_logits(design, structure, code);
}

/// One image through all layers, one after the other.
void write_run(const Design& design, const Structure& structure, Code& code) {
  code.line("/// One image through all layers, one after the other on the same engine.");
  write_function(
      fmt::format("void run(int width, {})", kMemory), {"image", "codes", "streams", "sums"},
      [&](Code& inside) {
        inside.line("IN_ONE_INSTANCE(multiply)");
        write_steps(design, structure, 0, inside);
      },
      code);
}

/// A function a stage.
void write_stages(const Design& design, const Structure& structure, Code& code) {
  for (const LayerDesign& layer : design.layers) {
    if (layer.index > 0) code.blank();
    code.line(fmt::format("/// {}: {} multiplier{}; image `number` of all.", layer.name,
                          layer.multipliers, layer.multipliers > 1 ? "s" : ""));
    write_function(
        fmt::format("void stage_{:03}(int width, long long number, {})", layer.index + 1, kMemory),
        {"number", "image", "codes", "streams", "sums", "logits"},
        [&](Code& inside) { write_steps(design, structure, layer.index, inside); }, code);
  }
}

void write_width_of(Code& code) {
  code.line("/// Which of kBits it is; -1: none.");
  code.open("int width_of(int bits) {");
  code.open("for (int width = 0; width < kWidths; ++width) {");
  code.line("if (kBits[width] == bits) return width;");
  code.close();
  code.line("return -1;");
  code.close();
}

void write_interfaces(Code& code) {
  for (const char* port : {"weights", "image", "codes", "streams", "sums", "logits"})
    code.line(fmt::format("IN_OFF_CHIP({})", port));
}

void write_multi_cycle(const Design& design, Code& code) {
  code.open(fmt::format("bool network(int bits, {}) {{", kMemory));
  write_interfaces(code);
  code.open("switch (width_of(bits)) {");
  for (const Structure& structure : design.structures)
    for (size_t w = 0; w < structure.widths.size(); ++w) {
      code.line(fmt::format("case {}:", structure.widths[w]));
      code.line(fmt::format("  {}run({}, {});", scope_of(structure), w, kMemoryArguments));
      code.line("  return true;");
    }
  code.line("default:");
  code.line("  return false;");
  code.close();
  code.close();
}

/// A stage runs what its image's width has.
void write_stage_calls(const Design& design, size_t stage, Code& code) {
  if (design.structures.size() == 1)
    return code.line(
        fmt::format("if (flight[{0}] >= 0) stage_{1:03}(flight[{0}], number - {0}, {2});", stage,
                    stage + 1, kMemoryArguments));
  code.open(fmt::format("switch (flight[{}]) {{", stage));
  for (const Structure& structure : design.structures)
    for (size_t w = 0; w < structure.widths.size(); ++w) {
      code.line(fmt::format("case {}:", structure.widths[w]));
      code.line(fmt::format("  {}stage_{:03}({}, number - {}, {});", scope_of(structure), stage + 1,
                            w, stage, kMemoryArguments));
      code.line("  break;");
    }
  code.close();
}

void write_pipeline(const Design& design, Code& code) {
  code.open(fmt::format("bool network(int bits, {}) {{", kMemory));
  write_interfaces(code);
  code.line("static int flight[kStages];    // the width at which each stage works now; -1: idle");
  code.line("static long long number = 0;  // of the image that comes in");
  code.line("if (number == 0)");
  code.line("  for (int s = 0; s < kStages; ++s) flight[s] = -1;");
  code.line("for (int s = kStages - 1; s > 0; --s) flight[s] = flight[s - 1];");
  code.line("flight[0] = width_of(bits);");
  code.line("// Each stage on another image and other memory: in any order, or all at once.");
  code.open("{ IN_DATAFLOW");
  for (const LayerDesign& layer : design.layers) write_stage_calls(design, layer.index, code);
  code.close();
  code.line("++number;");
  code.line("return flight[kStages - 1] >= 0;");
  code.close();
}

// ---- Memories.

/// Bits of a level's shared memories as a sum.
std::string shared_sum(const Design& design, size_t level) {
  std::vector<std::string> sum;
  for (const Memory& memory : design.memories)
    if (memory.level == level)
      sum.push_back(fmt::format("{}LL * {}", memory.elements, memory.span.bits()));
  return fmt::format("{}", fmt::join(sum, " + "));
}

/// What levels hold that layers share, or all stages together; the rest is asserted by layer.
void write_uses(const Design& design, Code& code) {
  for (size_t i = 0; i < design.use.size(); ++i) {
    const LevelUse& use = design.use[i];
    if (use.planned == 0 || use.taken == 0 || !(design.pipeline || design.shared[i + 1])) continue;
    if (use.allowed > use.planned)
      code.line(fmt::format(
          "// {}: sums are exact here, the plan counts them narrower and the level at {} bits; the "
          "device has room for more.",
          use.level, use.planned));
    code.line(fmt::format(
        "static_assert({} <= {}LL, \"bits of {}\");",
        design.shared[i + 1] ? shared_sum(design, i + 1) : fmt::format("{}LL", use.taken),
        use.allowed, use.level));
  }
}

std::string typedef_line(const Span& span, const char* name, const char* what) {
  return fmt::format("typedef {} {};  // {}", span.type(), name, what);
}

}  // namespace

std::string header_of(const Design& design, const std::string& file, const std::string& about,
                      const std::string& includes, const std::string& body) {
  const std::string guard = fmt::format("{}_{}_H", design.space, file);
  return fmt::format(
      "// {2}\n#ifndef {0}\n#define {0}\n\n{3}\nnamespace {1} {{\n\nusing namespace "
      "instantnet;\n\n{4}\n}}  // namespace {1}\n\n#endif\n",
      guard, design.space, about, includes, body);
}

std::string types_header(const Design& design) {
  Code code;
  code.line(typedef_line({0, 255}, "pixel_t", "the image's bytes"));
  code.line(typedef_line(design.master, "master_t", "weights, once for all bit-widths"));
  code.line(typedef_line(design.code, "code_t", "activations off the chip"));
  code.line("typedef int_t<32> stream_t;  // values that meet in additions and poolings");
  code.line(typedef_line({std::min<int64_t>(design.sum.least, -1), design.sum.most}, "sum_t",
                         "sums off the chip"));
  code.line(typedef_line(design.weight_operand, "weight_operand_t", "of a multiplier"));
  code.line(typedef_line(design.input_operand, "input_operand_t", "of a multiplier"));
  code.line(typedef_line(design.product, "product_t", "of a multiplier"));
  return header_of(design, "types", "Types of this design: as wide as its widest bit-width needs.",
                   "#include \"arithmetic.h\"\n", code.text());
}

std::string layers_header(const Design& design) {
  Code code;
  for (const Structure& structure : design.structures) {
    open_structure(structure, code);
    for (const LayerDesign& layer : design.layers)
      code.line(fmt::format("{};", layer_signature(design, structure, layer)));
    close_structure(structure, code);
  }
  return header_of(design, "layers",
                   "The layers: weights and input from memory off the chip, codes or streams to "
                   "it.",
                   "#include \"types.h\"\n", code.text());
}

std::string engine_header(const Design& design) {
  Code code;
  code.line(fmt::format("constexpr int kMultipliers = {};", mapper::multipliers(design.device)));
  code.blank();
  code.line("/// The array, one for all layers: lanes 0 .. lanes - 1 multiply in one step.");
  write_multiply("void multiply", code);
  std::string text = code.text();
  text = text.substr(0, text.find(" {\n")) + ";\n";
  Code memory;
  memory.blank();
  memory.line("// Memories on the chip, for one layer after the other.");
  for (const Memory& one : design.memories)
    memory.line(
        fmt::format("extern {};", memory_declaration(design.device.levels[one.level].name, one)));
  for (size_t l = 1; l < design.shared.size(); ++l)
    if (!design.shared[l])
      memory.line(fmt::format(
          "// Those of {} are each layer's own: the largest of all layers do not fit together.",
          design.device.levels[l].name));
  write_uses(design, memory);
  return header_of(design, "engine", "What the layers share, as they run one after the other.",
                   "#include \"types.h\"\n", text + memory.text());
}

std::string engine_source(const Design& design) {
  Code code;
  code.line("#include \"engine.h\"");
  code.blank();
  code.line(fmt::format("namespace {} {{", design.space));
  code.blank();
  for (const Memory& one : design.memories)
    code.line(fmt::format("{};", memory_declaration(design.device.levels[one.level].name, one)));
  if (!design.memories.empty()) code.blank();
  write_multiply("void multiply", code);
  code.blank();
  code.line(fmt::format("}}  // namespace {}", design.space));
  return code.text();
}

std::string network_header(const Design& design) {
  const NetworkSpec& spec = design.model->spec;
  Code code;
  code.line(fmt::format("constexpr int kWidths = {};", design.bits.size()));
  code.line(fmt::format("constexpr int kBits[kWidths] = {{{}}};", fmt::join(design.bits, ", ")));
  code.line(fmt::format("constexpr int kHeight = {}, kWidth = {}, kChannels = {};  // of an image",
                        spec.height, spec.width, spec.channels));
  code.line(fmt::format("constexpr int kClasses = {};", spec.classes));
  code.line(fmt::format("constexpr int kLayers = {};", design.layers.size()));
  code.line(fmt::format("constexpr int kStages = {};  // images on the way at the same time",
                        design.stages()));
  code.blank();
  code.line("// Elements of the memories off the chip.");
  code.line(fmt::format("constexpr int kWeights = {};", design.weight_elements));
  code.line(fmt::format("constexpr int kCodes = {};", std::max<int64_t>(1, design.code_elements)));
  code.line(
      fmt::format("constexpr int kStreams = {};", std::max<int64_t>(1, design.stream_elements)));
  code.line(fmt::format("constexpr int kSums = {};", std::max<int64_t>(1, design.sum_elements)));
  if (design.pipeline) {
    code.blank();
    write_uses(design, code);
  }
  code.blank();
  code.line("/// A logit is its integer / 2^logit_fraction(bits).");
  code.line("int logit_fraction(int bits);");
  code.blank();
  if (design.pipeline) {
    code.line(
        "/// One interval: takes an image (rows, columns, channels) at one of kBits, or none "
        "(bits 0),");
    code.line(
        "/// and moves every image on by a stage. True when logits were written: those of "
        "the image");
    code.line("/// that came in kStages - 1 calls before. Images on the way may differ in bits.");
  } else {
    code.line("/// One image (rows, columns, channels) at one of kBits; false for other bits.");
  }
  code.line(fmt::format("bool network(int bits, {});", kMemory));
  return header_of(
      design, "network",
      fmt::format("{} on {}: the function to synthesise.", design.network, design.device.name),
      "#include \"types.h\"\n", code.text());
}

std::string network_numbers_header(const Design& design) {
  Code code;
  for (const Structure& structure : design.structures) {
    open_structure(structure, code);
    for (const Place& place : structure.places) {
      const Rule rule = form_of(design, structure, place).rule;
      if (rule == Rule::Recode) write_recode_tables(design, structure, place, code);
      if (rule == Rule::Table) write_image_table(design, structure, place, code);
      if (rule == Rule::Add) write_ends(design, structure, place, code);
    }
    std::vector<int> fractions;
    for (size_t w = 0; w < structure.widths.size(); ++w)
      fractions.push_back(form_at(design, structure, w, output_of(design, structure)).fraction);
    code.line(fmt::format("const int kLogitFraction[{}] = {{{}}};", fractions.size(),
                          fmt::join(fractions, ", ")));
    close_structure(structure, code);
  }
  return header_of(design, "network_numbers",
                   "Tables of what is between layers, one entry a bit-width.",
                   "#include \"arithmetic.h\"\n", code.text());
}

std::string network_source(const Design& design) {
  Code code;
  code.line("#include \"network.h\"");
  code.blank();
  code.line("#include \"layers.h\"");
  code.line("#include \"network_numbers.h\"");
  code.blank();
  code.line(fmt::format("namespace {} {{", design.space));
  for (const Structure& structure : design.structures) {
    code.blank();
    open_structure(structure, code);
    code.line("namespace {");
    code.blank();
    design.pipeline ? write_stages(design, structure, code) : write_run(design, structure, code);
    code.blank();
    code.line("}  // namespace");
    close_structure(structure, code);
  }
  code.blank();
  code.line("namespace {");
  code.blank();
  write_width_of(code);
  code.blank();
  code.line("}  // namespace");
  code.blank();
  code.open("int logit_fraction(int bits) {");
  code.open("switch (width_of(bits)) {");
  for (const Structure& structure : design.structures)
    for (size_t w = 0; w < structure.widths.size(); ++w)
      code.line(fmt::format("case {}: return {}kLogitFraction[{}];", structure.widths[w],
                            scope_of(structure), w));
  code.line("default: return 0;");
  code.close();
  code.close();
  code.blank();
  design.pipeline ? write_pipeline(design, code) : write_multi_cycle(design, code);
  code.blank();
  code.line(fmt::format("}}  // namespace {}", design.space));
  return code.text();
}

std::string weights_header(const Design& design) {
  return fmt::format(
      "// Master codes of all layers, each layer's as (k, r, s, c): every bit-width is derived "
      "from "
      "them.\n#ifndef {0}_weights_H\n#define {0}_weights_H\n\nnamespace {0} {{\n\nextern const "
      "unsigned short kMasterCodes[{1}];\n\n}}  // namespace {0}\n\n#endif\n",
      design.space, design.weight_elements);
}

std::string weights_source(const Design& design) {
  std::string text = fmt::format(
      "#include \"weights.h\"\n\nnamespace {} {{\n\nextern const unsigned short "
      "kMasterCodes[{}] = {{\n",
      design.space, design.weight_elements);
  for (const LayerDesign& layer : design.layers) {
    text += fmt::format("    // {}: {} codes of {} bits\n", layer.name, layer.weights,
                        layer.master_bits);
    const uint16_t* codes = design.source->weights(static_cast<int>(layer.index)).master;
    text += number_rows({codes, codes + layer.weights}, 12, 4) + ",\n";
  }
  text += fmt::format("}};\n\n}}  // namespace {}\n", design.space);
  return text;
}

}  // namespace instantnet::interop::hls
