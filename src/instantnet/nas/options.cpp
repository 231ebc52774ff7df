#include "instantnet/nas/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <limits>

#include "instantnet/core/error.h"
#include "instantnet/net/precision.h"
#include "instantnet/nn/authors.h"

namespace instantnet::nas {
namespace {

constexpr double kEndless = std::numeric_limits<double>::infinity();

struct Preset {
  std::string name, sentence;
  std::function<void(SearchOptions&)> apply;  // to default-made options
};

/// Fu et al., "InstantNet", DAC 2021, with the released config_search.py where the paper is silent.
void paper(SearchOptions& options) {
  options.sampling = Sampling::Soft;
  options.space_preset = "instantnet32";
  options.space = space_preset("instantnet32");
  options.cost.least = 1.2e8;
  options.cost.most = 1.3e8;
  options.alpha.lr = 3e-4;
  options.data.batch_size = 64;
  options.weight_epochs = 0;
  options.model.quant.kind = quant::Kind::Sbm;
  options.loss.weight = 1.0;
  options.loss.per_teacher = false;
  options.schedule.update = train::Update::Accumulate;
  options.optimizer.lr = 0.025;
  options.optimizer.clip_norm = 0;
  options.lr.final = 0.001;
  options.lr.warmup_epochs = 0;
}

void reference(SearchOptions& options) {
  paper(options);
  options.alpha.two_steps = true;
  options.cost.weight = 0.0125;  // their 1e-10, times the middle of their window
  options.cost.rate = 0;
  options.loss.mean = false;
  options.lr.per = train::Per::Epoch;
  options.optimizer.single_width_clip_norm = 5.0;
  options.model = nn::authors_model_options();
}

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = {
      {"default",
       "One operator a cell and step, nested quantizer, a step after each bit-width; cost in the "
       "same loss, its weight moved towards the window.",
       [](SearchOptions&) {}},
      {"paper",
       "The authors' space and schedule: all operators weighted, min-max quantizer, beta 1 summed "
       "over all higher bit-widths, one step a minibatch; cost in the same loss.",
       paper},
      {"reference",
       "The authors' released code: as paper, with their ranges, batch norms and sum of losses, a "
       "step of its own for the cost, whose weight halves or doubles after an epoch outside the "
       "window.",
       reference},
  };
  return all;
}

const Preset& find_preset(std::string_view name) {
  for (const Preset& one : presets())
    if (one.name == name) return one;
  fail("preset", fmt::format("unknown preset '{}'{}", name, suggestion(name, preset_names())));
}

/// The value of the last "key=..." among `sets`, else of the file, else "".
std::string chosen(const Tree& tree, const std::vector<std::string>& sets, const std::string& group,
                   const std::string& key) {
  const std::string start = (group.empty() ? key : group + "." + key) + "=";
  for (auto one = sets.rbegin(); one != sets.rend(); ++one)
    if (one->starts_with(start)) return one->substr(start.size());
  const Tree* at = &tree;
  if (!group.empty() && tree.kind == Tree::Kind::Map) at = tree.find(group);
  if (at == nullptr || at->kind != Tree::Kind::Map) return {};
  const Tree* entry = at->find(key);
  return entry == nullptr ? std::string() : entry->as_string();
}

/// What training would refuse.
void check_shared(const SearchOptions& options) {
  train::TrainOptions like;
  like.bits = options.bits;
  like.model = options.model;
  like.data = options.data;
  like.loss = options.loss;
  like.schedule = options.schedule;
  like.optimizer = options.optimizer;
  like.lr = options.lr;
  like.epochs = options.epochs;
  like.float_epochs = options.weight_epochs;
  like.threads = options.threads;
  train::check(like);
  if (options.loss.kind == train::LossKind::Independent)
    fail("loss.kind",
         "is independent; a search trains one supernet, give cdt, sp, joint or "
         "recursive.");
}

}  // namespace

const std::vector<std::pair<Method, std::string>>& names_of(Method) {
  static const std::vector<std::pair<Method, std::string>> names = {{Method::SpNas, "spnas"},
                                                                    {Method::FpNas, "fpnas"},
                                                                    {Method::LpNas, "lpnas"},
                                                                    {Method::Random, "random"}};
  return names;
}

