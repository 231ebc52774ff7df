#include "instantnet/bundle/bundle.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <system_error>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"

namespace instantnet::bundle {
namespace {

namespace fs = std::filesystem;

/// Numbers of two builds may differ so much: the order of sums.
constexpr double kTolerance = 1e-9;

std::string in(const std::string& folder, const std::string& file) {
  return (fs::path(folder) / file).string();
}

bool differ(double a, double b) { return !(std::abs(a - b) <= kTolerance * std::abs(b)); }

Width width_of(const mapper::Total& total, double clock_mhz) {
  Width width;
  width.bits = total.bits;
  width.mode = total.mode;
  width.energy_pj = total.energy_pj;
  width.cycles = total.cycles;
  width.interval_cycles = total.interval_cycles;
  width.latency_ms = total.cycles / (clock_mhz * 1e3);
  width.edp_pj_cycles = total.edp();
  return width;
}

Part part_of(const std::string& file, const std::string& bytes) {
  return {file, bytes.size(), sha256(bytes)};
}

void add_accuracies(Manifest& manifest, const Accuracies& accuracies) {
  for (const auto& [bits, accuracy] : accuracies.by_bits) {
    const auto found = std::find_if(manifest.widths.begin(), manifest.widths.end(),
                                    [b = bits](const Width& one) { return one.bits == b; });
    if (found == manifest.widths.end())
      fail("--accuracy",
           fmt::format("gives an accuracy at {} bits, which the model does not have.", bits));
    found->accuracy = accuracy;
  }
  for (const Width& one : manifest.widths)
    if (!accuracies.by_bits.empty() && !one.accuracy)
      fail("--accuracy",
           fmt::format("gives no accuracy at {} bits; measure all bit-widths.", one.bits));
  manifest.accuracy_origin = accuracies.origin;
}

/// What may be replaced: nothing, an empty folder, or a bundle.
void check_place(const std::string& folder) {
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) return;
  if (!fs::is_directory(folder, ignored))
    fail(folder, "is a file; give a folder that is not there yet, or a bundle to replace.");
  if (!fs::is_empty(folder, ignored) && !fs::exists(in(folder, kManifestFile), ignored))
    fail(folder, "is a folder but no bundle; give one that is not there yet.");
}

// ---- Checking

/// A sentence for what `call` throws as an Error.
template <class Call>
bool works(std::vector<std::string>& problems, const Call& call) {
  try {
    call();
    return true;
  } catch (const Error& error) {
    problems.emplace_back(error.what());
    return false;
  }
}

/// Missing, of another size or digest.
void check_part(const std::string& folder, const Part& part) {
  const std::string path = in(folder, part.file);
  std::error_code error;
  if (!fs::is_regular_file(path, error))
    fail(path, "is missing; the bundle is not whole, bundle again.");
  const std::string bytes = read_file(path);
  if (bytes.size() != part.bytes)
    fail(path, fmt::format("has {} bytes, the manifest says {}; bundle again.", bytes.size(),
                           part.bytes));
  if (const std::string digest = sha256(bytes); digest != part.sha256)
    fail(path, fmt::format("was changed: its sha256 is {}, the manifest says {}; bundle again.",
                           digest, part.sha256));
}

/// Error unless the parts are those a bundle has.
void check_list(const std::string& path, const Manifest& manifest) {
  std::vector<std::string> files;
  for (const Part& part : manifest.parts) files.push_back(part.file);
  if (files != std::vector<std::string>{kModelFile, kPlanFile})
    fail(path, fmt::format("lists the parts {}; a bundle has {} and {}.", fmt::join(files, ", "),
                           kModelFile, kPlanFile));
}

void find_unknown_files(const std::string& folder, std::vector<std::string>& problems) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names)
    if (name != kManifestFile && name != kModelFile && name != kPlanFile)
      problems.push_back(in(folder, name) + ": is no part of the bundle; remove it.");
}

/// The totals of layers that run one after the other are sums of what their mappings cost; a
/// pipeline's latency is the sum of its stages.
void check_totals(const std::string& path, const mapper::MappingPlan& plan,
                  std::vector<std::string>& problems) {
  const size_t widths = plan.options.bits.size();
  for (size_t i = 0; i < widths; ++i) {
    const mapper::Total& total = plan.totals[i];
    double energy_pj = 0, cycles = 0;
    const bool pipeline = total.mode == mapper::Mode::Pipeline;
    if (pipeline)
      for (const mapper::Stage& stage : plan.stages[i]) cycles += stage.cycles;
    else
      for (size_t l = i; l < plan.layers.size(); l += widths) {
        const auto count = static_cast<double>(plan.layers[l].count);
        energy_pj += count * plan.layers[l].found.cost.energy_pj;
        cycles += count * plan.layers[l].found.cost.cycles;
      }
    const auto batch = static_cast<double>(plan.options.batch);
    if (total.bits != plan.options.bits[i])
      problems.push_back(fmt::format("{}: total {} is at {} bits where {} are expected.", path, i,
                                     total.bits, plan.options.bits[i]));
    else if (differ(total.cycles, cycles) ||
             (!pipeline && differ(total.energy_pj, energy_pj / batch)))
      problems.push_back(
          fmt::format("{}: the total at {} bits is said to be {} pJ and {} cycles, "
                      "its mappings take {} and {}; map the network again.",
                      path, total.bits, total.energy_pj, total.cycles,
                      pipeline ? total.energy_pj : energy_pj / batch, cycles));
  }
}

