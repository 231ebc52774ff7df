#include "instantnet/nas/search.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/rng.h"
#include "instantnet/nas/alphas.h"
#include "instantnet/nas/journal.h"
#include "instantnet/nas/mixture.h"
#include "instantnet/nn/executor.h"
#include "instantnet/train/checkpoint.h"
#include "instantnet/train/loop.h"
#include "instantnet/train/loss.h"
#include "instantnet/train/minibatch.h"
#include "instantnet/train/schedule.h"

namespace instantnet::nas {
namespace {

constexpr const char* kSearch = "search";
constexpr const char* kDone = "done";

// Streams of random numbers.
constexpr uint64_t kInitialWeights = 1, kWeightOrder = 2, kAlphaOrder = 3, kNoise = 4, kWidths = 5,
                   kWeightSamples = 6, kAlphaSamples = 7, kCostSamples = 8, kHalves = 9,
                   kRandomArchitecture = 10;

/// Seconds since it was made.
class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

int compute_threads(const SearchOptions& options) {
  return options.threads > 0 ? options.threads
                             : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

Tree echo_of(const SearchOptions& options) {
  SearchOptions copy = options;
  return to_tree(fields(copy));
}

template <class E>
std::string name_of(E value) {
  for (const auto& [one, name] : names_of(E{}))
    if (one == value) return name;
  bug("an enumerator without a name");
}

SpaceImage image_of(const data::Source& source) {
  const std::vector<int64_t> shape = source.shape();
  return {shape[0], shape[1], shape[2], source.classes()};
}

Window window_of(const CostOptions& options, const CostTable& table) {
  if (options.least > 0 || options.most > 0) return {options.least, options.most};
  const double middle = (table.least() + table.most()) / 2;
  const double half = (table.most() - table.least()) / 20;
  return {middle - half, middle + half};
}

SearchSetting setting_of(const SearchOptions& options, const data::Source& source,
                         const Price& price) {
  SearchSetting setting;
  setting.image = image_of(source);
  check(options.space, setting.image);
  setting.table = price_space(options.space, setting.image, price_bits(options), price);
  setting.window = window_of(options.cost, setting.table);
  check_window(setting.window, setting.table);
  return setting;
}

// ---- Numbers in checkpoints: bit patterns, so that nothing is lost.

at::Tensor to_tensor(const std::vector<int64_t>& values) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.data_ptr<int64_t>());
  return tensor;
}

at::Tensor to_tensor(const Rows& rows) {
  std::vector<int64_t> values;
  for (const auto& row : rows)
    for (const double one : row) values.push_back(std::bit_cast<int64_t>(one));
  return to_tensor(values);
}

std::vector<int64_t> numbers_of(const std::map<std::string, at::Tensor>& tensors,
                                const std::string& name, size_t count, const std::string& where) {
  const auto found = tensors.find(name);
  if (found == tensors.end() || found->second.numel() != static_cast<int64_t>(count) ||
      found->second.scalar_type() != at::kLong)
    fail(where, fmt::format("has no '{}' of {} numbers; it is no checkpoint of this search.", name,
                            count));
  const at::Tensor values = found->second.contiguous();
  return {values.data_ptr<int64_t>(), values.data_ptr<int64_t>() + values.numel()};
}

void read_rows(const std::map<std::string, at::Tensor>& tensors, const std::string& name,
               Rows& rows, const std::string& where) {
  const std::vector<int64_t> values =
      numbers_of(tensors, name, rows.size() * rows[0].size(), where);
  size_t at = 0;
  for (auto& row : rows)
    for (double& one : row) one = std::bit_cast<double>(values[at++]);
}

constexpr std::string_view kConfigMark =
    "# Written by instantnet search: every option of this search.";

bool holds_search(const std::string& folder) {
  recover_folder(folder + "/last");
  return std::filesystem::exists(folder + "/last/checkpoint.yaml");
}

/// What the architecture's steps of an epoch came to.
struct AlphaMeter {
  double sum = 0;
  int64_t images = 0;
  double mean() const { return images > 0 ? sum / static_cast<double>(images) : 0; }
};

/// One search from start to end.
class Run {
 public:
  Run(const SearchOptions& options, std::string folder, const Price& price, Progress& progress,
      const std::atomic<bool>* stop)
      : options_(options),
        folder_(std::move(folder)),
        price_(price),
        progress_(progress),
        stop_(stop) {}

