#include "instantnet/cli/frozen_run.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "instantnet/cli/arguments.h"
#include "instantnet/cli/frozen_model.h"
#include "instantnet/cli/mapping_report.h"
#include "instantnet/cli/print.h"
#include "instantnet/core/error.h"
#include "instantnet/core/progress.h"
#include "instantnet/core/tree.h"
#include "instantnet/core/units.h"
#include "instantnet/images/input.h"

namespace instantnet::cli {
namespace {

images::Fit fit_named(const std::string& name, images::Fit automatic) {
  if (name == "auto") return automatic;
  if (name == "stretch") return images::Fit::Stretch;
  if (name == "crop") return images::Fit::Crop;
  fail("--fit",
       fmt::format("'{}' is unknown{}", name, suggestion(name, {"auto", "stretch", "crop"})));
}

// ---- One image

struct Guess {
  int64_t label = 0;
  double probability = 0;
  float logit = 0;
};

/// The most likely classes, the first of equals first.
std::vector<Guess> guesses_of(std::span<const float> logits, int64_t top) {
  std::vector<int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  });
  const std::vector<double> probabilities = softmax(logits);
  std::vector<Guess> guesses;
  for (const int64_t one : order) {
    if (static_cast<int64_t>(guesses.size()) == top) break;
    const auto at = static_cast<size_t>(one);
    guesses.push_back({one, probabilities[at], logits[at]});
  }
  return guesses;
}

std::string class_name(const runtime::IntModel& model, int64_t label) {
  return model.classes.empty() ? fmt::format("{}", label)
                               : model.classes.at(static_cast<size_t>(label));
}

using Guesses = std::vector<std::pair<std::string, std::vector<Guess>>>;  // by setting

Guesses infer_image(const FrozenRunOptions& verb,
                    const std::shared_ptr<const runtime::Model>& model) {
  const NetworkSpec& spec = model->integers().spec;
  // Networks for photographs crop, those for small images take them whole.
  constexpr int64_t kPhotograph = 128;
  const images::Fit fit =
      fit_named(verb.fit, spec.height < kPhotograph ? images::Fit::Stretch : images::Fit::Crop);
  const std::vector<uint8_t> pixels =
      images::file_pixels(verb.image, spec.channels, spec.height, spec.width, fit);
  runtime::Session session(model, {threads_or_all(verb.threads)});
  Guesses all;
  for (const FrozenSetting& one : frozen_settings(model->integers(), verb.bits, verb.precisions)) {
    session.set_precisions(one.precisions);
    session.run(std::span<const uint8_t>(pixels));
    all.emplace_back(one.name, guesses_of(session.logits(), verb.top));
  }
  return all;
}

/// "4: 1.2 uJ and 3.4 ms", a line each, for settings with a cost.
std::string costs_text(const std::vector<std::string>& names, const SettingCosts& costs) {
  std::vector<std::vector<std::string>> rows;
  for (const std::string& name : names)
    if (const auto cost = costs.find(name); cost != costs.end())
      rows.push_back({name, energy_text(cost->second.energy_pj),
                      fmt::format("{:.4g}", cost->second.latency_ms)});
  if (rows.empty()) return {};
  return "\nOn the device of the plan, an image:\n" +
         table_text({"bits", "energy", "latency ms"}, rows);
}

Tree costs_tree(const std::vector<std::string>& names, const SettingCosts& costs) {
  Tree tree = Tree::map();
  for (const std::string& name : names)
    if (const auto cost = costs.find(name); cost != costs.end())
      tree.set(name, Tree::map()
                         .set("energy_pj", Tree::of(cost->second.energy_pj))
                         .set("latency_ms", Tree::of(cost->second.latency_ms)));
  return tree;
}

std::string image_text(const runtime::IntModel& model, const Guesses& all) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, guesses] : all)
    for (const Guess& one : guesses)
      rows.push_back({&one == guesses.data() ? name : "", class_name(model, one.label),
                      fmt::format("{:.2f}", 100 * one.probability),
                      fmt::format("{:.4f}", one.logit)});
  return table_text({"bits", "class", "probability %", "logit"}, rows);
}

Tree image_tree(const FrozenRunOptions& verb, const runtime::IntModel& model, const Guesses& all) {
  Tree top = Tree::map();
  for (const auto& [name, guesses] : all) {
    Tree list = Tree::list();
    for (const Guess& one : guesses)
      list.items.push_back(Tree::map()
                               .set("class", Tree::of(one.label))
                               .set("name", Tree::of(class_name(model, one.label)))
                               .set("probability", Tree::of(one.probability))
                               .set("logit", Tree::of(static_cast<double>(one.logit))));
    top.set(name, std::move(list));
  }
  return Tree::map().set("image", Tree::of(verb.image)).set("top", std::move(top));
}

// ---- A data set

struct DataResult {
  int64_t images = 0;
  std::vector<FrozenSetting> settings;
  std::vector<FrozenScore> scores;
  int64_t checked = 0;
  std::string kernels;
};

images::Part part_named(const std::string& name) {
  if (name == "test") return images::Part::Test;
  if (name == "train") return images::Part::Train;
  fail("--part", fmt::format("'{}' is unknown{}", name, suggestion(name, {"test", "train"})));
}

void check_data(const images::Dataset& set, const NetworkSpec& spec, const std::string& path) {
  if (set.classes() != spec.classes)
    fail(path, fmt::format("has {} classes, but the network '{}' tells {} apart; give the data it "
                           "was trained for.",
                           set.classes(), spec.name, spec.classes));
  if (set.image_shape().at(0) != spec.channels)
    fail(path, fmt::format("has images of {} channels, but the network '{}' takes {}; give the "
                           "data it was trained for.",
                           set.image_shape().at(0), spec.name, spec.channels));
}

