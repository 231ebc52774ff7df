#include "instantnet/interop/hls_export.h"

#include <fmt/format.h>

#include <filesystem>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/interop/hls_bench.h"
#include "instantnet/interop/hls_layer.h"
#include "instantnet/interop/hls_library.h"
#include "instantnet/interop/hls_network.h"

namespace instantnet::interop {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMark = "instantnet_hls.h";  // only our folders have one

std::vector<HlsFile> files_of(const hls::Design& design, const HlsOptions& options) {
  std::vector<HlsFile> files = {{"README.md", hls::readme(design)},
                                {"Makefile", hls::makefile(design)},
                                {kMark, hls::pragma_header()},
                                {"instantnet_int.h", hls::int_header()},
                                {"arithmetic.h", hls::arithmetic_header()},
                                {"types.h", hls::types_header(design)},
                                {"layers.h", hls::layers_header(design)},
                                {"network.h", hls::network_header(design)},
                                {"network.cpp", hls::network_source(design)},
                                {"network_numbers.h", hls::network_numbers_header(design)},
                                {"weights.h", hls::weights_header(design)},
                                {"weights.cpp", hls::weights_source(design)},
                                {"testbench.cpp", hls::testbench_source(design, options.images)}};
  if (!design.pipeline) {
    files.push_back({"engine.h", hls::engine_header(design)});
    files.push_back({"engine.cpp", hls::engine_source(design)});
  }
  for (const hls::LayerDesign& layer : design.layers) {
    files.push_back({layer.id + ".cpp", hls::layer_source(design, layer)});
    files.push_back({layer.id + "_numbers.h", hls::layer_numbers(design, layer)});
  }
  for (auto& [path, text] : hls::golden_files(design, options.images, options.seed))
    files.push_back({path, std::move(text)});
  return files;
}

HlsLayer layer_of(const hls::Design& design, const hls::LayerDesign& layer) {
  HlsLayer made{layer.name, std::vector<int64_t>(design.bits.size()), {}};
  for (const hls::LayerWidth& width : layer.widths)
    made.compute_cycles.push_back(width.compute_cycles);
  for (const hls::Structure& structure : design.structures)
    for (const hls::NestGroup& group : structure.groups[layer.index])
      for (const size_t w : group.widths) made.steps[structure.widths[w]] = group.nest.steps;
  return made;
}

}  // namespace

HlsDesign hls_design(const runtime::IntModel& model, const mapper::MappingPlan& plan,
                     const HlsOptions& options) {
  if (options.images < 1)
    fail("export hls", fmt::format("{} images of golden vectors; give a whole number from 1 on.",
                                   options.images));
  runtime::check(model);
  const hls::Design design = hls::make_design(model, plan, options.bits);
  HlsDesign made;
  made.network = model.spec.name;
  made.device = plan.accelerator.name;
  made.bits = design.bits;
  made.pipeline = design.pipeline;
  for (const hls::LayerDesign& layer : design.layers)
    made.layers.push_back(layer_of(design, layer));
  for (size_t i = 0; i < design.use.size(); ++i) {
    const hls::LevelUse& use = design.use[i];
    made.memories.push_back(
        {use.level, use.instances, use.taken, use.planned, use.allowed, design.shared[i + 1]});
  }
  made.files = files_of(design, options);
  return made;
}

void write_hls(const HlsDesign& design, const std::string& folder, bool force) {
  if (fs::exists(fs::symlink_status(folder))) {
    if (!force) fail(folder, "it exists; give another folder, or --force to replace it.");
    if (!fs::exists(fs::path(folder) / kMark))
      fail(folder,
           "it exists and is no export of this kind, so --force does not replace it; give "
           "another folder.");
  }
  write_folder_atomic(folder, [&](const std::string& fresh) {
    make_folders(fresh + "/golden");
    for (const HlsFile& file : design.files) write_file_atomic(fresh + "/" + file.path, file.text);
  });
}

}  // namespace instantnet::interop
