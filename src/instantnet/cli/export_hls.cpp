#include "instantnet/cli/export_hls.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "instantnet/bundle/bundle.h"
#include "instantnet/cli/print.h"
#include "instantnet/core/error.h"
#include "instantnet/core/tree.h"
#include "instantnet/interop/hls_export.h"

namespace instantnet::cli {
namespace {

/// The plan is of the model; 32 bits, which are not written, need no mappings.
void check_agreement(const runtime::IntModel& model, const mapper::MappingPlan& plan,
                     const std::string& where) {
  const std::vector<int>& mapped = plan.options.bits;
  runtime::IntModel shapes;
  shapes.spec = model.spec;
  for (const int bits : model.bits)
    if (bits != 32 || std::find(mapped.begin(), mapped.end(), 32) != mapped.end())
      shapes.bits.push_back(bits);
  const std::vector<std::string> wrong = bundle::disagreements(shapes, plan);
  if (!wrong.empty()) fail(where, wrong.front());
}

bool leaves_float_out(const runtime::IntModel& model) { return model.bits.back() == 32; }

Tree memories_of(const interop::HlsDesign& design) {
  Tree list = Tree::list();
  for (const interop::HlsMemory& memory : design.memories)
    list.items.push_back(Tree::map()
                             .set("level", Tree::of(memory.level))
                             .set("instances", Tree::of(memory.instances))
                             .set("bits", Tree::of(memory.taken))
                             .set("planned_bits", Tree::of(memory.planned))
                             .set("allowed_bits", Tree::of(memory.allowed))
                             .set("shared", Tree::of(memory.shared)));
  return list;
}

/// Compute cycles of all layers, by bit-width.
Tree cycles_of(const interop::HlsDesign& design) {
  Tree list = Tree::list();
  for (size_t w = 0; w < design.bits.size(); ++w) {
    int64_t cycles = 0;
    for (const interop::HlsLayer& layer : design.layers) cycles += layer.compute_cycles[w];
    list.items.push_back(Tree::of(cycles));
  }
  return list;
}

void print_result(const interop::HlsDesign& design, const HlsVerbOptions& verb, bool left_out) {
  if (verb.json) {
    Tree bits = Tree::list(), files = Tree::list();
    for (const int one : design.bits) bits.items.push_back(Tree::of(one));
    for (const interop::HlsFile& file : design.files) files.items.push_back(Tree::of(file.path));
    return print_text(print_json(Tree::map()
                                     .set("format", Tree::of("hls"))
                                     .set("folder", Tree::of(verb.folder))
                                     .set("network", Tree::of(design.network))
                                     .set("device", Tree::of(design.device))
                                     .set("bits", std::move(bits))
                                     .set("pipeline", Tree::of(design.pipeline))
                                     .set("compute_cycles", cycles_of(design))
                                     .set("memories", memories_of(design))
                                     .set("float_left_out", Tree::of(left_out))
                                     .set("files", std::move(files)),
                                 2));
  }
  print_text(fmt::format("{}: {} on {} at {} bits, {}; {} files, see {}/README.md", verb.folder,
                         design.network, design.device, fmt::join(design.bits, ", "),
                         design.pipeline ? "a pipeline" : "multi-cycle", design.files.size(),
                         verb.folder));
  if (left_out) print_text("The 32-bit width is left out: the design computes integers only.");
}

}  // namespace

void export_hls(const HlsVerbOptions& verb) {
  if (verb.plan.empty())
    fail("export --plan", "hls needs the plan.yaml of 'instantnet map -o' for an FPGA; give it.");
  const runtime::IntModel model = runtime::read_model(verb.model);
  const mapper::MappingPlan plan = mapper::read_plan(verb.plan);
  check_agreement(model, plan, verb.plan);
  interop::HlsOptions options;
  if (verb.bits != 0) options.bits = {verb.bits};
  if (verb.images != 0) options.images = verb.images;
  const interop::HlsDesign design = interop::hls_design(model, plan, options);
  interop::write_hls(design, verb.folder, verb.force);
  print_result(design, verb, leaves_float_out(model));
}

}  // namespace instantnet::cli
