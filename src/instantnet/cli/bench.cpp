// `instantnet bench model.spnet`: how long a frozen network takes, and a switch of bit-widths.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "instantnet/cli/arguments.h"
#include "instantnet/cli/frozen_model.h"
#include "instantnet/cli/print.h"
#include "instantnet/cli/verbs.h"
#include "instantnet/core/progress.h"
#include "instantnet/core/rng.h"
#include "instantnet/core/tree.h"
#include "instantnet/core/units.h"

namespace instantnet::cli {
namespace {

struct BenchVerbOptions {
  std::string model;
  std::string bits = "all";
  std::string precisions;
  std::string kernels = "auto";
  double seconds = 1;
  int threads = 1;
  bool json = false;
};

/// Times in microseconds.
struct Times {
  double least = 0, median = 0, p99 = 0;
  int64_t runs = 0;
};

struct Row {
  std::string name;
  Times run;             // steady
  double first = 0;      // median of the first run after a switch to this width
  double resident = 0;   // median of a switch to this width, weights in memory
  double on_demand = 0;  // the same, weights packed anew from the master codes
  double from_file = 0;  // least of loading, preparing this width alone, and one image
};

struct Result {
  std::vector<Row> rows;
  double load = 0;           // least of mapping and checking the file, nothing prepared
  double load_resident = 0;  // ... and prepared and packed for all widths
  int64_t packed_bytes = 0;
  std::string kernels;
};

using Clock = std::chrono::steady_clock;

double microseconds(const std::function<void()>& work) {
  const Clock::time_point before = Clock::now();
  work();
  return std::chrono::duration<double, std::micro>(Clock::now() - before).count();
}

Times times_of(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double share) {
    return samples[static_cast<size_t>(share * static_cast<double>(samples.size() - 1))];
  };
  return {samples.front(), at(0.5), at(0.99), static_cast<int64_t>(samples.size())};
}

double median_of(int count, const std::function<double()>& sample) {
  std::vector<double> samples;
  for (int i = 0; i < count; ++i) samples.push_back(sample());
  return times_of(std::move(samples)).median;
}

double least_of(int count, const std::function<void()>& work) {
  double least = microseconds(work);
  for (int i = 1; i < count; ++i) least = std::min(least, microseconds(work));
  return least;
}

Times steady(runtime::Session& session, std::span<const uint8_t> image, double seconds) {
  constexpr size_t kLeast = 20;
  session.run(image);
  std::vector<double> samples;
  const Clock::time_point start = Clock::now();
  while (samples.size() < kLeast ||
         std::chrono::duration<double>(Clock::now() - start).count() < seconds)
    samples.push_back(microseconds([&] { session.run(image); }));
  return times_of(std::move(samples));
}

/// Too short for one reading of the clock: many, alternating between the two.
double resident_switch(runtime::Session& session, const FrozenSetting& from,
                       const FrozenSetting& to) {
  constexpr int kSwitches = 1000;
  session.set_precisions(from.precisions), session.set_precisions(to.precisions);
  return median_of(9, [&] {
    return microseconds([&] {
             for (int i = 0; i < kSwitches; ++i) {
               session.set_precisions(from.precisions);
               session.set_precisions(to.precisions);
             }
           }) /
           (2 * kSwitches);
  });
}

Result bench(const BenchVerbOptions& verb) {
  runtime::ModelOptions resident, on_demand, first_use;
  resident.kernels = on_demand.kernels = first_use.kernels = verb.kernels;
  on_demand.residency = runtime::Residency::OnDemand;
  first_use.residency = runtime::Residency::FirstUse;
  const auto model = runtime::Model::load(verb.model, resident);
  const auto lean = runtime::Model::load(verb.model, on_demand);
  const runtime::IntModel& integers = model->integers();
  const std::vector<FrozenSetting> settings = frozen_settings(integers, verb.bits, verb.precisions);
  std::vector<uint8_t> image(
      static_cast<size_t>(integers.spec.channels * integers.spec.height * integers.spec.width));
  Rng rng(1);
  for (uint8_t& pixel : image) pixel = static_cast<uint8_t>(rng.below(256));

  Result result;
  result.kernels = model->kernels().name();
  result.packed_bytes = model->packed_bytes();
  constexpr int kLoads = 11, kSwitches = 21;
  result.load = least_of(kLoads, [&] { runtime::Model::load(verb.model, first_use); });
  result.load_resident = least_of(kLoads, [&] { runtime::Model::load(verb.model, resident); });
  runtime::Session session(model, {verb.threads}), lean_session(lean, {verb.threads});
  PrintedProgress progress(stderr);
  progress.begin("bench", static_cast<int64_t>(settings.size()), "bit-widths");
  for (const FrozenSetting& one : settings) {
    // From the neighbour: the width before, or the one after the first.
    const FrozenSetting any{"", {{integers.bits.front(), integers.bits.front()}}};
    const FrozenSetting last{"", {{integers.bits.back(), integers.bits.back()}}};
    const FrozenSetting& other = one.precisions == any.precisions ? last : any;
    Row row;
    row.name = one.name;
    session.set_precisions(one.precisions);
    row.run = steady(session, image, verb.seconds);
    row.first = median_of(kSwitches, [&] {
      session.set_precisions(other.precisions), session.run(image);
      session.set_precisions(one.precisions);
      return microseconds([&] { session.run(image); });
    });
    row.resident = resident_switch(session, other, one);
    row.on_demand = median_of(kSwitches, [&] {
      lean_session.set_precisions(other.precisions);
      return microseconds([&] { lean_session.set_precisions(one.precisions); });
    });
    row.from_file = least_of(kLoads, [&] {
      runtime::Session fresh(runtime::Model::load(verb.model, first_use), {verb.threads});
      fresh.set_precisions(one.precisions);
      fresh.run(image);
    });
    result.rows.push_back(row);
    progress.update(static_cast<int64_t>(result.rows.size()));
  }
  progress.end();
  return result;
}

std::string text_of(const BenchVerbOptions& verb, const Result& result) {
  std::vector<std::vector<std::string>> rows;
  for (const Row& row : result.rows)
    rows.push_back({row.name, fmt::format("{:.1f}", row.run.least),
                    fmt::format("{:.1f}", row.run.median), fmt::format("{:.1f}", row.run.p99),
                    fmt::format("{:.1f}", row.first), fmt::format("{:.3f}", row.resident),
                    fmt::format("{:.1f}", row.on_demand), fmt::format("{:.0f}", row.from_file)});
  return table_text({"bits", "least us", "median us", "99 % us", "first after switch us",
                     "switch us", "switch from master us", "load and first us"},
                    rows) +
         fmt::format(
             "one image, {} thread{}, kernels {}; load {:.2f} ms with no width prepared, {:.2f} ms "
             "with all of them packed ({})",
             verb.threads, verb.threads == 1 ? "" : "s", result.kernels, result.load / 1000,
             result.load_resident / 1000, bytes_text(static_cast<uint64_t>(result.packed_bytes)));
}

Tree tree_of(const BenchVerbOptions& verb, const Result& result) {
  Tree widths = Tree::map();
  for (const Row& row : result.rows)
    widths.set(row.name, Tree::map()
                             .set("least_us", Tree::of(row.run.least))
                             .set("median_us", Tree::of(row.run.median))
                             .set("p99_us", Tree::of(row.run.p99))
                             .set("runs", Tree::of(row.run.runs))
                             .set("first_after_switch_us", Tree::of(row.first))
                             .set("switch_us", Tree::of(row.resident))
                             .set("switch_from_master_us", Tree::of(row.on_demand))
                             .set("load_and_first_us", Tree::of(row.from_file)));
  return Tree::map()
      .set("model", Tree::of(verb.model))
      .set("threads", Tree::of(verb.threads))
      .set("kernels", Tree::of(result.kernels))
      .set("load_us", Tree::of(result.load))
      .set("load_resident_us", Tree::of(result.load_resident))
      .set("packed_bytes", Tree::of(result.packed_bytes))
      .set("bits", std::move(widths));
}

}  // namespace

void add_bench(CLI::App& app) {
  const auto options = std::make_shared<BenchVerbOptions>();
  CLI::App* verb =
      app.add_subcommand("bench", "Measure a frozen network: latency, switches, loading");
  verb->add_option("MODEL", options->model, "File written by 'instantnet freeze'")->required();
  verb->add_option("--bits", options->bits, "all, or some of its bit-widths: 4,8")
      ->capture_default_str();
  verb->add_option("--precisions", options->precisions,
                   "Bits of single layers: LAYER=BITS,... (8 or w4a8), or a YAML file with LAYER: "
                   "BITS; other layers run at the last of --bits below 32");
  verb->add_option("--seconds", options->seconds, "Time to spend on each bit-width")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  verb->add_option("--kernels", options->kernels,
                   "Set of kernels, or auto for the fastest that this processor runs")
      ->capture_default_str();
  verb->add_option("--threads", options->threads, "Threads that compute one image together")
      ->check(whole_number(1, 256))
      ->capture_default_str();
  verb->add_flag("--json", options->json, "Print JSON");
  verb->callback([options] {
    const Result result = bench(*options);
    print_text(options->json ? print_json(tree_of(*options, result), 2)
                             : text_of(*options, result));
  });
}

}  // namespace instantnet::cli
