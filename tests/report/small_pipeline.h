// A folder as `instantnet pipeline` writes it, small and made up, with every part of a report.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "instantnet/bundle/bundle.h"
#include "instantnet/mapper/plan.h"
#include "instantnet/net/zoo.h"
#include "runtime/random_model.h"

namespace instantnet::report {

inline void write_text(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline constexpr const char* kNetwork = "resnet8-s2";

// ---- Training

inline std::string start_record(const std::string& loss, const std::string& data) {
  return fmt::format(
      R"({{"event": "start", "network": "{}", "images": 800, "options": {{"seed": 1, "loss": {{"kind": "{}"}}, )"
      R"("model": {{"quant": {{"kind": "nested"}}}}, "data": {{"path": "/somewhere/{}"}}}}}})"
      "\n",
      kNetwork, loss, data);
}

inline std::string epoch_record(int epoch, double accuracy) {
  return fmt::format(
      R"({{"event": "epoch", "phase": "joint", "epoch": {}, "total_steps": {}, "lr": 0.1, )"
      R"("loss": {{"4": {:.3f}, "8": {:.3f}}}, "distill": {{"4": 0.01, "8": 0}}, "evaluated_on": "test", )"
      R"("accuracy": {{"4": {:.3f}, "8": {:.3f}}}, "evaluation_loss": {{"4": 0.5, "8": 0.4}}, "seconds": 1.5}})"
      "\n",
      epoch, 10 * epoch, 1.0 / epoch, 0.9 / epoch, accuracy - 0.02, accuracy);
}

inline std::string result_record(double accuracy, int images = 100) {
  return fmt::format(
      R"({{"event": "result", "total_steps": 30, "evaluated_on": "test", "images": {}, )"
      R"("accuracy": {{"4": {:.3f}, "8": {:.3f}}}, "loss": {{"4": 0.5, "8": 0.4}}}})"
      "\n",
      images, accuracy - 0.02, accuracy);
}

inline void write_training(const std::string& folder, const std::string& loss = "cdt",
                           const std::string& data = "pictures", double accuracy = 0.8,
                           int images = 100) {
  std::string text = start_record(loss, data);
  for (int epoch = 1; epoch <= 3; ++epoch)
    text += epoch_record(epoch, accuracy - 0.1 * (3 - epoch));
  write_text(folder + "/run.jsonl", text + result_record(accuracy, images));
  write_text(folder + "/config.yaml", fmt::format("loss: {{kind: {}}}\nseed: 1\n", loss));
}

// ---- Search

inline std::string search_epoch(int epoch) {
  return fmt::format(
      R"({{"event": "epoch", "phase": "search", "epoch": {}, "total_steps": 5, "lr": 0.1, "temperature": 3, )"
      R"("loss": {{"4": 1.5}}, "alpha_loss": 1.2, "lambda": 0.1, "cost": {}, "argmax_cost": 110, "expected_cost": 105.5, )"
      R"("projected": false, "undecided": 0.9, "architecture": ["k3_e1", "skip"], "alpha": [[{}, 0], [0, 0.5]], )"
      R"("accuracy": {{"4": 0.3}}, "seconds": 2}})"
      "\n",
      epoch, 90 + 5 * epoch, epoch * 0.5);
}

inline void write_search(const std::string& folder) {
  std::string text =
      R"({"event": "start", "reachable": [50, 200], "window": [90, 110], "options": {"cost": {"kind": "macs"}, )"
      R"("space": {"preset": "small", "cells": [1, 1], "channels": [8, 16], "strides": [1, 2], )"
      R"("operators": ["k3_e1", "skip"], "stem_channels": 8, "header_channels": 0}}})"
      "\n";
  for (int epoch = 1; epoch <= 3; ++epoch) text += search_epoch(epoch);
  write_text(folder + "/run.jsonl", text);
  write_text(folder + "/search.json",
             R"({"method": "spnas", "seed": 1, "epoch": 3, "finished": true, "cost_kind": "macs",
 "window": [90, 110], "reachable": [50, 200], "cost": 105, "inside": true, "projected": false, "proven": true,
 "argmax_cost": 105, "fixed_cost": 20, "lambda": 0.1, "undecided": 0.9, "cells": [
 {"operator": "k3_e1", "weight": 0.8, "runner_up": "skip", "runner_up_weight": 0.2, "cost": 60, "cost_share": 0.57},
 {"operator": "skip", "weight": 0.6, "runner_up": "k3_e1", "runner_up_weight": 0.4, "cost": 25, "cost_share": 0.24}]}
)");
}

// ---- Mapping

inline void write_plan_file(const std::string& path, const std::string& device,
                            const std::string& dataflow = {}, std::vector<int> bits = {4, 8}) {
  mapper::MapOptions options;
  options.bits = std::move(bits);
  if (!dataflow.empty()) {
    options.search.engine = mapper::Engine::Template;
    options.search.template_name = dataflow;
  }
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  mapper::write_plan(
      map_network(zoo_network(kNetwork), mapper::find_accelerator(device), {}, options), path);
}

// ---- Deployment

inline std::string accuracy_json(double accuracy, int images = 100) {
  return fmt::format(
      R"({{"images": {}, "accuracy": {{"4": {:.3f}, "8": {:.3f}}}, "loss": {{"4": 0.5, "8": 0.4}}, )"
      R"("kernels": "portable", "runs_equal_to_reference": 20}})"
      "\n",
      images, accuracy - 0.02, accuracy);
}

inline std::string bench_json() {
  const char* width =
      R"({"least_us": 20, "median_us": 21.5, "p99_us": 30, "runs": 100, "first_after_switch_us": 22,
 "switch_us": 0.04, "switch_from_master_us": 11, "load_and_first_us": 200})";
  return fmt::format(
      R"({{"model": "model.spnet", "threads": 1, "kernels": "portable", "load_us": 100,
 "load_resident_us": 400, "packed_bytes": 100000, "bits": {{"4": {}, "8": {}}}}})",
      width, width);
}

