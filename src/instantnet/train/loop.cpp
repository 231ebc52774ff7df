#include "instantnet/train/loop.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/rng.h"
#include "instantnet/train/calibrate.h"
#include "instantnet/train/device.h"
#include "instantnet/train/journal.h"
#include "instantnet/train/loss.h"
#include "instantnet/train/meters.h"
#include "instantnet/train/minibatch.h"
#include "instantnet/train/schedule.h"
#include "instantnet/train/start.h"

namespace instantnet::train {
namespace {

constexpr const char* kFloat = "float";
constexpr const char* kJoint = "joint";
constexpr const char* kDone = "done";
constexpr const char* kMeters = "epoch_averages";
constexpr int kFloatBits = 32;

// Streams of random numbers.
constexpr uint64_t kWeightStream = 1, kFloatOrder = 2, kJointOrder = 3, kNoise = 4,
                   kWidthStream = 5, kCalibration = 6;

/// One network's run: the options, and how it differs from what they say when it is a part of a
/// larger one.
struct RunPlan {
  TrainOptions options;
  std::string folder;
  std::string start;  // checkpoint whose weights to start from; empty = random
  bool float_phase = true, joint_phase = true;
};

/// What the caller gave.
struct Surroundings {
  Progress& progress;
  const std::atomic<bool>* stop;
  GradientExchange& exchange;