DataResult infer_data(const FrozenRunOptions& verb,
                      const std::shared_ptr<const runtime::Model>& model) {
  const OpenImages opened = open_images(verb, model->integers().spec);
  const FrozenImages& images = opened.images;
  DataResult result{images.count,
                    frozen_settings(model->integers(), verb.bits, verb.precisions),
                    {},
                    0,
                    std::string(model->kernels().name())};
  const int threads = threads_or_all(verb.threads);
  PrintedProgress progress(stderr);
  progress.begin(fmt::format("{} images", verb.part), images.count, "images");
  result.scores = score_frozen(model, images, result.settings, threads, false, progress).scores;
  progress.end();
  if (verb.check == 0) return result;
  progress.begin("reference", std::min(verb.check, images.count), "images");
  result.checked =
      check_against_reference(model, images, result.settings, verb.check, threads, progress);
  progress.end();
  return result;
}

std::string data_text(const DataResult& result) {
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i < result.settings.size(); ++i)
    rows.push_back({result.settings[i].name, fmt::format("{:.2f}", 100 * result.scores[i].accuracy),
                    fmt::format("{:.4f}", result.scores[i].loss)});
  std::string text = table_text({"bits", "accuracy %", "loss"}, rows) +
                     fmt::format("{} images, kernels {}", result.images, result.kernels);
  if (result.checked > 0)
    text += fmt::format("\n{} runs equal the reference in every logit", result.checked);
  return text;
}

Tree data_tree(const DataResult& result) {
  Tree accuracy = Tree::map(), loss = Tree::map();
  for (size_t i = 0; i < result.settings.size(); ++i) {
    accuracy.set(result.settings[i].name, Tree::of(result.scores[i].accuracy));
    loss.set(result.settings[i].name, Tree::of(result.scores[i].loss));
  }
  return Tree::map()
      .set("images", Tree::of(result.images))
      .set("accuracy", std::move(accuracy))
      .set("loss", std::move(loss))
      .set("kernels", Tree::of(result.kernels))
      .set("runs_equal_to_reference", Tree::of(result.checked));
}

}  // namespace

OpenImages open_images(const FrozenRunOptions& verb, const NetworkSpec& spec) {
  const std::shared_ptr<const images::Dataset> set =
      images::open_dataset({verb.data, verb.format}, part_named(verb.part));
  check_data(*set, spec, verb.data);
  const images::Fit fit = fit_named(verb.fit, images::fit_of(set->defaults()));
  const int64_t height = spec.height, width = spec.width;
  return {set,
          {verb.limit > 0 ? std::min(verb.limit, set->size()) : set->size(),
           [set, height, width, fit](int64_t index) {
             return images::input_pixels(*set, index, height, width, fit);
           },
           [set](int64_t index) { return set->label(index); }}};
}

void run_frozen(const FrozenRunOptions& verb, const std::shared_ptr<const runtime::Model>& model,
                const SettingCosts& costs) {
  const bool image = !verb.image.empty();
  Tree tree;
  std::string text;
  std::vector<std::string> names;
  if (image) {
    const Guesses all = infer_image(verb, model);
    for (const auto& [name, guesses] : all) names.push_back(name);
    if (verb.json)
      tree = image_tree(verb, model->integers(), all);
    else
      text = image_text(model->integers(), all);
  } else {
    const DataResult result = infer_data(verb, model);
    for (const FrozenSetting& one : result.settings) names.push_back(one.name);
    if (verb.json)
      tree = data_tree(result);
    else
      text = data_text(result);
  }
  if (!verb.json)
    print_text(text + costs_text(names, costs));
  else if (costs.empty())
    print_text(print_json(tree, 2));
  else
    print_text(print_json(tree.set("costs", costs_tree(names, costs)), 2));
}

void add_frozen_run_options(CLI::App& app, FrozenRunOptions& given, const char* bits_name) {
  CLI::App* const verb = &app;
  FrozenRunOptions* const options = &given;
  verb->add_option("--image", options->image, "JPEG or PNG file to tell the class of");
  verb->add_option("--top", options->top, "Classes to show of an image")
      ->check(whole_number(1))
      ->capture_default_str();
  verb->add_option("--data", options->data, "Data set to measure the accuracy on");
  verb->add_option("--format", options->format, "Format of the data set; auto recognises it")
      ->capture_default_str();
  verb->add_option("--part", options->part, "test or train")->capture_default_str();
  verb->add_option("--limit", options->limit, "Use only the first so many images; 0 = all")
      ->check(whole_number(0))
      ->capture_default_str();
  verb->add_option("--fit", options->fit,
                   "How images of another size fit: stretch (whole), crop (the middle), or auto")
      ->capture_default_str();
  verb->add_option(bits_name, options->bits, "all, or some of its bit-widths: 4,8")
      ->capture_default_str();
  verb->add_option("--precisions", options->precisions,
                   "Bits of single layers: LAYER=BITS,... (8 or w4a8), or a YAML file with LAYER: "
                   "BITS; other layers run at the last of --bits below 32");
  verb->add_option("--kernels", options->kernels,
                   "Set of kernels, or auto for the fastest that this processor runs")
      ->capture_default_str();
  verb->add_option("--check", options->check,
                   "Run the slow reference loops on the first so many images too, and compare")
      ->check(whole_number(0))
      ->capture_default_str();
  verb->add_option("--threads", options->threads, "Threads to compute with; 0 = one per core")
      ->check(whole_number(0, 256))
      ->capture_default_str();
  verb->add_flag("--json", options->json, "Print JSON");
}

}  // namespace instantnet::cli
