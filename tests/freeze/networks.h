// Small networks with weights, batch norms and ranges at nothing special, for the tests of freeze.
#pragma once

#include <torch/torch.h>

#include <string>
#include <utility>
#include <vector>

#include "instantnet/freeze/freeze.h"
#include "instantnet/net/builder.h"
#include "instantnet/net/zoo.h"
#include "instantnet/nn/executor.h"
#include "instantnet/nn/model.h"

namespace instantnet::freeze::test {

/// Depthwise, grouped and shuffled convolutions, residual sums: the search space, made small.
inline NetworkSpec small_space() {
  SpaceOptions space;
  space.layers_per_stage = {1, 2, 2, 1};
  space.channels = {8, 12, 16, 24};
  space.strides = {1, 2, 2, 1};
  space.stem_channels = 8;
  space.header_channels = 32;
  space.height = space.width = 16;
  space.classes = 10;
  return space_network({"k3_e1", "k3_e3", "skip", "k5_e1_g2", "k5_e3", "skip"}, space);
}

inline NetworkSpec small_resnet() {
  ZooOptions zoo;
  zoo.height = zoo.width = 12;
  zoo.channels = 1;
  return zoo_network("resnet8", zoo);
}

/// Pools, biases, a Relu6, a flattened image; `first` and `last` are the bits of the ends.
inline NetworkSpec pooled(int first = 32, int last = 32) {
  NetworkBuilder net("pooled", {.classes = 4, .channels = 2, .height = 9, .width = 8});
  net.conv("stem", {6, 3, 1, 1}, Activation::Relu6, first);
  net.max_pool("pool", 3, 2, 1);
  net.conv("wide", {8, 1, 1, 1}, Activation::None);
  net.conv("group", {8, 3, 1, 2}, Activation::Relu);
  net.shuffle("shuffle", 2);
  net.conv("deep", {8, 3, 1, 8}, Activation::Relu6);
  net.plain("flat", Op::Flatten);
  net.linear("hidden", 12);
  net.linear("fc", 4, last);
  return net.done();
}

inline at::Tensor random_images(const NetworkSpec& spec, int64_t count, int64_t seed) {
  torch::manual_seed(static_cast<uint64_t>(seed));
  return torch::randint(0, 256, {count, spec.channels, spec.height, spec.width}).to(at::kByte);
}

inline runtime::Normalisation normalisation_of(const NetworkSpec& spec) {
  runtime::Normalisation made;
  for (int64_t c = 0; c < spec.channels; ++c) {
    made.mean.push_back(0.4F + 0.05F * static_cast<float>(c));
    made.deviation.push_back(0.2F + 0.03F * static_cast<float>(c));
  }
  return made;
}

/// Bytes (n, c, h, w) as the network takes them.
inline at::Tensor normalised(const at::Tensor& pixels, const runtime::Normalisation& with) {
  at::Tensor images = pixels.to(at::kDouble) / 255.0;
  for (int64_t c = 0; c < images.size(1); ++c)
    images.select(1, c)
        .sub_(static_cast<double>(with.mean[static_cast<size_t>(c)]))
        .div_(static_cast<double>(with.deviation[static_cast<size_t>(c)]));
  return images.to(at::kFloat);
}

/// A model that has seen a few batches, so that its ranges and statistics are its own.
inline nn::SwitchableModel trained(const NetworkSpec& spec, const std::vector<int>& bits,
                                   const quant::QuantOptions& quant,
                                   nn::NormScope scope = nn::NormScope::AfterQuantized) {
  nn::ModelOptions options;
  options.quant = quant;
  options.norm_scope = scope;
  options.norm_momentum = 0.5;
  nn::SwitchableModel model(spec, bits, options, 3);
  const at::NoGradGuard no_gradient;
  torch::manual_seed(5);
  for (const nn::Named& one : model.tensors()) {
    if (one.role == nn::Role::NormScale) one.tensor.uniform_(0.5, 1.5);
    if (one.role == nn::Role::NormShift) one.tensor.normal_(0, 0.3);
  }
  const auto executor = nn::make_plain_executor(model, 1);
  for (int64_t batch = 0; batch < 4; ++batch) {
    executor->begin(normalised(random_images(spec, 16, 100 + batch), normalisation_of(spec)));
    for (const int one : bits) executor->forward(one, nn::Mode::Train);
  }
  return model;
}

inline quant::QuantOptions quantizer(quant::Kind kind, int sbm_master_bits = 0) {
  quant::QuantOptions options;
  options.kind = kind;
  options.sbm_master_bits = sbm_master_bits;
  return options;
}

inline Images images_of(const NetworkSpec& spec) {
  return [spec](const std::function<void(const at::Tensor&)>& take) {
    for (int64_t batch = 0; batch < 2; ++batch)
      take(normalised(random_images(spec, 16, 200 + batch), normalisation_of(spec)));
  };
}

inline Frozen frozen(const nn::SwitchableModel& model, const FreezeOptions& options = {}) {
  return freeze(model, normalisation_of(model.spec()), options, images_of(model.spec()));
}

}  // namespace instantnet::freeze::test
