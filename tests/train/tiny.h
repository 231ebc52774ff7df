// A network of three layers and a data set that it learns in a second.
#pragma once

#include <map>
#include <string>

#include "core/helpers.h"
#include "instantnet/core/file.h"
#include "instantnet/core/progress.h"
#include "instantnet/net/builder.h"
#include "instantnet/train/loop.h"

namespace instantnet::train {

/// conv 3x3 stride 2 (float), conv 3x3 (switchable), pool, classifier; 8x8 grey images of 4
/// classes.
inline NetworkSpec tiny_network() {
  ZooOptions size;
  size.classes = 4;
  size.channels = 1;
  size.height = size.width = 8;
  NetworkBuilder net("tiny", size);
  net.conv("stem", {8, 3, 2, 1}, Activation::Relu, /*bits=*/32);
  net.conv("middle", {8, 3, 1, 1}, Activation::Relu);
  net.plain("pool", Op::GlobalAvgPool);
  net.linear("fc", 4, /*bits=*/32);
  return net.done();
}

/// Options that train it in `folder`: 128 images, 4 minibatches an epoch, 2 float and 3 joint
/// epochs.
inline TrainOptions tiny_options(const test::TempFolder& folder,
                                 const std::string& preset_name = "default") {
  write_network(tiny_network(), folder / "tiny.yaml");
  TrainOptions options = preset(preset_name);
  options.network = folder / "tiny.yaml";
  options.bits = {2, 4, 8, 32};
  options.data.path = "synthetic:128x4x1x8x8";
  options.data.batch_size = 32;
  options.data.threads = 0;
  options.float_epochs = options.float_epochs > 0 ? 2 : 0;
  options.epochs = 3;
  options.threads = 1;
  return options;
}

inline TrainResult train_quietly(const TrainOptions& options, const std::string& folder,
                                 bool resume = false, const std::atomic<bool>* stop = nullptr) {
  Progress quiet;
  return train(options, folder, resume, quiet, stop);
}

/// The digests of the files of a checkpoint.
inline std::map<std::string, std::string> bytes_of(const std::string& checkpoint) {
  std::map<std::string, std::string> bytes;
  for (const auto& entry : std::filesystem::directory_iterator(checkpoint))
    bytes[entry.path().filename().string()] = sha256_file(entry.path().string());
  return bytes;
}

/// Sets a flag after so many updates of progress.
class StopAfter : public Progress {
 public:
  StopAfter(std::atomic<bool>& flag, int updates) : flag_(flag), left_(updates) {}
  void update(int64_t, const std::string&) override {
    if (--left_ <= 0) flag_ = true;
  }

 private:
  std::atomic<bool>& flag_;
  int left_;
};

}  // namespace instantnet::train