  SearchResult work(bool resume) {
    open();
    if (resume && holds_search(folder_))
      restore();
    else
      begin();
    result_.stopped = !all_epochs();
    if (!result_.stopped) finish();
    result_.network = derived_network();
    result_.seconds = watch_.seconds();
    return result_;
  }

 private:
  std::string in_folder(const std::string& name) const { return folder_ + "/" + name; }
  bool stopping() const { return stop_ != nullptr && stop_->load(); }
  size_t operators() const { return options_.space.operators.size(); }

  // ---- Opening.

  void open() {
    at::set_num_threads(compute_threads(options_));
    sources_ = data::open_sources(options_.data, options_.seed);
    setting_ = setting_of(options_, *sources_.train, price_);
    supernet_ = supernet_of(options_.space, setting_.image);
    alpha_.assign(setting_.table.cells.size(),
                  std::vector<double>(operators(), options_.alpha.initial));
    adam_.beta1 = options_.alpha.betas[0];
    adam_.beta2 = options_.alpha.betas[1];
    adam_.average = adam_.square = rows_like(alpha_, 0.0);
    lambda_ = options_.cost.weight;
    split();
    const std::vector<int> bits = weight_bits(options_);
    model_ = std::make_unique<nn::SwitchableModel>(supernet_.network, bits, options_.model,
                                                   mix(options_.seed, kInitialWeights));
    executor_ = nn::make_executor(*model_, compute_threads(options_));
    optimizer_ = train::make_optimizer(options_.optimizer, model_->parameters());
    meters_ = train::Meters(bits);
    steps_per_epoch_ = weight_source_->batches(order(0, 0));
    weight_steps_ = train::steps_of(options_.weight_epochs, steps_per_epoch_);
    total_steps_ = weight_steps_ + train::steps_of(options_.epochs, steps_per_epoch_);
    result_.bits = bits;
  }

  /// The training images in two parts, and a few of the architecture's to evaluate on.
  void split() {
    std::vector<int64_t> indices = sources_.train->indices();
    std::vector<int64_t> places(indices.size());
    std::iota(places.begin(), places.end(), int64_t{0});
    Rng rng(options_.seed, kHalves);
    for (size_t i = places.size(); i > 1; --i)
      std::swap(places[i - 1], places[static_cast<size_t>(rng.below(i))]);
    const auto count = static_cast<double>(indices.size());
    const auto share = static_cast<size_t>(std::llround(options_.alpha.share * count));
    if (share < 1 || share >= indices.size())
      fail("alpha.share", fmt::format("is {} of {} training images, which leaves none to one of "
                                      "the two; give more images.",
                                      options_.alpha.share, indices.size()));
    std::vector<int64_t> alpha_indices, weight_indices;
    for (size_t i = 0; i < places.size(); ++i)
      (i < share ? alpha_indices : weight_indices)
          .push_back(indices[static_cast<size_t>(places[i])]);
    std::vector<int64_t> few = alpha_indices;
    few.resize(std::min(few.size(), static_cast<size_t>(options_.evaluate_images)));
    std::sort(alpha_indices.begin(), alpha_indices.end());
    std::sort(weight_indices.begin(), weight_indices.end());
    alpha_source_ = sources_.train->part(std::move(alpha_indices));
    weight_source_ = sources_.train->part(std::move(weight_indices));
    if (!few.empty()) evaluation_source_ = sources_.train->part(std::move(few));
  }

  void begin() {
    if (holds_search(folder_))
      fail(folder_, "holds a search already; continue it with --resume, or give another folder.");
    const std::string config = in_folder(train::kConfigFile);
    if (std::filesystem::exists(config) && !read_file(config).starts_with(kConfigMark))
      fail(config,
           "is not of a search, and a search would write its own there; rename it, or give another "
           "folder.");
    state_.phase = kSearch;
    make_folders(folder_);
    write_file_atomic(config, fmt::format("{}\n{}", kConfigMark, print_yaml(echo_of(options_))));
    journal_.emplace(folder_, 0, 0);
    journal_->start(echo_of(options_), setting_.table, setting_.window);
  }