const std::vector<std::pair<Sampling, std::string>>& names_of(Sampling) {
  static const std::vector<std::pair<Sampling, std::string>> names = {{Sampling::Single, "single"},
                                                                      {Sampling::Soft, "soft"}};
  return names;
}

const std::vector<std::pair<CostKind, std::string>>& names_of(CostKind) {
  static const std::vector<std::pair<CostKind, std::string>> names = {
      {CostKind::Macs, "macs"},
      {CostKind::BitOps, "bitops"},
      {CostKind::Parameters, "parameters"},
      {CostKind::Energy, "energy"},
      {CostKind::Latency, "latency"},
      {CostKind::Edp, "edp"}};
  return names;
}

Fields fields(CostOptions& options) {
  Fields all;
  all.add("kind", options.kind,
          "What a network costs, a sum over layers for one image: macs; bitops, MACs times both "
          "bit-widths; parameters; or energy (pJ), latency (cycles), edp (pJ x cycles) of each "
          "layer's certified best mapping on the accelerator. At the lowest bit-width.")
      .add("accelerator", options.accelerator,
           "energy, latency, edp: a preset (instantnet accelerators) or path of an "
           "accelerator.yaml.")
      .add("least", options.least, "The derived network costs at least this.", {0, kEndless, ""})
      .add("most", options.most,
           "And at most this; both 0: the middle tenth of what the space's networks cost.",
           {0, kEndless, ""})
      .add("weight", options.weight,
           "Lambda at the start: the loss of the architecture is cross-entropy + lambda x expected "
           "cost / middle of the window.")
      .add("adapt", options.adapt, "Lambda moves so that the derived network gets into the window.")
      .add(
          "rate", options.rate,
          "By this times the expected cost's distance from the window's inner half, relative to "
          "its middle, each step; 0: halved or doubled after an epoch in which the derived network "
          "was outside (the authors').",
          {0, kEndless, ""})
      .add("penalty", options.penalty,
           "While lambda moves each step, this times the same distance is added to it, so that it "
           "does not swing (augmented Lagrangian).",
           {0, kEndless, ""});
  return all;
}

Fields fields(AlphaOptions& options) {
  Fields all;
  all.add("lr", options.lr, "Adam's learning rate of the architecture parameters.",
          {0, kEndless, ""})
      .add("betas", options.betas, "Decay of its averages of gradient and square.", {0, 1, ""})
      .add("initial", options.initial, "Value they start at.")
      .add("temperature", options.temperature, "Of the Gumbel softmax in the first epoch.",
           {1e-3, kEndless, ""})
      .add("temperature_decay", options.temperature_decay, "Factor each epoch.", {1e-3, 1, ""})
      .add("share", options.share,
           "Share of the training images that train the architecture; the others train weights.",
           {0.01, 0.99, ""})
      .add(
          "two_steps", options.two_steps,
          "A step for accuracy and then one for the cost, with a sample of its own (the authors'), "
          "instead of one for both.");
  return all;
}

