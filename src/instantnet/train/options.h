// Everything a user can set about a training run: train.yaml, `--set`, and the presets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "instantnet/core/config.h"
#include "instantnet/core/tree.h"
#include "instantnet/data/loader.h"
#include "instantnet/net/spec.h"
#include "instantnet/nn/model.h"

namespace instantnet::train {

/// Who teaches whom.
enum class LossKind {
  Cdt,          // cascade distillation training: all higher widths teach (InstantNet, DAC 2021)
  Sp,           // the highest width teaches
  Joint,        // nobody: cross-entropy at every width (AdaBits, CVPR 2020)
  Recursive,    // the next higher width teaches (Any-Precision DNN, AAAI 2021)
  MaxLoss,      // only the width with the largest cross-entropy learns; all higher ones teach it
  Independent,  // one network a width
};
const std::vector<std::pair<LossKind, std::string>>& names_of(LossKind);

/// How far a student is from a teacher.
enum class Distance { Mse, Kl };
const std::vector<std::pair<Distance, std::string>>& names_of(Distance);

/// Which widths a minibatch trains.
enum class WidthSchedule {
  All,
  Sandwich,        // highest, lowest, two drawn from between (the authors')
  Low2High,        // all, lowest first, cross-entropy and a step each (the authors')
  High2Low,        // all, highest first, cross-entropy and a step each (the authors')
  CurriculumLow,   // the lowest first, one more each curriculum_epochs (the authors')
  CurriculumHigh,  // the highest first, one more each curriculum_epochs (the authors')
};
const std::vector<std::pair<WidthSchedule, std::string>>& names_of(WidthSchedule);

/// When the optimiser steps.
enum class Update { Each, Accumulate };
const std::vector<std::pair<Update, std::string>>& names_of(Update);

enum class WidthOrder { HighFirst, LowFirst };
const std::vector<std::pair<WidthOrder, std::string>>& names_of(WidthOrder);

enum class OptimizerKind { Sgd, Adam, AdamW };
const std::vector<std::pair<OptimizerKind, std::string>>& names_of(OptimizerKind);

enum class LrKind { Cosine, Linear, Multistep, Exponential, OneCycle, Constant };
const std::vector<std::pair<LrKind, std::string>>& names_of(LrKind);

enum class Per { Step, Epoch };
const std::vector<std::pair<Per, std::string>>& names_of(Per);

/// The keys of `loss`.
struct LossOptions {
  LossKind kind = LossKind::Cdt;
  Distance distance = Distance::Mse;
  double temperature = 1.0;
  double weight = 0.1;
  bool per_teacher = true;
  double ramp_epochs = 0.0;
  double label_smoothing = 0.0;
  bool mean = true;
  std::vector<double> width_weights;
};
Fields fields(LossOptions& options);

/// The keys of `schedule`.
struct ScheduleOptions {
  WidthSchedule widths = WidthSchedule::All;
  Update update = Update::Each;
  WidthOrder order = WidthOrder::HighFirst;
  double curriculum_epochs = 20.0;
};
Fields fields(ScheduleOptions& options);

/// The keys of `optimizer`.
struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::Sgd;
  double lr = 0.05;
  double float_lr = 0.1;
  double momentum = 0.9;
  bool nesterov = false;
  std::vector<double> betas = {0.9, 0.999};
  double epsilon = 1e-8;
  double weight_decay = 5e-4;
  bool decay_norms = true;
  double range_lr_multiple = 1.0;
  double clip_norm = 5.0;
  double single_width_clip_norm = -1.0;
};
Fields fields(OptimizerOptions& options);

/// The keys of `lr`.
struct LrOptions {
  LrKind kind = LrKind::Cosine;
  double warmup_epochs = 1.0;
  double final = 0.0;
  std::vector<double> milestones = {80, 120, 160};
  double gamma = 0.1;
  Per per = Per::Step;
};
Fields fields(LrOptions& options);

/// A whole run. A default-made struct is the preset `default`.
struct TrainOptions {
  std::string preset = "default";
  std::string network = "resnet20";
  int first_bits = 32, last_bits = 32;
  std::vector<int> bits = {4, 8, 12, 16, 32};
  nn::ModelOptions model;
  data::DataOptions data;
  uint64_t seed = 1;
  bool shuffle = true;
  bool drop_last = false;

  double float_epochs = 50.0;
  double epochs = 30.0;
  std::string start_from;
  bool independent_too = false;

  LossOptions loss;
  ScheduleOptions schedule;
  OptimizerOptions optimizer;
  LrOptions lr;

  int64_t recalibrate_images = 0;
  int64_t evaluate_every = 1;
  int64_t checkpoint_every = 1;
  int64_t checkpoint_steps = 0;
  int64_t keep_last = 0;
  int threads = 0;
  std::string device = "cpu";
};

/// All keys of train.yaml. References into `options`.
Fields fields(TrainOptions& options);

/// default, paper, reference, adabits, any-precision.
const std::vector<std::string>& preset_names();

/// One sentence a preset, for help.
std::string describe_preset(std::string_view name);

/// The options a preset stands for. Error with the nearest name when there is none.
TrainOptions preset(std::string_view name);

/// The preset named by `preset` (in `sets` before the file; `default` when none is), then the keys
/// of the file, then the `key=value` pairs, then check. An empty path means no file. Error as
/// read_fields and check.
TrainOptions load_train_options(const std::string& path, const std::vector<std::string>& sets = {});
/// The same from values read already.
TrainOptions load_train_options(const Tree& tree, const std::vector<std::string>& sets = {});

/// Error, one sentence, for anything a run could not start with: a value out of its range, bits not
/// ascending, keys that contradict each other.
void check(const TrainOptions& options);

/// The network `options.network` names, made for the data: a zoo entry or "space:OPERATOR" takes
/// the data's image shape (channels, height, width) and classes; a network.yaml must have them
/// already. Error naming both when it has not.
NetworkSpec resolve_network(const TrainOptions& options, int64_t classes,
                            const std::vector<int64_t>& image_shape);

/// Keys that may differ between a run and its continuation, because the weights do not depend on
/// them.
const std::vector<std::string>& keys_free_to_change();

/// Error naming the first key (with both values) in which a run differs from the one it should
/// continue.
void check_same_run(const Tree& before, const Tree& now, const std::string& where);

}  // namespace instantnet::train
