#include "instantnet/interop/hls_bench.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "instantnet/core/rng.h"
#include "instantnet/interop/hls_layer.h"
#include "instantnet/interop/hls_network.h"
#include "instantnet/runtime/reference.h"

namespace instantnet::interop::hls {
namespace {

using runtime::Trace;

// ---- The bench.

void write_tensors(const Design& design, const Structure& structure, size_t number, Code& code) {
  code.open(fmt::format("const Tensor kTensors_{}[] = {{", number));
  for (const Place& place : structure.places) {
    if (place.image) continue;
    std::vector<int> zeros;
    for (const size_t w : structure.widths)
      zeros.push_back(
          place.stream ? 0 : design.prepared[w].forms[static_cast<size_t>(place.form)].format.zero);
    code.line(fmt::format("{{\"{}\", {}, {}, {}, {}, {}, {{{}}}}},", place.name,
                          place.stream ? 1 : 0, place.offset, place.slots, place.elements(),
                          place.stage, fmt::join(zeros, ", ")));
  }
  code.close("};");
}

/// For each width of the design its structure, and which of its widths it is.
void write_widths(const Design& design, Code& code) {
  code.open("const View kViews[kWidths] = {");
  for (size_t w = 0; w < design.bits.size(); ++w)
    for (size_t s = 0; s < design.structures.size(); ++s) {
      const auto& widths = design.structures[s].widths;
      const auto found = std::find(widths.begin(), widths.end(), w);
      if (found != widths.end())
        code.line(fmt::format("{{kTensors_{0}, sizeof(kTensors_{0}) / sizeof(Tensor), {1}}},", s,
                              found - widths.begin()));
    }
  code.close("};");
}

/// Steps of each layer at each width.
void write_steps(const Design& design, Code& code) {
  code.line("// Steps of the multipliers in the plan, by layer and bit-width.");
  code.open("const long long kPlannedSteps[kLayers][kWidths] = {");
  for (const LayerDesign& layer : design.layers) {
    std::vector<int64_t> steps(design.bits.size());
    for (const Structure& structure : design.structures)
      for (const NestGroup& group : structure.groups[layer.index])
        for (const size_t w : group.widths) steps[structure.widths[w]] = group.nest.steps;
    code.line(fmt::format("{{{}}},", fmt::join(steps, ", ")));
  }
  code.close("};");
}

constexpr const char* kBenchTypes = R"(struct Tensor {
  const char* name;
  bool stream;
  long long offset, slots, elements;
  int stage;          // that writes it
  int zero[kWidths];  // stored code of zero
};

struct View {
  const Tensor* tensors;
  unsigned long count;
  int width;
};
)";

constexpr const char* kBenchMain = R"(
/// One image at one bit-width, and what every tensor must be.
struct Job {
  int image, width;
  std::vector<pixel_t> pixels;
  std::vector<std::vector<long long>> expected;  // by tensor
};

Job read_job(const std::string& folder, int image, int width) {
  Job job{image, width, {}, {}};
  const std::string path = folder + "/image_" + std::to_string(image) + "_bits_" +
                           std::to_string(kBits[width]) + ".txt";
  std::ifstream file(path);
  std::string name;
  long long count = 0, number = 0;
  const auto header = [&](const std::string& wanted, long long elements) {
    if (file >> name >> count && name == wanted && count == elements) return;
    std::printf("%s: '%s' with %lld numbers is missing\n", path.c_str(), wanted.c_str(), elements);
    std::exit(2);
  };
  header("image", kHeight * kWidth * kChannels);
  for (long long i = 0; i < count && file >> number; ++i) job.pixels.push_back(pixel_t(number));
  const View& view = kViews[width];
  for (unsigned long t = 0; t < view.count; ++t) {
    header(view.tensors[t].name, view.tensors[t].elements);
    job.expected.emplace_back();
    for (long long i = 0; i < count && file >> number; ++i) job.expected.back().push_back(number);
    if (static_cast<long long>(job.expected.back().size()) != count) {
      std::printf("%s is cut short\n", path.c_str());
      std::exit(2);
    }
  }
  return job;
}