  void restore() {
    const std::string last = in_folder("last");
    const train::Checkpoint checkpoint = train::load_checkpoint(last);
    train::check_same_run(checkpoint.run_options, echo_of(options_), last);
    state_ = checkpoint.state;
    saved_steps_ = state_.total_steps;
    model_->load(checkpoint.weights, last);
    executor_->weights_changed();
    const auto& more = checkpoint.optimizer;
    optimizer_->load(more, last);
    read_rows(more, "search/alpha", alpha_, last);
    read_rows(more, "search/average", adam_.average, last);
    read_rows(more, "search/square", adam_.square, last);
    const auto averages = more.find("search/meters");
    if (averages == more.end()) fail(last, "has no averages of the epoch.");
    meters_.load(averages->second, last);
    const std::vector<int64_t> numbers = numbers_of(more, "search/numbers", 5, last);
    adam_.steps = numbers[0];
    lambda_ = std::bit_cast<double>(numbers[1]);
    alpha_meter_ = {std::bit_cast<double>(numbers[2]), numbers[3]};
    same_epochs_ = numbers[4];
    for (const int64_t op : numbers_of(more, "search/architecture", alpha_.size(), last))
      if (op >= 0) before_.push_back(static_cast<size_t>(op));
    journal_.emplace(folder_, state_.log_bytes, state_.event_bytes);
    progress_.say(fmt::format("{}: continuing after {} minibatches", folder_, state_.total_steps));
  }

  data::Order order(uint64_t stream, int64_t epoch) const {
    data::Order one;
    one.seed = mix(options_.seed, stream);
    one.epoch = epoch;
    return one;
  }

  // ---- Epochs.

  int64_t epochs() const { return (total_steps_ + steps_per_epoch_ - 1) / steps_per_epoch_; }
  bool searching() const { return state_.step >= weight_steps_; }

  /// False when stopped.
  bool all_epochs() {
    while (state_.phase != kDone && state_.epoch < epochs()) {
      if (!one_epoch() || !end_epoch()) {
        save_last();
        return false;
      }
      if (options_.patience > 0 && same_epochs_ >= options_.patience) {
        result_.early = true;
        break;
      }
    }
    return true;
  }

  /// The minibatches of the epoch that are left. False when stopped.
  bool one_epoch() {
    const int64_t first = state_.step - state_.epoch * steps_per_epoch_;
    const int64_t end = std::min(steps_per_epoch_, total_steps_ - state_.epoch * steps_per_epoch_);
    progress_.begin(
        fmt::format("{} epoch {} of {}", name_of(options_.method), state_.epoch + 1, epochs()), end,
        "minibatches");
    const Stopwatch watch;
    epoch_images_ = 0;
    bool going = !stopping();
    if (going && first < end)
      weight_source_->for_each(order(kWeightOrder, state_.epoch), first, [&](data::Batch& batch) {
        minibatch(batch);
        const int64_t done = state_.step - state_.epoch * steps_per_epoch_;
        progress_.update(done, note());
        going = !stopping();
        return going && done < end;
      });
    epoch_seconds_ = watch.seconds();
    progress_.end();
    return going;
  }

  /// "loss 1.21, derived 4.31e+06 macs"
  std::string note() const {
    return fmt::format("loss {:.3f}, derived {:.3g} {}", meters_.mean_ce(),
                       setting_.table.of(best_of(alpha_)), name_of(options_.cost.kind));
  }

  void minibatch(const data::Batch& batch) {
    if (searching()) {
      alpha_step();
      if (options_.cost.adapt) adapt_lambda();
    }
    weight_step(batch);
    epoch_images_ += batch.labels.size(0);
    ++state_.step;
    ++state_.total_steps;
    if (options_.checkpoint_steps > 0 && state_.total_steps % options_.checkpoint_steps == 0)
      save_last();
  }

  // ---- Architecture.