/// What the manifest says of its parts, against what they say.
void check_manifest(const std::string& path, const Manifest& manifest,
                    const runtime::IntModel& model, const mapper::MappingPlan& plan,
                    std::vector<std::string>& problems) {
  const auto expect = [&](const char* what, const std::string& said, const std::string& right) {
    if (said != right)
      problems.push_back(fmt::format("{}: {} is '{}', its parts say '{}'; bundle again.", path,
                                     what, said, right));
  };
  expect("network", manifest.network, model.spec.name);
  expect("origin", manifest.origin, model.origin);
  expect("device", manifest.device, plan.accelerator.name);
  expect("clock_mhz", fmt::format("{}", manifest.clock_mhz),
         fmt::format("{}", plan.accelerator.clock_mhz));
  if (manifest.widths.size() != plan.totals.size()) {
    problems.push_back(fmt::format("{}: has {} bit-widths, the plan has {}; bundle again.", path,
                                   manifest.widths.size(), plan.totals.size()));
    return;
  }
  for (size_t i = 0; i < plan.totals.size(); ++i) {
    Width right = width_of(plan.totals[i], plan.accelerator.clock_mhz);
    right.accuracy = manifest.widths[i].accuracy;
    if (manifest.widths[i] != right)
      problems.push_back(
          fmt::format("{}: what it says of {} bits ({} pJ, {} cycles) is not what "
                      "the plan says ({} pJ, {} cycles); bundle again.",
                      path, right.bits, manifest.widths[i].energy_pj, manifest.widths[i].cycles,
                      right.energy_pj, right.cycles));
  }
}

std::vector<std::string> inspect(const std::string& folder, Bundle& opened) {
  std::vector<std::string> problems;
  std::error_code error;
  if (!fs::is_directory(folder, error)) return {folder + ": is no folder; give a bundle."};
  const std::string manifest_path = in(folder, kManifestFile);
  const std::string model_path = in(folder, kModelFile), plan_path = in(folder, kPlanFile);
  if (!fs::exists(manifest_path, error))
    return {folder + ": has no manifest.yaml; it is no bundle, or half of one: bundle again."};
  if (!works(problems, [&] {
        opened.manifest =
            parse_manifest(read_file(manifest_path, uint64_t{1} << 26), manifest_path);
        check_list(manifest_path, opened.manifest);
      }))
    return problems;
  for (const Part& part : opened.manifest.parts) works(problems, [&] { check_part(folder, part); });
  find_unknown_files(folder, problems);
  if (!problems.empty()) return problems;  // what is in changed files says nothing more
  runtime::IntModel model;
  const bool read = works(problems, [&] { model = runtime::read_model(model_path); });
  if (!works(problems, [&] { opened.plan = mapper::read_plan(plan_path); }) || !read)
    return problems;
  for (const std::string& one : disagreements(model, opened.plan))
    problems.push_back(folder + ": " + one);
  check_totals(plan_path, opened.plan, problems);
  check_manifest(manifest_path, opened.manifest, model, opened.plan, problems);
  opened.model_path = model_path;
  return problems;
}

}  // namespace

Manifest make_bundle(const std::string& model_path, const std::string& plan_path,
                     const std::string& folder, const std::string& program,
                     const Accuracies& accuracies) {
  check_place(folder);
  const runtime::IntModel model = runtime::read_model(model_path);
  const mapper::MappingPlan plan = mapper::read_plan(plan_path);
  if (const std::vector<std::string> all = disagreements(model, plan); !all.empty())
    fail(plan_path, all.front());
  const std::string model_bytes = read_file(model_path), plan_bytes = read_file(plan_path);
  Manifest manifest;
  manifest.program = program;
  manifest.network = model.spec.name;
  manifest.device = plan.accelerator.name;
  manifest.clock_mhz = plan.accelerator.clock_mhz;
  manifest.origin = model.origin;
  for (const mapper::Total& total : plan.totals)
    manifest.widths.push_back(width_of(total, plan.accelerator.clock_mhz));
  manifest.parts = {part_of(kModelFile, model_bytes), part_of(kPlanFile, plan_bytes)};
  add_accuracies(manifest, accuracies);
  write_folder_atomic(folder, [&](const std::string& fresh) {
    write_file_atomic(in(fresh, kModelFile), model_bytes);
    write_file_atomic(in(fresh, kPlanFile), plan_bytes);
    write_file_atomic(in(fresh, kManifestFile), print_manifest(manifest));
  });
  return manifest;
}

std::vector<std::string> problems_of(const std::string& folder) {
  recover_folder(folder);
  Bundle ignored;
  return inspect(folder, ignored);
}

Bundle open_bundle(const std::string& folder) {
  recover_folder(folder);
  Bundle opened;
  const std::vector<std::string> problems = inspect(folder, opened);
  if (!problems.empty()) throw Error(problems.front());
  return opened;
}

}  // namespace instantnet::bundle
