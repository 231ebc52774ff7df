// A small model, its plan and their bundle, for tests.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "instantnet/bundle/bundle.h"
#include "instantnet/core/file.h"
#include "instantnet/mapper/accelerator.h"
#include "instantnet/net/zoo.h"
#include "own_folder.h"
#include "runtime/random_model.h"

namespace instantnet::bundle {

inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// model.spnet of resnet8 at 4 and 8 bits.
inline const std::string& model_file() {
  static const std::string path = [] {
    const std::string file = own_folder() + "small.spnet";
    write_model(runtime::random_model(zoo_network("resnet8"), 1, {{4, 8}}), file);
    return file;
  }();
  return path;
}

inline std::string plan_file(const std::string& name, const std::string& network,
                             const std::vector<int>& bits, int64_t batch = 1) {
  const std::string file = own_folder() + name;
  mapper::MapOptions options;
  options.bits = bits;
  options.batch = batch;
  mapper::write_plan(
      map_network(zoo_network(network), mapper::find_accelerator("simple3"), {}, options), file);
  return file;
}

inline const std::string& good_plan() {
  static const std::string path = plan_file("good.yaml", "resnet8", {4, 8});
  return path;
}

/// A fresh bundle with accuracies 0.5 and 0.75.
inline std::string small_bundle(const std::string& name) {
  const std::string folder = own_folder() + name;
  make_bundle(model_file(), good_plan(), folder, "test", {{{4, 0.5}, {8, 0.75}}, "somewhere"});
  return folder;
}

}  // namespace instantnet::bundle
