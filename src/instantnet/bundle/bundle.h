// The deploy folder: a frozen network, its mappings on one device, and a manifest that says what
// both are and cost.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "instantnet/core/tree.h"
#include "instantnet/mapper/plan.h"
#include "instantnet/runtime/int_model.h"

namespace instantnet::bundle {

inline constexpr const char* kManifestFile = "manifest.yaml";
inline constexpr const char* kModelFile = "model.spnet";
inline constexpr const char* kPlanFile = "plan.yaml";

/// What one image costs at one bit-width, from the plan.
struct Width {
  int bits = 0;
  mapper::Mode mode = mapper::Mode::MultiCycle;
  double energy_pj = 0;
  double cycles = 0;           // from an image in to its result out
  double interval_cycles = 0;  // between two images
  double latency_ms = 0;       // cycles at the plan's clock
  double edp_pj_cycles = 0;
  std::optional<double> accuracy;  // 0..1, where it was given
  bool operator==(const Width&) const = default;
};

/// A file of the folder.
struct Part {
  std::string file;
  uint64_t bytes = 0;
  std::string sha256;
  bool operator==(const Part&) const = default;
};

struct Manifest {
  int version = 1;      // of this file
  std::string program;  // that made it
  std::string network, device;
  double clock_mhz = 0;
  std::vector<Width> widths;  // by bits
  std::vector<Part> parts;
  std::string origin;           // of the model: IntModel::origin
  std::string accuracy_origin;  // digest of the file with accuracies; empty without
  bool operator==(const Manifest&) const = default;
};

/// Accuracy by bit-width, as `eval --json` and `infer --json` print it.
struct Accuracies {
  std::vector<std::pair<int, double>> by_bits;
  std::string origin;
};
/// Error naming the file and line for anything else than a map "accuracy" of numbers 0..1.
Accuracies read_accuracies(const std::string& path);

/// manifest.yaml, closed by a digest of all lines before; parse_manifest(print_manifest(m)) == m.
std::string print_manifest(const Manifest& manifest);
/// Error (starting with `where`) when it was changed, is of another version or no manifest.
Manifest parse_manifest(const std::string& text, const std::string& where);

/// Why the plan is not the model's, one sentence each: bit-widths that only one of them has, a
/// batch, layers that differ in name, shape, number or own bit-width. Empty: it is.
std::vector<std::string> disagreements(const runtime::IntModel& model,
                                       const mapper::MappingPlan& plan);

/// Reads both files, checks that they belong together and writes the folder (to a temporary one,
/// then renamed). An older bundle at `folder` is replaced; Error for any other folder there, and
/// for accuracies of widths that the model has not.
Manifest make_bundle(const std::string& model_path, const std::string& plan_path,
                     const std::string& folder, const std::string& program,
                     const Accuracies& accuracies = {});

/// All that is wrong with a folder, one sentence each: a file missing, changed (which digest it has
/// and should have) or unknown, a plan whose costs are not those of its mappings, or that is
/// another network's, a manifest that says something else than its parts.
std::vector<std::string> problems_of(const std::string& folder);

struct Bundle {
  Manifest manifest;
  mapper::MappingPlan plan;
  std::string model_path;
};
/// Error with the first of problems_of. Manifest and digests are checked first.
Bundle open_bundle(const std::string& folder);

}  // namespace instantnet::bundle
