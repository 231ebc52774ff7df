#include "instantnet/nn/authors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <set>
#include <string_view>

#include "instantnet/core/error.h"
#include "instantnet/nn/torch_file.h"

namespace instantnet::nn {
namespace {

using Kind = PyValue::Kind;

std::string shape_text(at::IntArrayRef sizes) {
  return fmt::format("({})", fmt::join(sizes, ", "));
}

// ---- Reading

std::string without_module(const std::string& name) {
  constexpr std::string_view kModule = "module.";
  return name.starts_with(kModule) ? name.substr(kModule.size()) : name;
}

bool holds_tensors(const PyValue& value) {
  return value.kind == Kind::Dict &&
         std::any_of(value.entries.begin(), value.entries.end(), [](const auto& entry) {
           return entry.first->kind == Kind::Text && entry.second->kind == Kind::Tensor;
         });
}

/// Tensors at the top are taken, unless a dictionary in it is called as states are, or is the only
/// one with tensors.
const PyValue* state_of(const PyValue& top) {
  if (top.kind != Kind::Dict) return nullptr;
  std::vector<const PyValue*> inner;
  for (const auto& [key, value] : top.entries) {
    if (!holds_tensors(*value)) continue;
    if (key->text == "state_dict" || key->text == "model" || key->text == "net") return value;
    inner.push_back(value);
  }
  if (holds_tensors(top)) return &top;
  return inner.size() == 1 ? inner[0] : nullptr;
}

std::string what_it_holds(const PyValue& top) {
  switch (top.kind) {
    case Kind::Object:
      return fmt::format("a Python object of class {}", top.text);
    case Kind::Tensor:
      return "a single tensor";
    case Kind::List:
      return "a list";
    case Kind::Dict:
      return "a dictionary without tensors";
    default:
      return "something else";
  }
}

// ---- Their names

/// "_op.conv1" and "_op.bn1" of "cells.3.conv1"; "stem.conv" and "stem.bn" of "stem"; "fc" has no
/// norm.
struct AuthorsNames {
  std::string conv, norm;
};

AuthorsNames names_for(const std::string& layer) {
  if (layer == "fc") return {"fc", ""};
  if (layer == "stem" || layer == "header") return {layer + ".conv", layer + ".bn"};
  const size_t dot = layer.rfind('.');
  if (layer.starts_with("cells.") && dot != std::string::npos) {
    const std::string op = layer.substr(0, dot) + "._op.", part = layer.substr(dot + 1);
    if (part == "skip") return {op + "conv", op + "bn"};
    if (part == "conv1" || part == "conv2" || part == "conv3")
      return {op + part, op + "bn" + part.substr(4)};
  }
  fail("layer '" + layer + "'",
       "is no layer of the search space's network; the authors' code has no name for it.");
}

/// What their BatchNorm2d calls the five tensors of a norm.
std::vector<std::pair<std::string, at::Tensor>> parts_of(const Norm& norm) {
  return {{"weight", norm.scale},
          {"bias", norm.shift},
          {"running_mean", norm.mean},
          {"running_var", norm.variance},
          {"num_batches_tracked", norm.count}};
}

/// One tensor of theirs. `ours` is undefined where it has no use here; `unused` is then what it
/// starts as.
struct Pair {
  std::string name;
  at::Tensor ours;
  at::Tensor unused;
  bool counter = false;
};

bool has_running_range(const Layer& layer) {
  return layer.running.size() == 1 && layer.running[0].defined();
}

/// Their range buffers: (1, 1, 1, 1), (1, c, 1, 1) for a range per channel, (1) for a linear layer.
void add_range(std::vector<Pair>& pairs, const Layer& layer, const std::string& prefix) {
  const bool linear = layer.weight.dim() == 2, used = has_running_range(layer);
  const int64_t width = used ? layer.running[0].numel() : 1;
  const std::vector<int64_t> shape =
      linear ? std::vector<int64_t>{1} : std::vector<int64_t>{1, width, 1, 1};
  const auto pair = [&](const char* name, const std::vector<at::Tensor>& ours) {
    pairs.push_back({prefix + name, used ? ours[0].detach().view(shape) : at::Tensor(),
                     at::zeros(shape), false});
  };
  pair(".running_zero_point", layer.low);
  pair(".running_range", layer.running);
}

/// The list of norms, and the one that their class inherits and never uses.
void add_norms(std::vector<Pair>& pairs, const Layer& layer, const std::string& prefix) {
  for (const auto& [part, ours] : parts_of(layer.norms[0])) {
    const bool one = part == "weight" || part == "running_var";
    const at::Tensor plain = ours.detach();
    pairs.push_back(
        {prefix + "." + part, {}, one ? at::ones_like(plain) : at::zeros_like(plain), false});
  }
  for (size_t i = 0; i < layer.norms.size(); ++i)
    for (const auto& [part, ours] : parts_of(layer.norms[i]))
      pairs.push_back({fmt::format("{}.bn.{}.{}", prefix, i, part),
                       ours.detach(),
                       {},
                       part == "num_batches_tracked"});
}

/// All tensors of their state dictionary for this model.
std::vector<Pair> pairs_of(const SwitchableModel& model) {
  std::vector<Pair> pairs;
  for (const Layer& layer : model.layers()) {
    const AuthorsNames names = names_for(model.spec().nodes[static_cast<size_t>(layer.node)].name);
    pairs.push_back({names.conv + ".weight", layer.weight.detach(), {}, false});
    if (layer.bias.defined())
      pairs.push_back({names.conv + ".bias", layer.bias.detach(), {}, false});
    add_range(pairs, layer, names.conv);
    if (!layer.norms.empty()) add_norms(pairs, layer, names.norm);
  }
  return pairs;
}

// ---- Their network, from shapes

const at::Tensor* find(const NamedTensors& state, const std::string& name) {
  const auto found = state.find(name);
  return found == state.end() ? nullptr : &found->second;
}

const at::Tensor& weight_of(const NamedTensors& state, const std::string& name, int64_t dimensions,
                            const std::string& where) {
  const at::Tensor* weight = find(state, name);
  if (weight == nullptr)
    fail(where, fmt::format("has no '{}'; it is no checkpoint of the authors' train.py.", name));
  if (weight->dim() != dimensions || weight->numel() == 0)
    fail(where, fmt::format("'{}' has shape {}; it should have {} sizes, none of them 0.", name,
                            shape_text(weight->sizes()), dimensions));
  return *weight;
}

/// I of "cells.I._op.conv1.weight"; -1 for other names.
int64_t cell_of(const std::string& name) {
  constexpr std::string_view kCells = "cells.";
  if (!name.starts_with(kCells)) return -1;
  int64_t cell = -1;
  std::from_chars(name.data() + kCells.size(), name.data() + name.size(), cell);
  return cell;
}

/// i of "cells.0._op.bn1.bn.i.weight"; -1 for other names.
int64_t norm_index_in(const std::string& name) {
  constexpr std::string_view kList = ".bn.";
  const size_t at = name.rfind(kList);
  int64_t index = -1;
  if (at != std::string::npos)
    std::from_chars(name.data() + at + kList.size(), name.data() + name.size(), index);
  return index;
}

/// A cell as its tensors show it.
struct CellShape {
  std::string op;  // one of space_operators()
  int64_t out_channels = 0;
};

/// "k3_e6" from (in * 6, in, 1, 1), (in * 6, 1, 3, 3); what it is not ends up as a name the search
/// space does not have.
std::string operator_name(const at::Tensor& conv1, const at::Tensor& conv2, int64_t in_channels) {
  const int64_t groups = in_channels / conv1.size(1);
  return fmt::format("k{}_e{}{}", conv2.size(2), conv1.size(0) / in_channels,
                     groups > 1 ? fmt::format("_g{}", groups) : "");
}

CellShape cell_shape(const NamedTensors& state, int64_t cell, int64_t in_channels,
                     const std::string& where) {
  const std::string op = fmt::format("cells.{}._op.", cell);
  if (find(state, op + "conv.weight") != nullptr)
    return {"skip", weight_of(state, op + "conv.weight", 4, where).size(0)};
  if (find(state, op + "conv1.weight") == nullptr) return {"skip", in_channels};
  const at::Tensor& conv1 = weight_of(state, op + "conv1.weight", 4, where);
  const at::Tensor& conv2 = weight_of(state, op + "conv2.weight", 4, where);
  const std::string name = operator_name(conv1, conv2, in_channels);
  const std::vector<std::string>& known = space_operators();
  if (std::find(known.begin(), known.end(), name) == known.end())
    fail(where,
         fmt::format("cell {} has conv1 {} and conv2 {} on {} channels, which is none of the "
                     "operators {}.",
                     cell, shape_text(conv1.sizes()), shape_text(conv2.sizes()), in_channels,
                     fmt::join(known, ", ")));
  return {name, weight_of(state, op + "conv3.weight", 4, where).size(0)};
}

void check_cells(const NamedTensors& state, int64_t cells, size_t operators,
                 const std::string& where) {
  for (const auto& [name, tensor] : state) {
    if (name.find("._ops.") != std::string::npos)
      fail(where, fmt::format("holds the search's supernet ('{}'); give the weights that train.py "
                              "made of the derived network.",
                              name));
    if (cell_of(name) >= cells)
      fail(where, fmt::format("has '{}', but the layers per stage are {} in all; give "
                              "--layers-per-stage.",
                              name, cells));
  }
  if (operators != 0 && operators != static_cast<size_t>(cells))
    fail(where,
         fmt::format("the architecture has {} cells, but the layers per stage are {} in all; "
                     "give --layers-per-stage.",
                     operators, cells));
}

// ---- Filling

/// The first few of a list of sentences.
std::string first_few(const std::vector<std::string>& all) {
  constexpr size_t kShown = 3;
  const std::vector<std::string> few(all.begin(), all.begin() + std::min(kShown, all.size()));
  std::string text = fmt::format("{}", fmt::join(few, "; "));
  if (all.size() > kShown) text += fmt::format("; and {} more", all.size() - kShown);
  return text;
}

std::vector<std::string> problems(const NamedTensors& state, const std::vector<Pair>& pairs) {
  std::vector<std::string> found;
  std::set<std::string> known;
  for (const Pair& pair : pairs) {
    known.insert(pair.name);
    const at::Tensor* theirs = find(state, pair.name);
    if (!pair.ours.defined()) continue;
    if (theirs == nullptr) {
      if (!pair.counter) found.push_back(fmt::format("'{}' is missing", pair.name));
    } else if (theirs->numel() != pair.ours.numel() ||
               (pair.ours.dim() > 1 && theirs->sizes() != pair.ours.sizes())) {
      found.push_back(fmt::format("'{}' has shape {} where the network has {}", pair.name,
                                  shape_text(theirs->sizes()), shape_text(pair.ours.sizes())));
    }
  }
  for (const auto& [name, tensor] : state)
    if (!known.contains(name)) found.push_back(fmt::format("'{}' is unknown", name));
  return found;
}

/// A range that was never observed is zero; ours says so with a counter.
void set_seen(SwitchableModel& model) {
  for (Layer& layer : model.layers())
    if (has_running_range(layer))
      layer.seen[0].fill_(layer.running[0].count_nonzero().item<int64_t>() > 0 ? 1 : 0);
}

/// Whether depthwise convolutions have ranges per channel (their switch dws_chwise_quant).
bool per_channel_ranges(const NamedTensors& state) {
  return std::none_of(state.begin(), state.end(), [](const auto& entry) {
    return entry.first.ends_with("._op.conv2.running_range") && entry.second.dim() == 4 &&
           entry.second.size(1) == 1;
  });
}

}  // namespace

NamedTensors read_pytorch(const std::string& path) {
  const TorchFile file(path);
  const PyValue* state = state_of(file.top());
  if (state == nullptr)
    fail(path,
         fmt::format("holds {}, not a dictionary of tensors; in Python, load it with the code "
                     "that wrote it and torch.save(model.state_dict(), 'weights.pt') with "
                     "torch >= 1.6.",
                     what_it_holds(file.top())));
  NamedTensors tensors;
  for (const auto& [key, value] : state->entries)
    if (key->kind == Kind::Text && value->kind == Kind::Tensor)
      tensors[without_module(key->text)] = file.tensor(*value);
  return tensors;
}

std::vector<std::string> operators_from_alpha(const at::Tensor& alpha, const std::string& where) {
  const std::vector<std::string>& names = space_operators();
  const auto count = static_cast<int64_t>(names.size());
  if (alpha.dim() != 2 || alpha.size(1) != count || alpha.size(0) == 0)
    fail(where, fmt::format("alpha has shape {}; it should have {} weights for each cell.",
                            shape_text(alpha.sizes()), count));
  const at::Tensor weights = alpha.detach().to(at::kDouble).contiguous();
  if (!at::isfinite(weights).all().item<bool>())
    fail(where, "alpha has weights that are no finite numbers; the search that made it failed.");
  std::vector<std::string> operators;
  for (int64_t cell = 0; cell < alpha.size(0); ++cell) {
    const double* row = weights.data_ptr<double>() + cell * count;
    operators.push_back(names[static_cast<size_t>(std::max_element(row, row + count) - row)]);
  }
  return operators;
}

NetworkSpec authors_spec(const NamedTensors& state, const std::vector<std::string>& operators,
                         SpaceOptions structure, const std::string& where) {
  int64_t cells = 0;
  for (const int64_t layers : structure.layers_per_stage) cells += layers;
  check_cells(state, cells, operators.size(), where);
  const at::Tensor& stem = weight_of(state, "stem.conv.weight", 4, where);
  const at::Tensor& fc = weight_of(state, "fc.weight", 2, where);
  structure.stem_channels = stem.size(0);
  structure.input_channels = stem.size(1);
  structure.header_channels = fc.size(1);
  structure.classes = fc.size(0);
  structure.channels.clear();
  std::vector<std::string> found;
  int64_t channels = structure.stem_channels, cell = 0;
  for (const int64_t layers : structure.layers_per_stage) {
    for (int64_t i = 0; i < layers; ++i, ++cell) {
      const CellShape shape = cell_shape(state, cell, channels, where);
      const auto index = static_cast<size_t>(cell);
      if (!operators.empty() && operators[index] != shape.op)
        fail(where,
             fmt::format("cell {} is {} in the architecture, but its weights are those of {}; "
                         "give the architecture that the weights were trained with.",
                         cell, operators[index], shape.op));
      if (i > 0 && shape.out_channels != channels)
        fail(where, fmt::format("cell {} gives {} channels where its stage has {}; give "
                                "--layers-per-stage.",
                                cell, shape.out_channels, channels));
      channels = shape.out_channels;
      found.push_back(shape.op);
    }
    structure.channels.push_back(channels);
  }
  return space_network(found, structure);
}

std::vector<int> authors_bits(const NamedTensors& state, const std::string& where) {
  int64_t norms = 0;
  for (const auto& [name, tensor] : state)
    if (cell_of(name) >= 0) norms = std::max(norms, norm_index_in(name) + 1);
  if (norms == 5) return {4, 8, 12, 16, 32};
  if (norms == 4) return {4, 5, 6, 8};
  fail(where,
       fmt::format("has batch norms for {} bit-width{}, and files of the authors' code do not "
                   "say which; name them, for example --bits 4,8,32.",
                   norms, norms == 1 ? "" : "s"));
}

ModelOptions authors_model_options() {
  ModelOptions options;
  options.quant.kind = quant::Kind::Sbm;
  options.quant.range_scope = quant::RangeScope::Shared;
  options.quant.range_momentum = 0.9;
  options.quant.range_starts_at_first_batch = false;
  options.norm_scope = NormScope::QuantizedOnly;
  options.kernels = Kernels::Plain;
  options.layout = Layout::Contiguous;
  return options;
}

SwitchableModel model_from_authors(const NamedTensors& state, const NetworkSpec& spec,
                                   const std::vector<int>& bits, const std::string& where,
                                   std::vector<std::string>* ignored) {
  const at::NoGradGuard no_gradient;
  ModelOptions options = authors_model_options();
  options.quant.depthwise_per_channel = per_channel_ranges(state);
  SwitchableModel model(spec, bits, options, /*seed=*/0);
  const std::vector<Pair> pairs = pairs_of(model);
  const std::vector<std::string> wrong = problems(state, pairs);
  if (!wrong.empty())
    fail(where, fmt::format("does not fit the network with bits {}: {}; check --arch, --bits, "
                            "--layers-per-stage and --strides.",
                            fmt::join(bits, ","), first_few(wrong)));
  for (const Pair& pair : pairs) {
    const at::Tensor* theirs = find(state, pair.name);
    if (theirs == nullptr) continue;
    if (pair.ours.defined()) {
      at::Tensor target = pair.ours;
      target.copy_(theirs->reshape(target.sizes()));
    } else if (ignored != nullptr) {
      ignored->push_back(pair.name);
    }
  }
  set_seen(model);
  return model;
}

NamedTensors to_authors(const SwitchableModel& model) {
  const at::NoGradGuard no_gradient;
  NamedTensors state;
  for (const Pair& pair : pairs_of(model))
    state[pair.name] = (pair.ours.defined() ? pair.ours : pair.unused)
                           .to(at::kCPU)
                           .clone(at::MemoryFormat::Contiguous);
  return state;
}

}  // namespace instantnet::nn