  double temperature() const {
    const int64_t step = std::max<int64_t>(0, state_.step - weight_steps_);
    return options_.alpha.temperature *
           std::pow(options_.alpha.temperature_decay, static_cast<double>(step / steps_per_epoch_));
  }

  /// One sample for all bit-widths of a minibatch.
  Sample draw(uint64_t stream) const {
    const Rows noise =
        gumbel(alpha_, Rng(options_.seed, stream, static_cast<uint64_t>(state_.total_steps)));
    return options_.sampling == Sampling::Soft ? sample_soft(alpha_, noise, temperature())
                                               : sample_hard(alpha_, noise, temperature());
  }

  data::Batch alpha_batch() const {
    const int64_t batches = alpha_source_->batches(order(0, 0));
    const int64_t step = state_.step - weight_steps_;
    return alpha_source_->batch(order(kAlphaOrder, step / batches), step % batches);
  }

  /// Gradient of the cross-entropy at alpha_bits, by the architecture's images.
  Rows accuracy_gradient() {
    const data::Batch batch = alpha_batch();
    const Sample sample = draw(kAlphaSamples);
    executor_->set_gates(gates_of(supernet_, sample.weights));
    executor_->begin(batch.images);
    executor_->noise_seed(mix(options_.seed, kNoise, state_.total_steps, 1));
    const at::Tensor logits = executor_->forward(alpha_bits(options_), nn::Mode::Train);
    const train::LossTerm loss = train::cross_entropy(logits, batch.labels);
    if (!std::isfinite(loss.value)) not_finite("the architecture's loss");
    executor_->learn_weights(false);
    executor_->backward(loss.gradient.to(at::kFloat));
    executor_->finish();
    executor_->learn_weights(true);
    alpha_meter_.sum += loss.value * static_cast<double>(batch.labels.size(0));
    alpha_meter_.images += batch.labels.size(0);
    return backward(sample, weight_gradients(supernet_, executor_->gate_gradients()));
  }

  /// Gradient of lambda x expected cost / middle of the window; with two steps of lambda x the cost
  /// of a soft sample, as the authors.
  Rows cost_gradient() const {
    Rows scaled = setting_.table.cells;
    const double scale = pressure() / setting_.window.middle();
    for (auto& row : scaled)
      for (double& one : row) one *= scale;
    if (!options_.alpha.two_steps) return softmax_backward(softmax(alpha_), scaled, 1);
    const Rows noise =
        gumbel(alpha_, Rng(options_.seed, kCostSamples, static_cast<uint64_t>(state_.total_steps)));
    return backward(sample_soft(alpha_, noise, temperature()), scaled);
  }

  void alpha_step() {
    Rows gradient = accuracy_gradient();
    if (options_.alpha.two_steps) {
      adam_.step(alpha_, gradient, options_.alpha.lr);
      adam_.step(alpha_, cost_gradient(), options_.alpha.lr);
    } else {
      const Rows cost = cost_gradient();
      for (size_t i = 0; i < gradient.size(); ++i)
        for (size_t k = 0; k < gradient[i].size(); ++k) gradient[i][k] += cost[i][k];
      adam_.step(alpha_, gradient, options_.alpha.lr);
    }
    for (const auto& row : alpha_)
      for (const double one : row)
        if (!std::isfinite(one)) not_finite("an architecture parameter");
  }

  /// How far the expected cost is outside the inner half of the window, relative to its middle. The
  /// expected cost moves smoothly; that of the likeliest operators jumps. The inner half, because
  /// the two differ until the search has decided.
  double distance() const {
    const Window& window = setting_.window;
    const double quarter = (window.most - window.least) / 4;
    return Window{window.least + quarter, window.most - quarter}.miss(expected_cost());
  }

  /// What the expected cost is multiplied with: an augmented Lagrangian.
  double pressure() const {
    const bool each_step = options_.cost.adapt && options_.cost.rate > 0;
    return lambda_ + (each_step ? options_.cost.penalty * distance() : 0);
  }

  /// Dual ascent: a cost above the window raises its price, one below lowers it.
  void adapt_lambda() { lambda_ += options_.cost.rate * std::clamp(distance(), -1.0, 1.0); }