Fields fields(SearchOptions& options) {
  Fields all;
  all.add("preset", options.preset,
          fmt::format("Values to start from: {}.", fmt::join(preset_names(), ", ")));
  all.add("method", options.method,
          "spnas: weights at all bit-widths, the architecture at the lowest (InstantNet, DAC "
          "2021); fpnas: the architecture at the highest; lpnas: both at the lowest; random: an "
          "architecture drawn from those in the window, nothing is trained.");
  all.add("sampling", options.sampling,
          "single: one operator a cell and step (GDAS, CVPR 2019); soft: all, weighted (Gumbel "
          "softmax, ICLR 2017; the authors').");
  Fields space;
  space.add("preset", options.space_preset,
            fmt::format("Values of this group to start from: {}.",
                        fmt::join(space_preset_names(), ", ")));
  space.add_all(fields(options.space));
  all.add_group("space", std::move(space), "What can be found.");
  all.add_group("cost", fields(options.cost), "What the found network may cost.");
  all.add_group("alpha", fields(options.alpha), "Architecture parameters.");
  all.add("bits", options.bits, "Bit-widths of the network, ascending; 32 = float32.",
          {1, 32, "bits"});
  all.add_group("model", nn::fields(options.model), "Quantizer and layers.");
  all.add_group("data", data::fields(options.data), "Images.");
  all.add("seed", options.seed, "Everything random in the search comes from this.");
  all.add("weight_epochs", options.weight_epochs,
          "Epochs at the start in which only weights learn, every operator drawn alike.",
          {0, kEndless, "epochs"});
  all.add("epochs", options.epochs, "Epochs of both, over the images that train weights.",
          {0, kEndless, "epochs"});
  all.add("patience", options.patience,
          "Stop early when the derived network has been the same for this many epochs; 0 = never.",
          {0, kEndless, "epochs"});
  all.add_group("loss", train::fields(options.loss), "Loss of the weights.");
  all.add_group("schedule", train::fields(options.schedule), "Bit-widths of a minibatch.");
  all.add_group("optimizer", train::fields(options.optimizer), "Optimiser of the weights.");
  all.add_group("lr", train::fields(options.lr), "Learning rate of the weights.");
  all.add(
      "evaluate_images", options.evaluate_images,
      "After each epoch the derived network is evaluated, with the shared weights, on this many "
      "images that train the architecture; 0 = not.",
      {0, kEndless, "images"});
  all.add("checkpoint_steps", options.checkpoint_steps,
          "Also write last/ every so many minibatches; 0 = only at ends of epochs.",
          {0, kEndless, "minibatches"});
  all.add("threads", options.threads,
          "Threads that compute; 0 = one a core. The result does not depend on it.",
          {0, 1024, "threads"});
  return all;
}

const std::vector<std::string>& preset_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Preset& one : presets()) list.push_back(one.name);
    return list;
  }();
  return names;
}

std::string describe_preset(std::string_view name) { return find_preset(name).sentence; }

SearchOptions preset(std::string_view name) {
  const Preset& found = find_preset(name);
  SearchOptions options;
  found.apply(options);
  options.preset = found.name;
  return options;
}

SearchOptions load_search_options(const Tree& tree, const std::vector<std::string>& sets) {
  const std::string base = chosen(tree, sets, "", "preset");
  SearchOptions options = preset(base.empty() ? "default" : base);
  const std::string space = chosen(tree, sets, "space", "preset");
  if (!space.empty()) {
    options.space = instantnet::space_preset(space);
    options.space_preset = space;
  }
  const Fields all = fields(options);
  if (tree.kind != Tree::Kind::Null) read_fields(all, tree);
  for (const std::string& one : sets) set_field(all, one);
  try {
    check(options);
  } catch (const Error& error) {
    if (tree.file.empty()) throw;
    fail(tree.file + (sets.empty() ? "" : " with --set"), error.what());
  }
  return options;
}

SearchOptions load_search_options(const std::string& path, const std::vector<std::string>& sets) {
  return load_search_options(path.empty() ? Tree::map() : read_yaml(path), sets);
}

void check(const SearchOptions& options) {
  check_shared(options);
  instantnet::space_preset(options.space_preset);
  if (options.alpha.betas.size() != 2 || options.alpha.betas[0] >= 1 || options.alpha.betas[1] >= 1)
    fail("alpha.betas", "has to be two numbers below 1, for example [0.5, 0.999].");
  if (!(options.cost.least <= options.cost.most))
    fail("cost", fmt::format("the window is from {} to {}; least must not be above most.",
                             options.cost.least, options.cost.most));
  if (options.method != Method::Random && options.epochs <= 0)
    fail("epochs", "is 0; a search needs more, for example 25.");
}

std::vector<int> weight_bits(const SearchOptions& options) {
  return options.method == Method::LpNas ? std::vector<int>{options.bits.front()} : options.bits;
}

int alpha_bits(const SearchOptions& options) {
  return options.method == Method::FpNas ? options.bits.back() : options.bits.front();
}

int price_bits(const SearchOptions& options) { return options.bits.front(); }

}  // namespace instantnet::nas
