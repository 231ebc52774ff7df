#include "instantnet/train/start.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <map>

#include "instantnet/core/error.h"

namespace instantnet::train {
namespace {

void check_same_layers(const nn::SwitchableModel& target, const nn::SwitchableModel& source,
                       const std::string& where) {
  if (target.spec().nodes != source.spec().nodes || target.spec().classes != source.spec().classes)
    fail(where,
         fmt::format("holds the network '{}' ({} layers, {} classes), which is not the one to "
                     "train, '{}' ({} layers, {} classes); give a checkpoint of the same "
                     "network.",
                     source.spec().name, source.layers().size(), source.spec().classes,
                     target.spec().name, target.layers().size(), target.spec().classes));
}

void set_to(at::Tensor to, const at::Tensor& from) {
  if (to.defined() && from.defined()) to.copy_(from);
}

void copy_norm(nn::Norm& to, const nn::Norm& from) {
  set_to(to.scale, from.scale);
  set_to(to.shift, from.shift);
  set_to(to.mean, from.mean);
  set_to(to.variance, from.variance);
  set_to(to.count, from.count);
}

/// The source's place for a width of the target: its own, or the highest.
size_t place_of(const nn::SwitchableModel& source, int bits) {
  const std::vector<int>& known = source.bits();
  const auto found = std::find(known.begin(), known.end(), bits);
  return found != known.end() ? static_cast<size_t>(found - known.begin()) : known.size() - 1;
}

void copy_norms(nn::Layer& to, const nn::Layer& from, const nn::SwitchableModel& target,
                const nn::SwitchableModel& source) {
  if (from.norms.empty()) return;
  for (size_t i = 0; i < to.norms.size(); ++i) {
    const int bits = to.norms.size() == 1 ? target.bits().back() : target.bits()[i];
    copy_norm(to.norms[i],
              from.norms.size() == 1 ? from.norms[0] : from.norms[place_of(source, bits)]);
  }
}

bool same_options(const nn::SwitchableModel& a, const nn::SwitchableModel& b) {
  nn::ModelOptions one = a.options(), other = b.options();
  other.kernels = one.kernels;  // the same results
  return to_tree(nn::fields(one)) == to_tree(nn::fields(other));
}

std::map<std::string, at::Tensor> values_of(const nn::SwitchableModel& model) {
  std::map<std::string, at::Tensor> values;
  for (const nn::Named& one : model.tensors()) values[one.name] = one.tensor;
  return values;
}

void copy_layer(nn::Layer& to, const nn::Layer& from, const nn::SwitchableModel& target,
                const nn::SwitchableModel& source) {
  set_to(to.weight, from.weight);
  set_to(to.bias, from.bias);
  copy_norms(to, from, target, source);
  if (to.weight_state.step.defined())
    set_to(to.weight_state.step,
         target.quantizer().initial_weight_step(to.weight, target.master_bits(to)));
}

}  // namespace

void start_from(nn::SwitchableModel& target, const nn::SwitchableModel& source,
                const std::string& where) {
  check_same_layers(target, source, where);
  if (target.bits() == source.bits() && same_options(target, source))
    return target.load(values_of(source), where);
  const at::NoGradGuard no_gradients;
  for (size_t i = 0; i < target.layers().size(); ++i)
    copy_layer(target.layers()[i], source.layers()[i], target, source);
}

}  // namespace instantnet::train