  [[noreturn]] void not_finite(const std::string& what) const {
    fail("search", fmt::format("{} is not finite in step {} (epoch {}); give a smaller "
                               "optimizer.lr or alpha.lr, or set optimizer.clip_norm. {}",
                               what, state_.step + 1, state_.epoch + 1, kept_text()));
  }

  // ---- Weights.

  void weight_step(const data::Batch& batch) {
    executor_->set_gates(gates_of(supernet_, draw(kWeightSamples).weights));
    train::MinibatchTrainer trainer(*executor_, *optimizer_, exchange_, options_.loss);
    for (const train::WidthRecord& record : trainer.run(batch, plan_step())) meters_.add(record);
  }

  train::Position position(int64_t step) const { return {step, steps_per_epoch_, total_steps_}; }

  double lr_at(int64_t step) const {
    return train::learning_rate(options_.lr, options_.optimizer.lr, position(step));
  }

  train::StepPlan plan_step() const {
    using train::WidthSchedule;
    const train::Position now = position(state_.step);
    const std::vector<int> bits = weight_bits(options_);
    const WidthSchedule schedule = options_.schedule.widths;
    const bool alone = schedule == WidthSchedule::Low2High || schedule == WidthSchedule::High2Low;
    const bool own_clip = bits.size() == 1 && options_.optimizer.single_width_clip_norm >= 0;
    train::StepPlan plan;
    plan.lr = lr_at(state_.step);
    plan.clip_norm =
        own_clip ? options_.optimizer.single_width_clip_norm : options_.optimizer.clip_norm;
    plan.noise_seed = mix(options_.seed, kNoise, static_cast<uint64_t>(state_.total_steps));
    plan.place = fmt::format("search, step {} (epoch {})", state_.step + 1, state_.epoch + 1);
    plan.kept = kept_text();
    plan.kind = alone ? train::LossKind::Joint : options_.loss.kind;
    plan.update = alone ? train::Update::Each : options_.schedule.update;
    plan.beta = train::distill_weight(options_.loss, now.epochs());
    plan.widths = train::widths_of_step(bits, options_.schedule, mix(options_.seed, kWidths), now);
    for (const int width : plan.widths) plan.weights.push_back(weight_of(width));
    return plan;
  }

  double weight_of(int bits) const {
    const std::vector<double>& weights = options_.loss.width_weights;
    if (weights.empty()) return 1.0;
    const auto found = std::find(options_.bits.begin(), options_.bits.end(), bits);
    return weights[static_cast<size_t>(found - options_.bits.begin())];
  }

  // ---- Ends of epochs.

  /// False when stopped before it was complete.
  bool end_epoch() {
    const Derived derived = derive(alpha_, setting_.table, setting_.window);
    SearchEpoch epoch;
    epoch.searching = state_.step > weight_steps_;
    if (epoch.searching) check_collapse();
    if (!evaluate_derived(derived)) return false;
    ++state_.epoch;
    if (epoch.searching) {
      same_epochs_ = derived.architecture == before_ ? same_epochs_ + 1 : 0;
      before_ = derived.architecture;
    }
    if (epoch.searching && options_.cost.adapt && options_.cost.rate == 0) authors_lambda(derived);
    result_.report = make_report(derived);
    epoch.report = result_.report;
    epoch.total_steps = state_.total_steps;
    epoch.lr = lr_at(state_.step - 1);
    epoch.temperature = temperature();
    epoch.alpha_loss = alpha_meter_.mean();
    epoch.expected_cost = expected_cost();
    epoch.bits = result_.bits;
    epoch.evaluation = result_.evaluation;
    epoch.seconds = epoch_seconds_;
    epoch.images_per_second =
        epoch_seconds_ > 0 ? static_cast<double>(epoch_images_) / epoch_seconds_ : 0.0;
    journal_->epoch(epoch, meters_, options_.space, alpha_);
    meters_.clear();
    alpha_meter_ = {};
    write_result();
    save_last();
    progress_.say(fmt::format("derived: {}{:.4g} {}, {}", derived.projected ? "projected, " : "",
                              derived.cost, name_of(options_.cost.kind),
                              fmt::join(operator_names(result_.report), " ")));
    return true;
  }

