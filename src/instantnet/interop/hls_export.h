// A frozen network and its plan on an FPGA as C++ for high-level synthesis; docs/hls.md shows what
// is written.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "instantnet/mapper/plan.h"
#include "instantnet/runtime/int_model.h"

namespace instantnet::interop {

struct HlsOptions {
  /// Bit-widths to write; none: all that the model has below 32.
  std::vector<int> bits;
  /// Images of golden vectors, of random pixels drawn from `seed`.
  int images = 1;
  uint64_t seed = 1;
};

/// A text file of the design, by its path inside the folder.
struct HlsFile {
  std::string path, text;
};

/// What of a level is taken, in bits of one instance: docs/hls.md.
struct HlsMemory {
  std::string level;
  int64_t instances = 1, taken = 0, planned = 0, allowed = 0;
  bool shared = false;  // by all layers
};

/// Steps of a layer's multipliers, and the plan's compute cycles, at each bit-width.
struct HlsLayer {
  std::string name;
  std::vector<int64_t> steps, compute_cycles;
};

struct HlsDesign {
  std::string network, device;
  std::vector<int> bits;
  std::vector<HlsLayer> layers;
  bool pipeline = false;
  std::vector<HlsMemory> memories;
  std::vector<HlsFile> files;
};

/// All files. Error ("export hls") for a device that is no FPGA, a plan of another network or of
/// other bit-widths, a mapping that cannot be expressed (which construct), and buffers that the
/// device does not hold.
HlsDesign hls_design(const runtime::IntModel& model, const mapper::MappingPlan& plan,
                     const HlsOptions& options = {});

/// Writes the files to a folder, whole or not at all. Error when the folder exists, unless `force`
/// is given and it holds an older export.
void write_hls(const HlsDesign& design, const std::string& folder, bool force);

}  // namespace instantnet::interop
