// The named starting points of a train.yaml.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "instantnet/core/error.h"
#include "instantnet/nn/authors.h"
#include "instantnet/train/options.h"

namespace instantnet::train {
namespace {

struct Preset {
  std::string name, sentence;
  std::function<void(TrainOptions&)> apply;  // to default-made options
};

/// Fu et al., "InstantNet", DAC 2021, section 4: training of the published tables.
void paper_schedule(TrainOptions& options) {
  options.float_epochs = 0;
  options.epochs = 200;
  options.optimizer.lr = options.optimizer.float_lr = 0.025;
  options.lr.final = 0.001;
  options.lr.warmup_epochs = 0;
  options.optimizer.clip_norm = 0;
}

void paper(TrainOptions& options) {
  paper_schedule(options);
  options.model.quant.kind = quant::Kind::Sbm;
  options.loss.weight = 1.0;
  options.loss.per_teacher = false;
  options.schedule.update = Update::Accumulate;
}

/// The authors' released train.py and config_train.py, with what differs from the paper.
void reference(TrainOptions& options) {
  paper(options);
  options.loss.mean = false;
  options.lr.per = Per::Epoch;
  options.optimizer.single_width_clip_norm = 5.0;
  options.model = nn::authors_model_options();
  options.shuffle = false;
  options.drop_last = true;
}

void adabits(TrainOptions& options) {
  options.model.quant.kind = quant::Kind::Adabits;
  options.loss.kind = LossKind::Joint;
  options.loss.mean = false;
  options.schedule.update = Update::Accumulate;
}

void any_precision(TrainOptions& options) {
  options.model.quant.kind = quant::Kind::Dorefa;
  options.loss.kind = LossKind::Recursive;
  options.loss.distance = Distance::Kl;
  options.loss.weight = 1.0;
  options.loss.mean = false;
  options.schedule.update = Update::Accumulate;
}

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = {
      {"default",
       "Our recipe: float phase first, then a step after each bit-width, highest first; nested "
       "quantizer, cross-entropy everywhere, all higher bit-widths teach with a small weight.",
       [](TrainOptions&) {}},
      {"paper",
       "CDT as published (InstantNet, DAC 2021): min-max quantizer, beta 1 summed over all higher "
       "bit-widths, mean over bit-widths, one step a minibatch, 200 epochs.",
       paper},
      {"reference",
       "The authors' released code with its quirks: ranges shared by all bit-widths with inverted "
       "momentum, one batch norm for stem and header, sum of losses, images in a fixed order.",
       reference},
      {"adabits",
       "Objective and quantizer of AdaBits (Jin et al., CVPR 2020): cross-entropy at all "
       "bit-widths, "
       "one step a minibatch; float phase and learning rates are ours.",
       adabits},
      {"any-precision",
       "Objective and quantizer of Any-Precision DNN (Yu et al., AAAI 2021): the next higher "
       "bit-width teaches by KL, beside cross-entropy; float phase and learning rates are ours.",
       any_precision},
  };
  return all;
}

const Preset& find_preset(std::string_view name) {
  for (const Preset& one : presets())
    if (one.name == name) return one;
  fail("preset", "unknown preset '" + std::string(name) + "'" + suggestion(name, preset_names()));
}

}  // namespace

const std::vector<std::string>& preset_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Preset& one : presets()) list.push_back(one.name);
    return list;
  }();
  return names;
}

std::string describe_preset(std::string_view name) { return find_preset(name).sentence; }

TrainOptions preset(std::string_view name) {
  const Preset& found = find_preset(name);
  TrainOptions options;
  found.apply(options);
  options.preset = found.name;
  return options;
}

}  // namespace instantnet::train