  void authors_lambda(const Derived& derived) {
    if (derived.argmax_cost < setting_.window.least) lambda_ /= 2;
    if (derived.argmax_cost > setting_.window.most) lambda_ *= 2;
  }

  double expected_cost() const {
    const Rows weights = softmax(alpha_);
    double sum = setting_.table.fixed;
    for (size_t i = 0; i < weights.size(); ++i)
      for (size_t k = 0; k < weights[i].size(); ++k)
        sum += weights[i][k] * setting_.table.cells[i][k];
    return sum;
  }

  void check_collapse() const {
    const Architecture likeliest = best_of(alpha_);
    const Rows weights = softmax(alpha_);
    for (size_t i = 0; i < likeliest.size(); ++i)
      if (options_.space.operators[likeliest[i]] != "skip" || weights[i][likeliest[i]] < 0.5)
        return;
    if (setting_.window.holds(setting_.table.of(likeliest))) return;
    fail("search",
         fmt::format("collapsed in epoch {}: every cell is skip with a weight above 1/2, and that "
                     "network is outside the window; give more weight_epochs, a smaller alpha.lr "
                     "or cost.weight, or leave skip out of space.operators. {}",
                     state_.epoch + 1, kept_text()));
  }

  SearchReport make_report(const Derived& derived) const {
    SearchReport report =
        report_of(options_.space, alpha_, setting_.table, setting_.window, derived);
    report.method = name_of(options_.method);
    report.cost_kind = name_of(options_.cost.kind);
    report.seed = options_.seed;
    report.epoch = state_.epoch;
    report.lambda = lambda_;
    report.finished = state_.phase == kDone;
    return report;
  }

  /// The derived network with the supernet's weights. False when stopped.
  bool evaluate_derived(const Derived& derived) {
    if (!evaluation_source_) return true;
    executor_->set_gates(gates_of(supernet_, weights_of(derived.architecture, operators())));
    result_.evaluation =
        train::evaluate(*executor_, *evaluation_source_, result_.bits, {nullptr, stop_, nullptr});
    return result_.evaluation.complete;
  }

  NetworkSpec derived_network() const {
    return network_of(options_.space, setting_.image,
                      derive(alpha_, setting_.table, setting_.window).architecture,
                      name_of(options_.method));
  }

  void write_result() const {
    write_network(derived_network(), in_folder(kNetworkFile));
    write_file_atomic(in_folder(kReportFile), print_json(to_tree(result_.report), 2) + "\n");
  }

  void finish() {
    const Derived derived = derive(alpha_, setting_.table, setting_.window);
    if (state_.phase == kDone) {
      evaluate_derived(derived);
      result_.report = make_report(derived);
      return;
    }
    state_.phase = kDone;
    result_.report = make_report(derived);
    journal_->result(result_.report);
    write_result();
    save_last();
  }

  // ---- Checkpoints.

  std::string kept_text() const {
    if (saved_steps_ < 0) return "No checkpoint was written yet.";
    return fmt::format("The checkpoint after minibatch {} is kept in {}.", saved_steps_,
                       in_folder("last"));
  }

  void save_last() {
    for (const nn::Named& one : model_->tensors())
      if (one.tensor.is_floating_point() && !one.tensor.isfinite().all().item<bool>())
        not_finite("'" + one.name + "'");
    state_.log_bytes = journal_->log_bytes();
    state_.event_bytes = journal_->event_bytes();
    train::Checkpoint one;
    one.spec = model_->spec();
    one.bits = model_->bits();
    one.model_options = model_->options();
    one.run_options = echo_of(options_);
    one.state = state_;
    for (const nn::Named& named : model_->tensors()) one.weights[named.name] = named.tensor;
    one.optimizer = optimizer_->state();
    one.optimizer["search/alpha"] = to_tensor(alpha_);
    one.optimizer["search/average"] = to_tensor(adam_.average);
    one.optimizer["search/square"] = to_tensor(adam_.square);
    one.optimizer["search/meters"] = meters_.state();
    one.optimizer["search/numbers"] =
        to_tensor({adam_.steps, std::bit_cast<int64_t>(lambda_),
                   std::bit_cast<int64_t>(alpha_meter_.sum), alpha_meter_.images, same_epochs_});
    std::vector<int64_t> before(alpha_.size(), -1);
    std::copy(before_.begin(), before_.end(), before.begin());
    one.optimizer["search/architecture"] = to_tensor(before);
    train::save_checkpoint(one, in_folder("last"));
    saved_steps_ = state_.total_steps;
  }