std::vector<code_t> codes(kCodes);
std::vector<stream_t> streams(kStreams), logits(kClasses);
std::vector<sum_t> sums(kSums);

/// Differences of one tensor of image `number`.
long long differences(const Tensor& tensor, const View& view, const Job& job, unsigned long index,
                      long long number) {
  long long count = 0;
  const long long from = tensor.offset + number % tensor.slots * tensor.elements;
  for (long long i = 0; i < tensor.elements; ++i) {
    const wide_t stored = tensor.stream ? static_cast<wide_t>(streams[from + i])
                                        : static_cast<wide_t>(codes[from + i]);
    const wide_t got = stored - tensor.zero[view.width];
    if (got == job.expected[index][i]) continue;
    if (count++ == 0)
      std::printf("image %d at %d bits, %s: number %lld is %lld, not %lld\n", job.image,
                  kBits[job.width], tensor.name, i, got, job.expected[index][i]);
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "golden";
  std::vector<Job> jobs;
  for (int image = 0; image < kImages; ++image)
    for (int width = 0; width < kWidths; ++width) jobs.push_back(read_job(folder, image, width));
  std::vector<master_t> weights;
  for (int i = 0; i < kWeights; ++i) weights.push_back(master_t(kMasterCodes[i]));

  long long wrong = 0, compared = 0;
  const long long count = static_cast<long long>(jobs.size());
  for (long long step = 0; step < count + kStages - 1; ++step) {
    const Job& now = jobs[step < count ? step : 0];
    network(step < count ? kBits[now.width] : 0, weights.data(), now.pixels.data(), codes.data(),
            streams.data(), sums.data(), logits.data());
    for (int stage = 0; stage < kStages; ++stage) {
      const long long number = step - stage;
      if (number < 0 || number >= count) continue;
      const View& view = kViews[jobs[number].width];
      for (unsigned long t = 0; t < view.count; ++t) {
        if (view.tensors[t].stage != stage) continue;
        wrong += differences(view.tensors[t], view, jobs[number], t, number);
        compared += view.tensors[t].elements;
      }
    }
  }
#ifdef IN_COUNT_STEPS
  for (int layer = 0; layer < kLayers; ++layer) {
    long long planned = 0;
    for (const Job& job : jobs) planned += kPlannedSteps[layer][job.width];
    if (in_steps[layer] == planned) continue;
    std::printf("layer %d took %lld steps, the plan has %lld\n", layer + 1, in_steps[layer],
                planned);
    ++wrong;
  }
#endif
  std::printf("%lld runs, %lld numbers compared, %lld wrong\n", count, compared, wrong);
  return wrong == 0 ? 0 : 1;
}
)";

// ---- Golden vectors.

std::string numbers_text(const std::string& name, const std::vector<int64_t>& numbers,
                         size_t a_line) {
  std::string text = fmt::format("{} {}\n", name, numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    text += fmt::format("{}", numbers[i]);
    text += (i + 1) % a_line == 0 || i + 1 == numbers.size() ? '\n' : ' ';
  }
  return text;
}

std::vector<uint8_t> drawn_image(const NetworkSpec& spec, uint64_t seed, int number) {
  Rng rng(seed, static_cast<uint64_t>(number));
  std::vector<uint8_t> pixels(static_cast<size_t>(spec.channels * spec.height * spec.width));
  for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(rng.below(256));
  return pixels;
}

std::string golden_text(const Structure& structure, const NetworkSpec& spec,
                        const std::vector<uint8_t>& pixels, const Trace& trace) {
  std::string text = numbers_text("image", {pixels.begin(), pixels.end()},
                                  static_cast<size_t>(spec.width * spec.channels));
  for (const Place& place : structure.places) {
    if (place.image) continue;
    const auto& numbers = trace.tensors[static_cast<size_t>(place.form)].numbers;
    text += numbers_text(place.name, {numbers.begin(), numbers.end()},
                         static_cast<size_t>(place.width * place.channels));
  }
  return text;
}

