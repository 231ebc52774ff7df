#include "instantnet/train/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "instantnet/core/error.h"
#include "instantnet/net/precision.h"
#include "instantnet/net/zoo.h"

namespace instantnet::train {
namespace {

constexpr double kEndless = std::numeric_limits<double>::infinity();

[[noreturn]] void refuse(const std::string& key, const std::string& sentence) {
  fail({}, key + " " + sentence);
}

/// Every value inside the range its field states: writes the options and reads them again.
void check_ranges(const TrainOptions& options) {
  TrainOptions copy = options;
  TrainOptions other;
  read_fields(fields(other), to_tree(fields(copy)));
}

void check_loss(const TrainOptions& options) {
  const LossOptions& loss = options.loss;
  const size_t given = loss.width_weights.size();
  if (given != 0 && given != options.bits.size())
    refuse("loss.width_weights",
           fmt::format("has {} numbers for {} bit-widths; give one a bit-width, or none.", given,
                       options.bits.size()));
  if (loss.kind == LossKind::Independent && options.independent_too)
    refuse(
        "independent_too",
        "is true but loss.kind is independent already; leave it out, or give another loss.kind.");
}

void check_schedule(const TrainOptions& options) {
  const ScheduleOptions& schedule = options.schedule;
  const LossKind kind = options.loss.kind;
  const bool taught = kind == LossKind::Cdt || kind == LossKind::Sp || kind == LossKind::Recursive;
  if (taught && schedule.order == WidthOrder::LowFirst && options.bits.size() > 1)
    refuse("schedule.order",
           "is low_first, but higher bit-widths teach and must run first; give high_first, or "
           "loss.kind: joint.");
}

void check_optimizer(const OptimizerOptions& optimizer) {
  if (optimizer.nesterov && optimizer.momentum == 0)
    refuse("optimizer.nesterov", "is true with momentum 0; give a momentum, for example 0.9.");
  if (optimizer.betas.size() != 2)
    refuse("optimizer.betas", fmt::format("has {} numbers; give two, for example [0.9, 0.999].",
                                          optimizer.betas.size()));
  for (const double beta : optimizer.betas)
    if (beta >= 1) refuse("optimizer.betas", fmt::format("holds {}; give less than 1.", beta));
}

void check_lr(const TrainOptions& options) {
  const LrOptions& lr = options.lr;
  if (!std::is_sorted(lr.milestones.begin(), lr.milestones.end()))
    refuse("lr.milestones", fmt::format("[{}] is not ascending; give epochs in order.",
                                        fmt::join(lr.milestones, ", ")));
  const double lowest_peak =
      std::min(options.epochs > 0 ? options.optimizer.lr : kEndless,
               options.float_epochs > 0 ? options.optimizer.float_lr : kEndless);
  const bool ends_at_final =
      lr.kind == LrKind::Cosine || lr.kind == LrKind::Linear || lr.kind == LrKind::OneCycle;
  if (ends_at_final && lr.final > lowest_peak)
    refuse("lr.final", fmt::format("is {}, above the highest learning rate {}; give less.",
                                   lr.final, lowest_peak));
}

void check_length(const TrainOptions& options) {
  if (options.epochs == 0 && options.float_epochs == 0)
    refuse("epochs", "and float_epochs are both 0; give one of them more, for example epochs: 30.");
}

bool is_zoo_entry(const std::string& name) {
  const auto& entries = zoo();
  return std::any_of(entries.begin(), entries.end(),
                     [&](const ZooEntry& entry) { return entry.name == name; });
}

bool is_file_name(const std::string& name) {
  return name.ends_with(".yaml") || name.ends_with(".yml") || name.find('/') != std::string::npos;
}

NetworkSpec network_file(const std::string& path, int64_t classes,
                         const std::vector<int64_t>& shape, const std::string& data) {
  NetworkSpec spec = read_network(path);
  if (spec.classes != classes)
    fail(path, fmt::format("the network has {} classes, but the data set '{}' has {}; give a "
                           "network or a data set that fits.",
                           spec.classes, data, classes));
  if (std::vector<int64_t>{spec.channels, spec.height, spec.width} != shape)
    fail(path, fmt::format("the network takes images of {}x{}x{}, but the data set '{}' gives {}; "
                           "set data.height and data.width, or give another network.",
                           spec.channels, spec.height, spec.width, data, fmt::join(shape, "x")));
  return spec;
}

/// "loss.weight" -> its text in a tree of options; "absent" where there is none.
std::string value_at(const Tree& tree, const std::string& key) {
  const size_t dot = key.find('.');
  const Tree* entry = tree.kind == Tree::Kind::Map ? tree.find(key.substr(0, dot)) : nullptr;
  if (entry == nullptr) return "absent";
  if (dot != std::string::npos) return value_at(*entry, key.substr(dot + 1));
  return print_json(*entry);
}

/// All keys of a tree of options, dotted, in order.
void collect_keys(const Tree& tree, const std::string& prefix, std::vector<std::string>& keys) {
  for (const auto& [key, value] : tree.entries) {
    if (value.kind == Tree::Kind::Map)
      collect_keys(value, prefix + key + ".", keys);
    else
      keys.push_back(prefix + key);
  }
}

/// The value of the last "preset=..." among `sets`, else of the file's `preset`, else "default".
std::string chosen_preset(const Tree& tree, const std::vector<std::string>& sets) {
  const std::string start = "preset=";
  for (auto one = sets.rbegin(); one != sets.rend(); ++one)
    if (one->starts_with(start)) return one->substr(start.size());
  if (tree.kind != Tree::Kind::Map) return "default";
  const Tree* entry = tree.find("preset");
  return entry == nullptr ? "default" : entry->as_string();
}

/// check, with the file in front of what it says.
void check_loaded(const TrainOptions& options, const std::string& file, bool with_sets) {
  try {
    check(options);
  } catch (const Error& error) {
    if (file.empty()) throw;
    fail(file + (with_sets ? " with --set" : ""), error.what());
  }
}

}  // namespace

const std::vector<std::pair<LossKind, std::string>>& names_of(LossKind) {
  static const std::vector<std::pair<LossKind, std::string>> names = {
      {LossKind::Cdt, "cdt"},          {LossKind::Sp, "sp"},
      {LossKind::Joint, "joint"},      {LossKind::Recursive, "recursive"},
      {LossKind::MaxLoss, "max_loss"}, {LossKind::Independent, "independent"}};
  return names;
}

const std::vector<std::pair<Distance, std::string>>& names_of(Distance) {
  static const std::vector<std::pair<Distance, std::string>> names = {{Distance::Mse, "mse"},
                                                                      {Distance::Kl, "kl"}};
  return names;
}

const std::vector<std::pair<WidthSchedule, std::string>>& names_of(WidthSchedule) {
  static const std::vector<std::pair<WidthSchedule, std::string>> names = {
      {WidthSchedule::All, "all"},
      {WidthSchedule::Sandwich, "sandwich"},
      {WidthSchedule::Low2High, "low2high"},
      {WidthSchedule::High2Low, "high2low"},
      {WidthSchedule::CurriculumLow, "curriculum_low"},
      {WidthSchedule::CurriculumHigh, "curriculum_high"}};
  return names;
}

const std::vector<std::pair<Update, std::string>>& names_of(Update) {
  static const std::vector<std::pair<Update, std::string>> names = {
      {Update::Each, "each"}, {Update::Accumulate, "accumulate"}};
  return names;
}

const std::vector<std::pair<WidthOrder, std::string>>& names_of(WidthOrder) {
  static const std::vector<std::pair<WidthOrder, std::string>> names = {
      {WidthOrder::HighFirst, "high_first"}, {WidthOrder::LowFirst, "low_first"}};
  return names;
}

const std::vector<std::pair<OptimizerKind, std::string>>& names_of(OptimizerKind) {
  static const std::vector<std::pair<OptimizerKind, std::string>> names = {
      {OptimizerKind::Sgd, "sgd"}, {OptimizerKind::Adam, "adam"}, {OptimizerKind::AdamW, "adamw"}};
  return names;
}

const std::vector<std::pair<LrKind, std::string>>& names_of(LrKind) {
  static const std::vector<std::pair<LrKind, std::string>> names = {
      {LrKind::Cosine, "cosine"},       {LrKind::Linear, "linear"},
      {LrKind::Multistep, "multistep"}, {LrKind::Exponential, "exponential"},
      {LrKind::OneCycle, "onecycle"},   {LrKind::Constant, "constant"}};
  return names;
}

const std::vector<std::pair<Per, std::string>>& names_of(Per) {
  static const std::vector<std::pair<Per, std::string>> names = {{Per::Step, "step"},
                                                                 {Per::Epoch, "epoch"}};
  return names;
}

Fields fields(LossOptions& options) {
  Fields all;
  all.add(
      "kind", options.kind,
      "Who teaches: cdt all higher bit-widths (InstantNet, DAC 2021), sp the highest, joint "
      "nobody (AdaBits, CVPR 2020), recursive the next higher (Any-Precision DNN, AAAI 2021); "
      "max_loss trains only the bit-width with the largest loss; independent trains one network "
      "a bit-width. Cross-entropy is always there.");
  all.add("distance", options.distance,
          "Between the logits of student and teacher: mse over images and classes, or kl of their "
          "softmax, teacher first.");
  all.add("temperature", options.temperature,
          "kl: logits are divided by it, the loss multiplied by its square (Hinton et al., 2015).",
          {1e-3, 1e3, ""});
  all.add(
      "weight", options.weight,
      "Beta, the weight of distillation against cross-entropy; 1 is the paper's, 0 turns it off.",
      {0, kEndless, ""});
  all.add("per_teacher", options.per_teacher,
          "Divide the weight by the number of teachers; false sums them (the paper).");
  all.add("ramp_epochs", options.ramp_epochs,
          "The weight grows linearly from 0 over this many epochs of the joint phase; 0 = at once.",
          {0, kEndless, "epochs"});
  all.add("label_smoothing", options.label_smoothing,
          "Share of the label given evenly to all classes (Szegedy et al., CVPR 2016).",
          {0, 1, ""});
  all.add(
      "mean", options.mean,
      "schedule.update accumulate: the mean of the losses of the bit-widths (the paper) instead "
      "of their sum (the authors' code).");
  all.add("width_weights", options.width_weights,
          "Weight of the loss of each of `bits`, in their order; empty = 1 each.",
          {0, kEndless, ""});
  return all;
}

Fields fields(ScheduleOptions& options) {
  Fields all;
  all.add(
      "widths", options.widths,
      "Which bit-widths a minibatch trains: all; sandwich the highest, the lowest and two drawn "
      "from between; low2high and high2low all in this order, each with cross-entropy only and a "
      "step of its own; curriculum_low and curriculum_high start with one end of `bits` (the "
      "authors' schedules).");
  all.add(
      "update", options.update,
      "each: an optimiser step after every bit-width; accumulate: one a minibatch (the paper).");
  all.add("order", options.order, "Which bit-width a minibatch begins with.");
  all.add(
      "curriculum_epochs", options.curriculum_epochs,
      "curriculum_low, curriculum_high: one more bit-width is trained each time this many epochs "
      "have passed.",
      {1e-3, kEndless, "epochs"});
  return all;
}

Fields fields(OptimizerOptions& options) {
  Fields all;
  all.add("kind", options.kind,
          "sgd, adam (Kingma and Ba, ICLR 2015) or adamw (Loshchilov and Hutter, ICLR 2019).");
  all.add("lr", options.lr, "Highest learning rate of the joint phase.", {0, kEndless, ""});
  all.add("float_lr", options.float_lr, "Highest learning rate of the float phase.",
          {0, kEndless, ""});
  all.add("momentum", options.momentum, "sgd: share of the last update that stays.", {0, 1, ""});
  all.add("nesterov", options.nesterov, "sgd: Nesterov's momentum.");
  all.add("betas", options.betas, "adam, adamw: decay of the averages of gradient and square.",
          {0, 1, ""});
  all.add("epsilon", options.epsilon, "adam, adamw: added to the root of the average square.",
          {0, kEndless, ""});
  all.add("weight_decay", options.weight_decay,
          "L2 of weights (adamw: decoupled). Never of learned activation ranges and weight steps.",
          {0, kEndless, ""});
  all.add("decay_norms", options.decay_norms,
          "Weight decay of batch norms' scale and shift too (the authors' code does).");
  all.add("range_lr_multiple", options.range_lr_multiple,
          "Learning rate of learned activation ranges and weight steps, in multiples of lr.",
          {0, kEndless, ""});
  all.add("clip_norm", options.clip_norm,
          "Longer gradients are shortened to this length, all parameters together; 0 = never.",
          {0, kEndless, ""});
  all.add("single_width_clip_norm", options.single_width_clip_norm,
          "The same when `bits` has one entry (the authors clip only then, at 5); -1 = clip_norm.",
          {-1, kEndless, ""});
  return all;
}

Fields fields(LrOptions& options) {
  Fields all;
  all.add(
      "kind", options.kind,
      "How the learning rate moves over a phase: cosine to `final` (Loshchilov and Hutter, ICLR "
      "2017); linear to `final`, from the first milestone on; multistep times gamma at each "
      "milestone; exponential times gamma every epoch; onecycle up for 30 % from 1/25, then down "
      "to `final` (Smith and Topin, 2017); constant.");
  all.add("warmup_epochs", options.warmup_epochs,
          "Linear rise from 0 at the start of each phase; not with onecycle.",
          {0, kEndless, "epochs"});
  all.add("final", options.final, "Learning rate at the end: cosine, linear, onecycle.",
          {0, kEndless, ""});
  all.add("milestones", options.milestones, "multistep, linear: epochs of the phase.",
          {0, kEndless, "epochs"});
  all.add("gamma", options.gamma, "multistep, exponential: factor.", {0, 1, ""});
  all.add("per", options.per, "Changes every step, or only every epoch (the authors').");
  return all;
}

Fields fields(TrainOptions& options) {
  Fields all;
  all.add("preset", options.preset,
          fmt::format("Values to start from: {}.", fmt::join(preset_names(), ", ")));
  all.add("network", options.network,
          "Name in the zoo, space:OPERATOR, or path of a network.yaml.");
  all.add("first_bits", options.first_bits,
          "Zoo networks: bit-width of the first convolution; 0 = switchable, 32 = float32.",
          {0, 32, "bits"});
  all.add("last_bits", options.last_bits,
          "Zoo networks: bit-width of the classifier; 0 = switchable, 32 = float32.",
          {0, 32, "bits"});
  all.add("bits", options.bits, "Bit-widths trained together, ascending; 32 = float32.",
          {1, 32, "bits"});
  all.add_group("model", nn::fields(options.model), "Quantizer and layers.");
  all.add_group("data", data::fields(options.data), "Images.");
  all.add("seed", options.seed, "Everything random in the run comes from this.");
  all.add("shuffle", options.shuffle,
          "A new order of images every epoch (the authors' code keeps one).");
  all.add("drop_last", options.drop_last,
          "Leave out the last minibatch of an epoch when not full.");
  all.add("float_epochs", options.float_epochs,
          "Epochs at 32 bits only, before the joint phase; may have a fraction. 0 = none.",
          {0, kEndless, "epochs"});
  all.add("epochs", options.epochs,
          "Epochs of the joint phase, each of all bit-widths; may have a fraction.",
          {0, kEndless, "epochs"});
  all.add("start_from", options.start_from,
          "Folder of a checkpoint of the same network whose weights are taken; empty = random.");
  all.add("independent_too", options.independent_too,
          "Also train a network for each bit-width, from the same float phase and with the same "
          "epochs, to compare with.");
  all.add_group("loss", fields(options.loss), "Loss of the joint phase.");
  all.add_group("schedule", fields(options.schedule), "Bit-widths of a minibatch.");
  all.add_group("optimizer", fields(options.optimizer), "Optimiser.");
  all.add_group("lr", fields(options.lr), "Learning rate over a phase.");
  all.add(
      "recalibrate_images", options.recalibrate_images,
      "At the end, average batch norm's statistics anew over this many training images, for each "
      "bit-width; 0 = keep those of training.",
      {0, kEndless, "images"});
  all.add("evaluate_every", options.evaluate_every,
          "Evaluate all bit-widths every so many epochs, and after the last.",
          {1, kEndless, "epochs"});
  all.add("checkpoint_every", options.checkpoint_every,
          "Write last/ every so many epochs, and at the end of a phase.", {1, kEndless, "epochs"});
  all.add("checkpoint_steps", options.checkpoint_steps,
          "Also write last/ every so many minibatches; 0 = only at ends of epochs.",
          {0, kEndless, "minibatches"});
  all.add("keep_last", options.keep_last,
          "Beside last/ and best/, keep the checkpoints of this many latest epochs of each phase "
          "in kept/.",
          {0, kEndless, "epochs"});
  all.add("threads", options.threads,
          "Threads that compute; 0 = one a core. Weights do not depend on it.",
          {0, 1024, "threads"});
  all.add("device", options.device, "cpu, cuda, or cuda:N.");
  return all;
}

TrainOptions load_train_options(const Tree& tree, const std::vector<std::string>& sets) {
  TrainOptions options = preset(chosen_preset(tree, sets));
  const Fields all = fields(options);
  if (tree.kind != Tree::Kind::Null) read_fields(all, tree);
  for (const std::string& one : sets) set_field(all, one);
  check_loaded(options, tree.file, !sets.empty());
  return options;
}

TrainOptions load_train_options(const std::string& path, const std::vector<std::string>& sets) {
  return load_train_options(path.empty() ? Tree::map() : read_yaml(path), sets);
}

void check(const TrainOptions& options) {
  preset(options.preset);
  check_bits(options.bits, "bits");
  check_ranges(options);
  data::check_options(options.data);
  check_loss(options);
  check_schedule(options);
  check_optimizer(options.optimizer);
  check_lr(options);
  check_length(options);
}

NetworkSpec resolve_network(const TrainOptions& options, int64_t classes,
                            const std::vector<int64_t>& image_shape) {
  if (image_shape.size() != 3) bug("resolve_network: an image shape has three sizes");
  const std::string& name = options.network;
  if (!is_zoo_entry(name) && is_file_name(name))
    return network_file(name, classes, image_shape, options.data.path);
  ZooOptions size;
  size.classes = classes;
  size.channels = image_shape[0];
  size.height = image_shape[1];
  size.width = image_shape[2];
  size.first_bits = options.first_bits;
  size.last_bits = options.last_bits;
  return zoo_network(name, size);
}

const std::vector<std::string>& keys_free_to_change() {
  static const std::vector<std::string> keys = {
      "preset", "data.threads", "data.cache_mib",   "threads",
      "device", "keep_last",    "checkpoint_every", "checkpoint_steps"};
  return keys;
}

void check_same_run(const Tree& before, const Tree& now, const std::string& where) {
  std::vector<std::string> keys;
  collect_keys(now, {}, keys);
  collect_keys(before, {}, keys);
  const std::vector<std::string>& free = keys_free_to_change();
  for (const std::string& key : keys) {
    if (std::find(free.begin(), free.end(), key) != free.end()) continue;
    const std::string old_value = value_at(before, key), new_value = value_at(now, key);
    if (old_value != new_value)
      fail(where, fmt::format("the run was started with {} = {}, now it is {}; continue with the "
                              "same options, or start a run in another folder.",
                              key, old_value, new_value));
  }
}

}  // namespace instantnet::train