inline std::string model_json() {
  return fmt::format(
      R"({{"network": "{}", "input": [1, 28, 28], "classes": 10, "bits": [4, 8], "origin": "a test",
 "weights": 77072, "bytes": 90000, "bytes_of_separate_files": {{"4": 45364, "8": 83508}},
 "layers": [{{"name": "stem", "weights": 144, "bits": 32, "lattice": "nested", "stored_bits": 16, "input": "pixels"}}],
 "sections": [{{"name": "spec", "offset": 0, "bytes": 100, "sha256": "00ff"}}]}})",
      kNetwork);
}

// ---- Budget

inline void write_budget(const std::string& folder, const std::string& device) {
  const char* outcome =
      R"({"inferences": 6, "energy_pj": 6e7, "switch_energy_pj": 100, "violations": 0, "skipped": 0, "switches": 1,
 "inferences_by_bits": {"4": 4, "8": 2}, "accuracy": 0.79, "expected_accuracy": 0.785})";
  write_text(
      folder + "/budget/" + device + ".json",
      fmt::format(
          R"({{"budget": "energy", "unit": "uJ", "policy": {}, "fixed": {{"4": {}, "8": {}}}}})",
          outcome, outcome, outcome));
  write_text(folder + "/budget/" + device + ".csv",
             "inference,budget,bits,fits,energy_pj,right\n0,12,4,1,1e7,1\n1,12,4,1,1e7,0\n"
             "2,30,8,1,2e7,1\n3,30,8,1,2e7,1\n4,12,4,1,1e7,1\n5,12,4,1,1e7,1\n");
}

// ---- All

inline std::string stages_json() {
  return R"({"version": 1, "program": "instantnet 0.1.0", "stages": [{"name": "train", "state": "done", "key": "abcd",
 "command": ["train", "-c", "{out}/train.yaml"], "outputs": [{"path": "{out}/train/best", "digest": "ef01"}], "seconds": 3.5}]}
)";
}

/// Two devices, two bit-widths, one rival.
inline void write_pipeline(const std::string& folder) {
  write_text(folder + "/pipeline.yaml",
             "title: A small pipeline\nmap: {accelerators: [simple3, eyeriss]}\n");
  write_text(folder + "/stages.json", stages_json());
  write_training(folder + "/train");
  std::filesystem::create_directories(folder + "/train/best");
  write_network(zoo_network(kNetwork), folder + "/train/best/network.yaml");
  write_training(folder + "/train/bits-4", "joint");
  write_search(folder + "/search");
  write_text(folder + "/model.json", model_json());
  write_text(folder + "/accuracy.json", accuracy_json(0.8));
  write_text(folder + "/bench.json", bench_json());
  runtime::RandomModelOptions options;
  options.bits = {4, 8};
  write_model(runtime::random_model(zoo_network(kNetwork), 1, options), folder + "/model.spnet");
  for (const char* device : {"simple3", "eyeriss"}) {
    const std::string plan = fmt::format("{}/plans/{}.yaml", folder, device);
    write_plan_file(plan, device);
    std::filesystem::create_directories(folder + "/bundles");
    bundle::make_bundle(folder + "/model.spnet", plan, folder + "/bundles/" + device, "a test",
                        bundle::read_accuracies(folder + "/accuracy.json"));
    write_budget(folder, device);
    write_plan_file(fmt::format("{}/rivals/sp/plans/{}.yaml", folder, device), device,
                    "row-stationary");
  }
  write_training(folder + "/rivals/sp/train", "sp", "pictures", 0.75);
  write_text(folder + "/rivals/sp/accuracy.json", accuracy_json(0.75));
}

}  // namespace instantnet::report