const Structure& structure_at(const Design& design, size_t width) {
  for (const Structure& one : design.structures)
    if (std::find(one.widths.begin(), one.widths.end(), width) != one.widths.end()) return one;
  return design.structures[0];
}

// ---- README.

std::string use_text(const Design& design) {
  std::string text;
  for (const LevelUse& use : design.use) {
    text += fmt::format("| {} | {} | {} | {} | {} |\n", use.level, use.instances, use.taken,
                        use.planned == 0 ? "unlimited" : fmt::format("{}", use.planned),
                        use.planned == 0 ? "-" : fmt::format("{}", use.allowed));
  }
  return text;
}

std::string layer_rows(const Design& design) {
  std::string text;
  for (const LayerDesign& layer : design.layers) {
    text += fmt::format("| `{}.cpp` | {} |", layer.id, layer.multipliers);
    for (const LayerWidth& width : layer.widths) text += fmt::format(" {} |", width.compute_cycles);
    text += '\n';
  }
  return text;
}

std::string mode_text(const Design& design) {
  if (design.pipeline)
    return "The plan is a pipeline: every layer is a stage with its own multipliers and memories, "
           "and\n"
           "works on another image than the next. `network()` is one interval. Tensors between "
           "stages\n"
           "lie off the chip, as many images of each as are on the way, so the stages of an "
           "interval\n"
           "share nothing and may run at the same time (`IN_DATAFLOW`).\n";
  std::vector<std::string> own;
  for (size_t l = 1; l < design.shared.size(); ++l)
    if (!design.shared[l]) own.push_back(design.device.levels[l].name);
  std::string text =
      "The plan is multi-cycle: `network()` calls the layers one after the other. They share the "
      "array\n"
      "(`multiply()` in `engine.cpp`) and the memories on the chip that `engine.h` lists.\n";
  if (!own.empty())
    text += fmt::format(
        "Those of {} are each layer's own, as the largest of all layers would not fit together: a\n"
        "tool has to lay them over one another.\n",
        fmt::join(own, ", "));
  return text;
}

}  // namespace

std::string testbench_source(const Design& design, int images) {
  Code code;
  code.line("// Runs every image at every bit-width and compares every tensor with golden/.");
  code.line(
      "#include <cstdio>\n#include <cstdlib>\n#include <fstream>\n#include <string>\n#include "
      "<vector>");
  code.blank();
  code.line("#include \"network.h\"");
  code.line("#include \"weights.h\"");
  code.blank();
  code.line(fmt::format("using namespace {};", design.space));
  code.blank();
  code.line("#ifdef IN_COUNT_STEPS");
  code.line("long long in_steps[kLayers];");
  code.line("#endif");
  code.blank();
  code.line("namespace {");
  code.blank();
  code.line(fmt::format("const int kImages = {};", images));
  code.blank();
  code.lines(kBenchTypes);
  code.blank();
  for (size_t s = 0; s < design.structures.size(); ++s)
    write_tensors(design, design.structures[s], s, code);
  write_widths(design, code);
  code.blank();
  code.line("#ifdef IN_COUNT_STEPS");
  write_steps(design, code);
  code.line("#endif");
  return code.text() + kBenchMain;
}

std::vector<std::pair<std::string, std::string>> golden_files(const Design& design, int images,
                                                              uint64_t seed) {
  std::vector<std::pair<std::string, std::string>> files;
  const NetworkSpec& spec = design.model->spec;
  for (int image = 0; image < images; ++image) {
    const std::vector<uint8_t> pixels = drawn_image(spec, seed, image);
    for (size_t w = 0; w < design.bits.size(); ++w) {
      const Trace trace = run_reference(*design.source, design.prepared[w], pixels);
      files.emplace_back(fmt::format("golden/image_{}_bits_{}.txt", image, design.bits[w]),
                         golden_text(structure_at(design, w), spec, pixels, trace));
    }
  }
  return files;
}