  const SearchOptions& options_;
  std::string folder_;
  const Price& price_;
  Progress& progress_;
  const std::atomic<bool>* stop_;
  data::Sources sources_;
  std::shared_ptr<data::Source> weight_source_, alpha_source_, evaluation_source_;
  SearchSetting setting_;
  Supernet supernet_;
  std::unique_ptr<nn::SwitchableModel> model_;
  std::unique_ptr<nn::Executor> executor_;
  std::unique_ptr<train::Optimizer> optimizer_;
  train::GradientExchange exchange_;
  train::Meters meters_{{}};
  std::optional<SearchJournal> journal_;
  train::RunState state_;
  Rows alpha_;
  AlphaAdam adam_;
  double lambda_ = 0;
  AlphaMeter alpha_meter_;
  Architecture before_;      // derived after the epoch before; empty at first
  int64_t same_epochs_ = 0;  // the derived network has not changed for so long
  int64_t steps_per_epoch_ = 1, weight_steps_ = 0, total_steps_ = 1;
  int64_t epoch_images_ = 0;
  int64_t saved_steps_ = -1;  // minibatches when last/ was written; -1 = never
  double epoch_seconds_ = 0;
  Stopwatch watch_;
  SearchResult result_;
};

/// Uniform among the networks inside: drawn from all until one is, and where they are rare from a
/// search with random scores.
Architecture random_inside(const SearchSetting& setting, size_t operators, uint64_t seed) {
  constexpr int kTries = 100000;
  Rng rng(seed, kRandomArchitecture);
  Architecture drawn(setting.table.cells.size());
  for (int i = 0; i < kTries; ++i) {
    for (size_t& op : drawn) op = static_cast<size_t>(rng.below(operators));
    if (setting.window.holds(setting.table.of(drawn))) return drawn;
  }
  const Rows noise = gumbel(rows_like(setting.table.cells, 0.0), rng);
  return derive(noise, setting.table, setting.window).architecture;
}

SearchResult draw_random(const SearchOptions& options, const std::string& folder,
                         const Price& price) {
  const Stopwatch watch;
  const SearchSetting setting = prepare_search(options, price);
  const size_t operators = options.space.operators.size();
  Derived derived;
  derived.architecture = random_inside(setting, operators, options.seed);
  derived.cost = derived.argmax_cost = setting.table.of(derived.architecture);
  SearchResult result;
  result.report = report_of(options.space, rows_like(setting.table.cells, 0.0), setting.table,
                            setting.window, derived);
  result.report.method = name_of(options.method);
  result.report.cost_kind = name_of(options.cost.kind);
  result.report.seed = options.seed;
  result.report.finished = true;
  result.network =
      network_of(options.space, setting.image, derived.architecture, name_of(options.method));
  make_folders(folder);
  write_network(result.network, folder + "/" + kNetworkFile);
  write_file_atomic(folder + "/" + kReportFile, print_json(to_tree(result.report), 2) + "\n");
  result.seconds = watch.seconds();
  return result;
}

}  // namespace

SearchSetting prepare_search(const SearchOptions& options, const Price& price) {
  check(options);
  return setting_of(options, *data::open_sources(options.data, options.seed).train, price);
}

SearchResult search(const SearchOptions& options, const std::string& folder, const Price& price,
                    bool resume, Progress& progress, const std::atomic<bool>* stop) {
  check(options);
  if (options.method == Method::Random) return draw_random(options, folder, price);
  return Run(options, folder, price, progress, stop).work(resume);
}

}  // namespace instantnet::nas
