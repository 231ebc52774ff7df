#include "instantnet/nn/model.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "instantnet/core/error.h"
#include "instantnet/core/rng.h"

namespace instantnet::nn {

namespace {

constexpr uint64_t kWeightStream = 0x77656967687473;  // "weights"

/// Facts about the value a node computes, decided from the graph alone.
struct ValueFacts {
  bool is_signed = true;  // can be negative
  bool varies = false;    // depends on the bit-width the network runs at
};

using Facts = std::map<std::string, ValueFacts>;

ValueFacts facts_of(const Node& node, const Facts& known) {
  ValueFacts result{false, false};
  for (const std::string& input : node.inputs) {
    const ValueFacts& from = known.at(input);
    result.is_signed = result.is_signed || from.is_signed;
    result.varies = result.varies || from.varies;
  }
  if (node.op == Op::Conv || node.op == Op::Linear) {
    result.is_signed = true;
    result.varies = result.varies || node.bits == 0;
  }
  if (node.activation != Activation::None) result.is_signed = false;
  return result;
}

at::Tensor zeros(int64_t count) { return at::zeros({count}, at::kFloat); }
at::Tensor counter() { return at::zeros({}, at::kLong); }

at::Tensor drawn_weight(const Node& node, int64_t inputs, Rng rng) {
  const bool linear = node.op == Op::Linear;
  const int64_t fan_in = linear ? inputs : inputs / node.groups * node.kernel * node.kernel;
  at::Tensor weight =
      linear ? at::empty({node.channels, inputs})
             : at::empty({node.channels, inputs / node.groups, node.kernel, node.kernel});
  float* values = weight.data_ptr<float>();
  const double bound = 1.0 / std::sqrt(static_cast<double>(fan_in));
  const double deviation = std::sqrt(2.0 / static_cast<double>(fan_in));
  for (int64_t i = 0; i < weight.numel(); ++i)
    values[i] = static_cast<float>(linear ? rng.uniform(-bound, bound) : deviation * rng.normal());
  return linear ? weight : weight.contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor drawn_bias(const Node& node, int64_t fan_in, Rng rng) {
  at::Tensor bias = at::empty({node.channels});
  const double bound = 1.0 / std::sqrt(static_cast<double>(fan_in));
  for (int64_t i = 0; i < node.channels; ++i)
    bias.data_ptr<float>()[i] = static_cast<float>(rng.uniform(-bound, bound));
  return bias;
}

Norm fresh_norm(int64_t channels) {
  return {at::ones({channels}), zeros(channels), zeros(channels), at::ones({channels}), counter()};
}

/// "8" for one of several bit-widths, "all" for the only one.
std::string width_label(const std::vector<int>& bits, size_t index, size_t count) {
  return count == 1 ? "all" : std::to_string(bits[index]);
}

void add_norms(std::vector<Named>& all, const Layer& layer, const std::string& prefix,
               const std::vector<int>& bits) {
  for (size_t i = 0; i < layer.norms.size(); ++i) {
    const Norm& norm = layer.norms[i];
    const std::string name = prefix + ".norm." + width_label(bits, i, layer.norms.size());
    const int width = layer.norms.size() == 1 ? 0 : bits[i];
    all.push_back({name + ".scale", Role::NormScale, norm.scale, true, width});
    all.push_back({name + ".shift", Role::NormShift, norm.shift, true, width});
    all.push_back({name + ".mean", Role::NormMean, norm.mean, false, width});
    all.push_back({name + ".variance", Role::NormVariance, norm.variance, false, width});
    all.push_back({name + ".count", Role::Counter, norm.count, false, width});
  }
}

void add_ranges(std::vector<Named>& all, const Layer& layer, const std::string& prefix,
                const std::vector<int>& bits) {
  const size_t count = layer.seen.size();
  const auto add = [&](const char* what, Role role, const std::vector<at::Tensor>& tensors,
                       size_t i, bool learned) {
    if (i < tensors.size() && tensors[i].defined())
      all.push_back({prefix + "." + what + "." + width_label(bits, i, count), role, tensors[i],
                     learned, count == 1 ? 0 : bits[i]});
  };
  for (size_t i = 0; i < count; ++i) {
    add("range", Role::Range, layer.ranges, i, true);
    add("low", Role::RunningLow, layer.low, i, false);
    add("running", Role::RunningRange, layer.running, i, false);
    add("seen", Role::Counter, layer.seen, i, false);
  }
}

std::string listed(const std::vector<int>& bits) {
  std::string text;
  for (const int b : bits) text += (text.empty() ? "" : ", ") + std::to_string(b);
  return text;
}

/// Error when the quantizer has no weights of a width that a layer runs at.
void check_least_bits(const NetworkSpec& spec, const std::vector<int>& bits, int least) {
  const auto check_width = [&](int width, const std::string& where) {
    if (width < least)
      fail(where, "the quantizer has no " + std::to_string(width) +
                      "-bit weights; give widths from " + std::to_string(least) + " bits on.");
  };
  check_width(bits.front(), "bits");
  for (const Node& node : spec.nodes)
    if (node.bits != 0) check_width(node.bits, "layer '" + node.name + "'");
}

}  // namespace

const std::vector<std::pair<NormScope, std::string>>& names_of(NormScope) {
  static const std::vector<std::pair<NormScope, std::string>> names = {
      {NormScope::AfterQuantized, "after-quantized"}, {NormScope::QuantizedOnly, "quantized-only"}};
  return names;
}

const std::vector<std::pair<Kernels, std::string>>& names_of(Kernels) {
  static const std::vector<std::pair<Kernels, std::string>> names = {
      {Kernels::Auto, "auto"}, {Kernels::Fused, "fused"}, {Kernels::Plain, "plain"}};
  return names;
}

const std::vector<std::pair<Layout, std::string>>& names_of(Layout) {
  static const std::vector<std::pair<Layout, std::string>> names = {
      {Layout::ChannelsLast, "channels-last"}, {Layout::Contiguous, "contiguous"}};
  return names;
}

Fields fields(ModelOptions& options) {
  Fields all;
  all.add_group("quant", quant::fields(options.quant),
                "How weights and activations are quantized.");
  all.add("norm_scope", options.norm_scope,
          "Which layers have a batch norm per bit-width: after-quantized (all whose input depends "
          "on it), or quantized-only "
          "(the authors' code: stem and header share one).");
  all.add("norm_momentum", options.norm_momentum,
          "Share of the newest batch in batch norm's running statistics.", {0.0, 1.0, ""});
  all.add("norm_epsilon", options.norm_epsilon, "Added to the variance in batch norm.",
          {0.0, 1.0, ""});
  all.add("kernels", options.kernels,
          "fused (oneDNN with quantization, batch norm and activation fused around it; CPU), plain "
          "(one tensor operation after "
          "the other; any device), or auto.");
  all.add("layout", options.layout,
          "Order of values in memory: channels-last, or contiguous (the authors' code; plain "
          "kernels only, slower).");
  return all;
}

SwitchableModel::SwitchableModel(NetworkSpec spec, std::vector<int> bits, ModelOptions options,
                                 uint64_t seed)
    : spec_(std::move(spec)),
      bits_(std::move(bits)),
      options_(std::move(options)),
      quantizer_(quant::make_quantizer(options_.quant)) {
  check_bits(bits_, "bits");
  check(spec_);
  check_least_bits(spec_, bits_, quantizer_->least_bits());
  const std::vector<TensorShape> shapes = infer_shapes(spec_);
  std::map<std::string, TensorShape> shape_of = {
      {"input", {spec_.channels, spec_.height, spec_.width, false}}};
  Facts facts = {{"input", {true, false}}};
  for (size_t i = 0; i < spec_.nodes.size(); ++i) {
    const Node& node = spec_.nodes[i];
    facts[node.name] = facts_of(node, facts);
    shape_of[node.name] = shapes[i];
    if (node.op != Op::Conv && node.op != Op::Linear) continue;
    const TensorShape& in = shape_of.at(node.inputs.at(0));
    const int64_t in_features =
        in.channels * std::max<int64_t>(in.height, 1) * std::max<int64_t>(in.width, 1);
    Layer layer;
    layer.node = static_cast<int>(i);
    const uint64_t index = layers_.size();
    layer.weight =
        drawn_weight(node, in.channels, Rng(seed, kWeightStream, 2 * index)).requires_grad_();
    if (node.bias)
      layer.bias =
          drawn_bias(node, layer.weight[0].numel(), Rng(seed, kWeightStream, 2 * index + 1))
              .requires_grad_();
    layer.switchable = node.bits == 0;
    layer.fixed_bits = node.bits == 0 ? 32 : node.bits;
    layer.depthwise = node.op == Op::Conv && node.groups > 1 && node.groups == in.channels;
    layer.signed_input = facts.at(node.inputs.at(0)).is_signed;
    layer.input_features = in_features;
    const bool several = options_.norm_scope == NormScope::AfterQuantized
                             ? facts.at(node.name).varies
                             : layer.switchable;
    if (node.batch_norm)
      for (size_t n = 0; n < (several ? bits_.size() : 1); ++n) {
        layer.norms.push_back(fresh_norm(node.channels));
        layer.norms.back().scale.requires_grad_();
        layer.norms.back().shift.requires_grad_();
      }
    const quant::RangeSource source = quantizer_->range_source();
    const bool quantizes = (layer.switchable || layer.fixed_bits < 32) &&
                           !options_.quant.weight_only && source != quant::RangeSource::Fixed;
    layer.per_channel_range = layer.depthwise && options_.quant.depthwise_per_channel &&
                              source == quant::RangeSource::MinMax &&
                              options_.quant.kind == quant::Kind::Sbm;
    if (quantizes) {
      const bool one = !layer.switchable || options_.quant.range_scope == quant::RangeScope::Shared;
      const size_t count = one ? 1 : bits_.size();
      for (size_t r = 0; r < count; ++r) {
        const bool used = one || bits_[r] < 32;
        const auto when_used = [&](at::Tensor tensor) { return used ? tensor : at::Tensor(); };
        layer.seen.push_back(when_used(counter()));
        if (source == quant::RangeSource::Learned) {
          layer.ranges.push_back(when_used(at::ones({1}).requires_grad_()));
        } else {
          const int64_t width = layer.per_channel_range ? in.channels : 1;
          layer.low.push_back(when_used(zeros(width)));
          layer.running.push_back(when_used(zeros(width)));
        }
      }
    }
    layers_.push_back(std::move(layer));
    Layer& made = layers_.back();
    if (quantizer_->learns_weight_step() &&
        (made.switchable ? bits_.front() < 32 : made.fixed_bits < 32))
      made.weight_state.step =
          quantizer_->initial_weight_step(made.weight, master_bits(made)).requires_grad_();
  }
}

const Layer& SwitchableModel::layer(const std::string& name) const {
  std::vector<std::string> names;
  for (const Layer& one : layers_) {
    names.push_back(spec_.nodes[static_cast<size_t>(one.node)].name);
    if (names.back() == name) return one;
  }
  fail("layer", "there is no convolution or linear layer '" + name + "'" + suggestion(name, names));
}

std::vector<Named> SwitchableModel::tensors() const {
  std::vector<Named> all;
  for (const Layer& layer : layers_) {
    const std::string& name = spec_.nodes[static_cast<size_t>(layer.node)].name;
    all.push_back({name + ".weight", Role::Weight, layer.weight, true, 0});
    if (layer.bias.defined()) all.push_back({name + ".bias", Role::Bias, layer.bias, true, 0});
    if (layer.weight_state.step.defined())
      all.push_back({name + ".step", Role::WeightStep, layer.weight_state.step, true, 0});
    add_norms(all, layer, name, bits_);
    add_ranges(all, layer, name, bits_);
  }
  return all;
}

std::vector<Named> SwitchableModel::parameters() const {
  std::vector<Named> all = tensors();
  std::erase_if(all, [](const Named& one) { return !one.learned; });
  return all;
}

void SwitchableModel::load(const std::map<std::string, at::Tensor>& values,
                           const std::string& where) {
  const at::NoGradGuard no_gradient;
  const std::vector<Named> all = tensors();
  std::set<std::string> known;
  for (const Named& one : all) {
    known.insert(one.name);
    const auto found = values.find(one.name);
    if (found == values.end())
      fail(where, "tensor '" + one.name +
                      "' is missing; the weights are of another network or of other bit-widths.");
    if (found->second.sizes() != one.tensor.sizes()) {
      std::ostringstream sentence;
      sentence << "tensor '" << one.name << "' has shape " << found->second.sizes()
               << "; the network needs " << one.tensor.sizes() << ".";
      fail(where, sentence.str());
    }
  }
  for (const auto& [name, value] : values)
    if (known.count(name) == 0)
      fail(where, "tensor '" + name +
                      "' belongs to no layer of the network; the weights are of another network or "
                      "of other bit-widths.");
  for (const Named& one : all) one.tensor.copy_(values.at(one.name));
}

void SwitchableModel::copy_norms_from(int from) {
  const at::NoGradGuard no_gradient;
  const auto source_index = static_cast<size_t>(index_of(from));
  for (Layer& layer : layers_) {
    if (layer.norms.size() > 1)
      for (size_t i = 0; i < layer.norms.size(); ++i) {
        if (i == source_index) continue;
        const Norm& source = layer.norms[source_index];
        Norm& norm = layer.norms[i];
        norm.scale.copy_(source.scale);
        norm.shift.copy_(source.shift);
        norm.mean.copy_(source.mean);
        norm.variance.copy_(source.variance);
        norm.count.copy_(source.count);
      }
    for (at::Tensor& seen : layer.seen)
      if (seen.defined()) seen.zero_();
    if (layer.weight_state.step.defined())
      layer.weight_state.step.copy_(
          quantizer_->initial_weight_step(layer.weight, master_bits(layer)));
  }
}

SwitchableModel SwitchableModel::clone() const {
  const at::NoGradGuard no_gradient;
  SwitchableModel copy = *this;
  const auto renew = [](at::Tensor& tensor) {
    if (!tensor.defined()) return;
    const bool learned = tensor.requires_grad();
    tensor = tensor.detach().clone();
    if (learned) tensor.requires_grad_();
  };
  for (Layer& layer : copy.layers_) {
    renew(layer.weight);
    renew(layer.bias);
    renew(layer.weight_state.step);
    for (Norm& norm : layer.norms)
      for (at::Tensor* tensor : {&norm.scale, &norm.shift, &norm.mean, &norm.variance, &norm.count})
        renew(*tensor);
    for (auto* group : {&layer.ranges, &layer.low, &layer.running, &layer.seen})
      for (at::Tensor& tensor : *group) renew(tensor);
  }
  return copy;
}

void SwitchableModel::to(const std::string& device) {
  const at::NoGradGuard no_gradient;
  for (const Named& one : tensors()) {
    if (one.role == Role::Counter) continue;  // read by the program, not by kernels
    at::Tensor handle = one.tensor;
    handle.set_data(one.tensor.detach().to(torch::Device(device)));
  }
  device_ = device;
}

int SwitchableModel::index_of(int bits) const {
  const auto found = std::find(bits_.begin(), bits_.end(), bits);
  if (found != bits_.end()) return static_cast<int>(found - bits_.begin());
  if (bits == 32) return static_cast<int>(bits_.size()) - 1;
  fail("bits", "the network was not made for " + std::to_string(bits) + " bits; it has " +
                   listed(bits_) + ".");
}

Precision SwitchableModel::effective(const Layer& layer, Precision asked) const {
  Precision result = layer.switchable ? asked : Precision{layer.fixed_bits, layer.fixed_bits};
  if (options_.quant.weight_only) result.activation = 32;
  return result;
}

int SwitchableModel::norm_index(const Layer& layer, Precision asked) const {
  return layer.norms.size() == 1 ? 0 : index_of(asked.weight);
}

int SwitchableModel::range_index(const Layer& layer, int bits) const {
  return layer.seen.size() == 1 ? 0 : index_of(bits);
}

int SwitchableModel::master_bits(const Layer& layer) const {
  if (!layer.switchable) return layer.fixed_bits;
  int highest = bits_.front();
  for (const int b : bits_)
    if (b < 32) highest = std::max(highest, b);
  return highest;
}

std::vector<Precision> SwitchableModel::uniform(int bits) const {
  index_of(bits);
  return std::vector<Precision>(layers_.size(), Precision{bits, bits});
}

void SwitchableModel::check_precisions(const std::vector<Precision>& precisions) const {
  if (precisions.size() != layers_.size())
    fail("precisions", std::to_string(precisions.size()) + " given for a network of " +
                           std::to_string(layers_.size()) +
                           " layers; give one for each convolution and linear layer.");
  for (const Precision& one : precisions) {
    index_of(one.weight);
    index_of(one.activation);
  }
}

}  // namespace instantnet::nn