std::string makefile(const Design& design) {
  std::string objects = "network.o weights.o testbench.o";
  if (!design.pipeline) objects += " engine.o";
  for (const LayerDesign& layer : design.layers) objects += fmt::format(" \\\n  {}.o", layer.id);
  return fmt::format(
      "# make check: compiles the design for this processor and compares it with golden/.\n"
      "CXXFLAGS ?= -O2\n"
      "FLAGS = -std=c++14 -Wall -Wextra -Wno-unknown-pragmas -DIN_CHECK_WRAP -DIN_COUNT_STEPS\n\n"
      "OBJECTS = {}\n\n"
      "testbench: $(OBJECTS)\n\t$(CXX) $(CXXFLAGS) -o $@ $(OBJECTS)\n\n"
      "%.o: %.cpp $(wildcard *.h)\n\t$(CXX) $(CXXFLAGS) $(FLAGS) -c -o $@ $<\n\n"
      "check: testbench\n\t./testbench golden\n\n"
      "clean:\n\trm -f testbench $(OBJECTS)\n\n"
      ".PHONY: check clean\n",
      objects);
}

std::string readme(const Design& design) {
  std::vector<std::string> columns, rules;
  for (const int bits : design.bits) {
    columns.push_back(fmt::format("cycles at {}", bits));
    rules.push_back("---");
  }
  return fmt::format(
      "# {0} on {1}\n\n"
      "C++ for high-level synthesis, written by `instantnet export --format hls`. Bit-widths: "
      "{2},\n"
      "chosen at run time by `network()`'s first argument. `make check` compiles it with g++ and\n"
      "compares every tensor of the images in `golden/` with the integer model.\n\n"
      "{3}\n"
      "| file | what |\n|---|---|\n"
      "| `network.h`, `network.cpp` | the function to synthesise, and the order of layers |\n"
      "| `layer_NNN_*.cpp` | a layer's loop nests: one for all bit-widths with the same mapping |\n"
      "| `*_numbers.h` | scales, offsets and shifts, one entry a bit-width |\n"
      "{4}"
      "| `weights.h`, `weights.cpp` | master codes, once; narrower ones are derived on the way in "
      "|\n"
      "| `arithmetic.h` | requantisation, additions, pooling, and the rest between layers |\n"
      "| `types.h` | how wide everything is |\n"
      "| `instantnet_int.h` | integers of any width, and how to take a vendor's |\n"
      "| `instantnet_hls.h` | pragmas as macros, and how to give them a meaning |\n"
      "| `testbench.cpp`, `golden/`, `Makefile` | the check |\n\n"
      "A nest's loops over time are the mapping's, level by level. Tiles are copied where the "
      "loops\n"
      "that move them stand; loops over space are unrolled, also inside those copies. Windows of\n"
      "inputs that overlap are copied whole. Edges that the loops overshoot are guarded.\n\n"
      "## Compute cycles of the plan\n\n"
      "Each layer's file asserts that its steps give them. Memory may take longer.\n\n"
      "| file | multipliers | {5} |\n|---|---|{6}|\n{7}\n"
      "## Memories on the chip\n\n"
      "Bits of each instance. Sums are as wide as they can become, which may be more than the "
      "plan\n"
      "counts; then a level may hold what the device's budget has room for (`allowed`).\n\n"
      "| level | instances | taken | in the plan | allowed |\n|---|---|---|---|---|\n{8}",
      design.network, design.device.name, fmt::join(design.bits, ", "), mode_text(design),
      design.pipeline ? ""
                      : "| `engine.h`, `engine.cpp` | the array of multipliers and the memories on "
                        "the chip |\n",
      fmt::join(columns, " | "), fmt::join(rules, "|"), layer_rows(design), use_text(design));
}

}  // namespace instantnet::interop::hls