  bool stopping() const { return stop != nullptr && stop->load(); }
};

/// Seconds since it was made.
class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// What belongs to one phase.
struct Phase {
  std::string name;
  std::vector<int> bits;
  double peak_lr = 0;
  double clip_norm = 0;
  uint64_t order_seed = 0;
  int64_t total_steps = 0;
  std::unique_ptr<Optimizer> optimizer;
  Meters meters{{}};
};

int compute_threads(const TrainOptions& options) {
  return options.threads > 0 ? options.threads
                             : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

std::string score_text(const std::vector<int>& bits, const Evaluation& evaluation) {
  std::string text;
  for (size_t i = 0; i < bits.size(); ++i)
    text += fmt::format("{}{} bits {:.2f} %", i == 0 ? "" : ", ", bits[i],
                        100 * evaluation.scores[i].accuracy);
  return text;
}

bool holds_run(const std::string& folder) {
  recover_folder(folder + "/last");
  return std::filesystem::exists(folder + "/last/checkpoint.yaml");
}

Tree echo_of(const TrainOptions& options) {
  TrainOptions copy = options;
  return to_tree(fields(copy));
}

/// First line of every config.yaml that is ours, and not one that a user keeps in the folder.
constexpr std::string_view kConfigMark = "# Written by instantnet train: every option of this run.";

/// Error when there is a config.yaml that training did not write.
void check_config_is_ours(const std::string& path) {
  if (std::filesystem::exists(path) && !read_file(path).starts_with(kConfigMark))
    fail(path,
         "is not of a run, and training would write its own there; rename it, or give another "
         "folder.");
}

/// One network from start to end.
class Run {
 public:
  Run(RunPlan plan, Surroundings around) : plan_(std::move(plan)), around_(around) {}

  TrainResult work(bool resume) {
    open();
    if (resume && holds_run(plan_.folder))
      restore();
    else
      begin();
    const bool finished = float_phase() && joint_phase() && finish();
    result_.stopped = !finished;
    result_.state = state_;
    result_.seconds = watch_.seconds();
    return result_;
  }

 private:
  const TrainOptions& options() const { return plan_.options; }
  std::string in_folder(const std::string& name) const { return plan_.folder + "/" + name; }

  // ---- Opening.

  void open() {
    check_device(options().device, "device");
    at::set_num_threads(compute_threads(options()));
    sources_ = data::open_sources(options().data, options().seed);
    model_ = std::make_unique<nn::SwitchableModel>(
        resolve_network(options(), sources_.train->classes(), sources_.train->shape()),
        options().bits, options().model, mix(options().seed, kWeightStream));
    steps_per_epoch_ = sources_.train->batches(order(0, 0));
    if (steps_per_epoch_ < 1)
      fail("data.batch_size",
           fmt::format(
               "is {} with drop_last, but there are {} training images: no minibatch is full; "
               "give a smaller one.",
               options().data.batch_size, sources_.train->size()));
  }

  void begin() {
    if (holds_run(plan_.folder))
      fail(plan_.folder, "holds a run already; continue it with --resume, or give another folder.");
    state_.phase = plan_.float_phase ? kFloat : kJoint;
    if (!plan_.start.empty())
      start_from(*model_, make_model(load_checkpoint(plan_.start)), plan_.start);
    place_model();
    open_phase();
    as_writer([&] { make_folder(); });  // last, so that a mistake leaves nothing behind
  }

  void make_folder() {
    const std::string config = in_folder(kConfigFile);
    check_config_is_ours(config);
    make_folders(plan_.folder);
    write_file_atomic(config, fmt::format("{}\n{}", kConfigMark, print_yaml(echo_of(options()))));
    journal_.emplace(plan_.folder, 0, 0);
    journal_->start(echo_of(options()), model_->spec().name, sources_.train->size());
  }

  /// The only door to the run's folder for what writes: the first of the workers does it, the
  /// others wait until it is done.
  template <class F>
  void as_writer(const F& write) {
    if (around_.exchange.rank() == 0) write();
    around_.exchange.wait();
  }

  void restore() {
    const std::string last = in_folder("last");
    const Checkpoint checkpoint = load_checkpoint(last);
    check_same_run(checkpoint.run_options, echo_of(options()), last);
    state_ = checkpoint.state;
    saved_steps_ = state_.total_steps;
    model_->load(checkpoint.weights, last);
    place_model();
    as_writer([&] { journal_.emplace(plan_.folder, state_.log_bytes, state_.event_bytes); });
    around_.progress.say(fmt::format("{}: continuing after {} minibatches ({} phase)", plan_.folder,
                                     state_.total_steps, state_.phase));
    if (state_.phase == kDone) return;
    open_phase();
    phase_.optimizer->load(checkpoint.optimizer, last);
    const auto averages = checkpoint.optimizer.find(kMeters);
    if (averages == checkpoint.optimizer.end()) fail(last, "has no averages of the epoch.");
    phase_.meters.load(averages->second, last);
  }

  void place_model() {
    model_->to(options().device);
    executor_ = nn::make_executor(*model_, compute_threads(options()));
  }

  data::Order order(uint64_t seed, int64_t epoch) const {
    data::Order one;
    one.seed = seed;
    one.epoch = epoch;
    one.shuffle = options().shuffle;
    one.drop_last = options().drop_last;
    one.rank = around_.exchange.rank();
    one.ranks = around_.exchange.ranks();
    return one;
  }

  // ---- Phases.

  void open_phase() { phase_ = state_.phase == kFloat ? make_float_phase() : make_joint_phase(); }

  Phase make_phase(const std::string& name, std::vector<int> bits, double epochs) const {
    Phase phase;
    phase.name = name;
    phase.total_steps = steps_of(epochs, steps_per_epoch_);
    phase.optimizer = make_optimizer(options().optimizer, model_->parameters());
    phase.meters = Meters(bits);
    phase.bits = std::move(bits);
    return phase;
  }

  Phase make_float_phase() const {
    Phase phase = make_phase(kFloat, {kFloatBits}, options().float_epochs);
    phase.peak_lr = options().optimizer.float_lr;
    phase.clip_norm = options().optimizer.clip_norm;
    phase.order_seed = mix(options().seed, kFloatOrder);
    return phase;
  }

  Phase make_joint_phase() const {
    const OptimizerOptions& optimizer = options().optimizer;
    Phase phase = make_phase(kJoint, options().bits, plan_.joint_phase ? options().epochs : 0);
    const bool own_clip = options().bits.size() == 1 && optimizer.single_width_clip_norm >= 0;
    phase.peak_lr = optimizer.lr;
    phase.clip_norm = own_clip ? optimizer.single_width_clip_norm : optimizer.clip_norm;
    phase.order_seed = mix(options().seed, kJointOrder);
    return phase;
  }

  /// These two return false when the run was stopped.
  bool float_phase() {
    if (state_.phase != kFloat) return true;
    if (!train_phase()) return false;
    if (phase_.total_steps > 0) model_->copy_norms_from(kFloatBits);
    executor_->weights_changed();
    state_.phase = kJoint;
    state_.epoch = state_.step = 0;
    open_phase();
    if (options().float_epochs > 0) save("float", /*with_optimizer=*/false);
    save_last();
    return true;
  }

  bool joint_phase() { return state_.phase != kJoint || train_phase(); }

  bool train_phase() {
    while (state_.epoch < epochs_of_phase())
      if (!train_epoch() || !end_epoch()) {
        save_last();
        return false;
      }
    return true;
  }

  int64_t epochs_of_phase() const {
    return (phase_.total_steps + steps_per_epoch_ - 1) / steps_per_epoch_;
  }

  // ---- One epoch.

  /// The minibatches of the epoch that are left. False when stopped.
  bool train_epoch() {
    const int64_t first = state_.step - state_.epoch * steps_per_epoch_;
    const int64_t end =
        std::min(steps_per_epoch_, phase_.total_steps - state_.epoch * steps_per_epoch_);
    around_.progress.begin(
        fmt::format("{} phase, epoch {} of {}", phase_.name, state_.epoch + 1, epochs_of_phase()),
        images_in(end), "images");
    const Stopwatch watch;
    epoch_images_ = 0;
    bool going = !around_.stopping();
    if (going && first < end)
      sources_.train->for_each(
          order(phase_.order_seed, state_.epoch), first, [&](data::Batch& batch) {
            train_minibatch(batch);
            const int64_t done = state_.step - state_.epoch * steps_per_epoch_;
            around_.progress.update(images_in(done),
                                    fmt::format("loss {:.3f}", phase_.meters.mean_ce()));
            going = !around_.stopping();
            return going && done < end;
          });
    epoch_seconds_ = watch.seconds();
    around_.progress.end();
    return going;
  }

  /// Images in the first minibatches of an epoch, of all workers.
  int64_t images_in(int64_t minibatches) const {
    return std::min(minibatches * options().data.batch_size * around_.exchange.ranks(),
                    sources_.train->size());
  }

  void train_minibatch(const data::Batch& batch) {
    MinibatchTrainer trainer(*executor_, *phase_.optimizer, around_.exchange, options().loss);
    for (const WidthRecord& record : trainer.run(batch, plan_step())) phase_.meters.add(record);
    epoch_images_ += batch.labels.size(0);
    ++state_.step;
    ++state_.total_steps;
    if (options().checkpoint_steps > 0 && state_.total_steps % options().checkpoint_steps == 0)
      save_last();
  }

  Position position(int64_t step) const { return {step, steps_per_epoch_, phase_.total_steps}; }

  double lr_at(int64_t step) const {
    return learning_rate(options().lr, phase_.peak_lr, position(step));
  }

  StepPlan plan_step() const {
    const Position now = position(state_.step);
    StepPlan plan;
    plan.lr = lr_at(state_.step);
    plan.clip_norm = phase_.clip_norm;
    plan.noise_seed = mix(options().seed, kNoise, static_cast<uint64_t>(state_.total_steps));
    plan.place =
        fmt::format("{} phase, step {} (epoch {})", phase_.name, state_.step + 1, state_.epoch + 1);
    plan.kept = kept_text();
    if (state_.phase == kFloat) {
      plan.widths = {kFloatBits};
      plan.weights = {1.0};
      return plan;
    }
    const WidthSchedule schedule = options().schedule.widths;
    const bool alone = schedule == WidthSchedule::Low2High || schedule == WidthSchedule::High2Low;
    plan.kind = alone ? LossKind::Joint : options().loss.kind;
    plan.update = alone ? Update::Each : options().schedule.update;
    plan.beta = distill_weight(options().loss, now.epochs());
    plan.widths =
        widths_of_step(options().bits, options().schedule, mix(options().seed, kWidthStream), now);
    for (const int bits : plan.widths) plan.weights.push_back(weight_of(bits));
    return plan;
  }

  double weight_of(int bits) const {
    const std::vector<double>& weights = options().loss.width_weights;
    return weights.empty() ? 1.0 : weights[static_cast<size_t>(model_->index_of(bits))];
  }

  /// Evaluation, logs and checkpoints after the minibatches. False when stopped before it was
  /// complete.
  bool end_epoch() {
    EpochFacts facts;
    facts.phase = phase_.name;
    facts.epoch = state_.epoch + 1;
    facts.total_steps = state_.total_steps;
    facts.lr = lr_at(state_.step - 1);
    facts.seconds = epoch_seconds_;
    facts.images_per_second =
        epoch_seconds_ > 0 ? static_cast<double>(epoch_images_) / epoch_seconds_ : 0.0;
    if (is_due(options().evaluate_every, facts.epoch)) {
      facts.bits = phase_.bits;
      facts.part = sources_.validation ? "validation" : "test";
      facts.evaluation = evaluate_on(facts.part, facts.bits);
      if (!facts.evaluation.complete) return false;
      if (!sources_.validation) tested_ = {state_.total_steps, facts.bits, facts.evaluation};
    }
    as_writer([&] { journal_->epoch(facts, phase_.meters); });
    phase_.meters.clear();
    state_.epoch = facts.epoch;
    save_after(facts);
    return true;
  }

  bool is_due(int64_t every, int64_t epoch) const {
    return epoch % every == 0 || epoch == epochs_of_phase();
  }

  Evaluation evaluate_on(const std::string& part, const std::vector<int>& bits) {
    const data::Source& source = part == "test" ? *sources_.test : *sources_.validation;
    around_.progress.begin(fmt::format("{} images", part), source.size(), "images");
    Evaluation evaluation =
        evaluate(*executor_, source, bits, {&around_.progress, around_.stop, nullptr});
    around_.progress.end(evaluation.complete ? fmt::format("accuracy on {} images: {}", part,
                                                           score_text(bits, evaluation))
                                             : std::string());
    return evaluation;
  }

  // ---- The end.

  /// Whether the last epoch's evaluation was this one.
  bool is_just_tested() const {
    return tested_.total_steps == state_.total_steps && tested_.bits == result_.bits;
  }

  /// Recalibration, the test set, the last checkpoint. False when stopped; then last/ is the end of
  /// the joint phase.
  bool finish() {
    const bool fresh = state_.phase != kDone;
    const bool recalibrates = fresh && options().recalibrate_images > 0 && phase_.total_steps > 0;
    if (recalibrates)
      recalibrate(*model_, *executor_, *sources_.train, options().bits,
                  options().recalibrate_images, mix(options().seed, kCalibration),
                  &around_.progress);
    result_.bits =
        plan_.joint_phase && options().epochs > 0 ? options().bits : std::vector<int>{kFloatBits};
    result_.evaluation =
        !recalibrates && is_just_tested() ? tested_.evaluation : evaluate_on("test", result_.bits);
    if (!result_.evaluation.complete) return false;
    if (!fresh) return true;
    as_writer(
        [&] { journal_->result("test", result_.bits, result_.evaluation, state_.total_steps); });
    state_.phase = kDone;
    save_last();
    return true;
  }

  // ---- Checkpoints.

  Checkpoint checkpoint(bool with_optimizer) const {
    Checkpoint one;
    one.spec = model_->spec();
    one.bits = model_->bits();
    one.model_options = model_->options();
    one.run_options = echo_of(options());
    for (const nn::Named& named : model_->tensors()) one.weights[named.name] = named.tensor;
    one.state = state_;
    if (with_optimizer && phase_.optimizer) {
      one.optimizer = phase_.optimizer->state();
      one.optimizer[kMeters] = phase_.meters.state();
    }
    return one;
  }

  void check_finite() const {
    for (const nn::Named& one : model_->tensors())
      if (one.tensor.is_floating_point() && !one.tensor.isfinite().all().item<bool>())
        fail("train",
             fmt::format(
                 "'{}' is not finite after the {} phase's step {}; give a smaller optimizer.lr, "
                 "or set optimizer.clip_norm. {}",
                 one.name, phase_.name, state_.step, kept_text()));
  }

  /// For the message of a run that cannot go on.
  std::string kept_text() const {
    if (saved_steps_ < 0) return "No checkpoint was written yet.";
    return fmt::format("The checkpoint after minibatch {} is kept in {}.", saved_steps_,
                       in_folder("last"));
  }

  void save(const std::string& name, bool with_optimizer) {
    check_finite();
    as_writer([&] {
      state_.log_bytes = journal_->log_bytes();
      state_.event_bytes = journal_->event_bytes();
      make_folders(std::filesystem::path(in_folder(name)).parent_path().string());
      save_checkpoint(checkpoint(with_optimizer), in_folder(name));
    });
  }

  void save_last() {
    save("last", /*with_optimizer=*/true);
    saved_steps_ = state_.total_steps;
  }

  void save_after(const EpochFacts& facts) {
    const bool evaluated = !facts.part.empty() && state_.phase == kJoint;
    if (evaluated && facts.evaluation.mean_accuracy() > state_.best_score) {
      state_.best_score = facts.evaluation.mean_accuracy();
      state_.best_epoch = facts.epoch;
      save("best", /*with_optimizer=*/false);
    }
    if (is_due(options().checkpoint_every, facts.epoch)) save_last();
    if (options().keep_last > 0) {
      save(kept_name(facts.epoch), /*with_optimizer=*/true);
      as_writer([&] {
        std::filesystem::remove_all(in_folder(kept_name(facts.epoch - options().keep_last)));
      });
    }
  }

  std::string kept_name(int64_t epoch) const {
    return fmt::format("kept/{}-{:04}", phase_.name, epoch);
  }

  RunPlan plan_;
  Surroundings around_;
  data::Sources sources_;
  std::unique_ptr<nn::SwitchableModel> model_;
  std::unique_ptr<nn::Executor> executor_;
  std::optional<Journal> journal_;
  Phase phase_;
  RunState state_;
  int64_t steps_per_epoch_ = 1;
  int64_t epoch_images_ = 0;
  /// The latest evaluation on the test set.
  struct {
    int64_t total_steps = -1;  // minibatches in the run then; -1: none yet
    std::vector<int> bits;
    Evaluation evaluation;
  } tested_;
  int64_t saved_steps_ = -1;  // minibatches in the run when last/ was written; -1 = never
  double epoch_seconds_ = 0;
  Stopwatch watch_;
  TrainResult result_;
};

// ---- One network a bit-width.

/// The run of the network for `bits` alone: cross-entropy, the joint phase's epochs, starting from
/// the shared float phase.
RunPlan separate_plan(const RunPlan& whole, int bits) {
  RunPlan plan = whole;
  const size_t place =
      static_cast<size_t>(std::find(whole.options.bits.begin(), whole.options.bits.end(), bits) -
                          whole.options.bits.begin());
  plan.options.bits = {bits};
  plan.options.independent_too = false;
  plan.options.loss.kind = LossKind::Joint;
  plan.options.schedule.widths = WidthSchedule::All;
  if (!plan.options.loss.width_weights.empty())
    plan.options.loss.width_weights = {whole.options.loss.width_weights[place]};
  plan.folder = whole.folder + fmt::format("/bits-{}", bits);
  plan.float_phase = false;
  plan.joint_phase = true;
  if (whole.options.float_epochs > 0) plan.start = whole.folder + "/float";
  return plan;
}

/// Trains them one after the other; returns whether all came to their end, with their scores
/// appended.
bool train_separately(const RunPlan& whole, const Surroundings& around, bool resume,
                      Evaluation& scores) {
  for (const int bits : whole.options.bits) {
    around.progress.say(fmt::format("independent network at {} bits", bits));
    const TrainResult one = Run(separate_plan(whole, bits), around).work(resume);
    if (one.stopped) return false;
    scores.images = one.evaluation.images;
    scores.scores.push_back(one.evaluation.scores.at(0));
  }
  return true;
}

/// loss.kind independent: the shared float phase (if any), then a network a width.
TrainResult train_independent(RunPlan plan, const Surroundings& around, bool resume) {
  const Stopwatch watch;
  TrainResult result;
  plan.joint_phase = false;
  if (plan.float_phase) result = Run(plan, around).work(resume);
  if (result.stopped) return result;
  result.bits = plan.options.bits;
  result.evaluation = {};
  result.stopped = !train_separately(plan, around, resume, result.evaluation);
  result.seconds = watch.seconds();
  return result;
}

TrainResult train_with_comparison(const RunPlan& plan, const Surroundings& around, bool resume) {
  const Stopwatch watch;
  TrainResult result = Run(plan, around).work(resume);
  if (result.stopped || !plan.options.independent_too) return result;
  result.stopped = !train_separately(plan, around, resume, result.independent);
  result.seconds = watch.seconds();
  return result;
}

}  // namespace

TrainResult train(const TrainOptions& options, const std::string& folder, bool resume,
                  Progress& progress, const std::atomic<bool>* stop, GradientExchange* exchange) {
  check(options);
  GradientExchange alone;
  const Surroundings around{progress, stop, exchange != nullptr ? *exchange : alone};
  const RunPlan plan{options, folder, options.start_from, options.float_epochs > 0, true};
  return options.loss.kind == LossKind::Independent ? train_independent(plan, around, resume)
                                                    : train_with_comparison(plan, around, resume);
}

}  // namespace instantnet::train
