#include "instantnet/mapper/workload.h"

#include <fmt/format.h>

#include <algorithm>

#include "instantnet/core/error.h"

namespace instantnet::mapper {

namespace {

const std::array<std::string, kDims> kDimNames = {"n", "g", "k", "c", "p", "q", "r", "s"};
const std::array<std::string, kTensors> kTensorNames = {"weights", "inputs", "outputs"};

/// The index of a name, or an Error that lists all.
template <size_t Count>
size_t index_of(const std::array<std::string, Count>& names, const std::string& text,
                const std::string& where, const char* kind) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end())
    fail(where, fmt::format("'{}' is not a {}{}", text, kind,
                            suggestion(text, {names.begin(), names.end()})));
  return static_cast<size_t>(found - names.begin());
}

struct NamedBound {
  const char* name;
  int64_t value;
};

/// Costs are products of every bound, some of them twice and times bits; this keeps them exact.
constexpr int64_t kLargestProduct = int64_t{1} << 52;

int64_t checked_product(const std::vector<int64_t>& factors, const std::string& where,
                        const char* what) {
  int64_t product = 1;
  for (const int64_t factor : factors)
    if (__builtin_mul_overflow(product, factor, &product) || product > kLargestProduct)
      fail(where, fmt::format("the layer has more than 2^52 {}; give a smaller one.", what));
  return product;
}

}  // namespace

const std::string& to_string(Dim d) { return kDimNames[at(d)]; }
const std::string& to_string(Tensor t) { return kTensorNames[at(t)]; }

Dim parse_dim(const std::string& text, const std::string& where) {
  return kAllDims[index_of(kDimNames, text, where, "loop")];
}

Tensor parse_tensor(const std::string& text, const std::string& where) {
  return kAllTensors[index_of(kTensorNames, text, where, "tensor")];
}

PerDim bounds_of(const LayerShape& layer) {
  return {layer.n, layer.groups, layer.k / layer.groups, layer.c, layer.p, layer.q,
          layer.r, layer.s};
}

std::vector<Workload> merge_equal(const std::vector<Workload>& all) {
  std::vector<Workload> merged;
  for (const Workload& one : all) {
    const auto same = [&](const Workload& other) {
      return other.shape == one.shape && other.bits == one.bits;
    };
    const auto found = std::find_if(merged.begin(), merged.end(), same);
    if (found == merged.end())
      merged.push_back(one);
    else
      found->count += one.count;
  }
  return merged;
}

std::vector<Workload> workloads_of(const NetworkSpec& network, int64_t batch) {
  return merge_equal(network_layers(network, batch).layers);
}

NetworkLayers network_layers(const NetworkSpec& network, int64_t batch) {
  NetworkLayers all{network.name, {}, {}, batch};
  for (const NamedLayer& layer : layers(network)) {
    all.layers.push_back({layer.name, layer.shape, layer.bits, 1});
    all.layers.back().shape.n = batch;
  }
  for (const Node& node : network.nodes)
    if (node.op != Op::Conv && node.op != Op::Linear)
      all.unmapped.push_back(fmt::format("{} ({})", node.name, to_string(node.op)));
  return all;
}

void check(const LayerShape& layer, const std::string& where) {
  for (const auto& [name, value] : {NamedBound{"n", layer.n},
                                    {"k", layer.k},
                                    {"c", layer.c},
                                    {"p", layer.p},
                                    {"q", layer.q},
                                    {"r", layer.r},
                                    {"s", layer.s},
                                    {"stride", layer.stride},
                                    {"dilation", layer.dilation},
                                    {"groups", layer.groups}})
    if (value < 1)
      fail(where, fmt::format("{} is {}; give a whole number from 1 on.", name, value));
  if (layer.k % layer.groups != 0)
    fail(where, fmt::format("k is {} and groups {}; k must be a multiple of groups.", layer.k,
                            layer.groups));
  checked_product({layer.n, layer.k, layer.c, layer.p, layer.q, layer.r, layer.s}, where,
                  "multiply-accumulates");
  const int64_t height = checked_product({layer.p, layer.stride}, where, "input rows") +
                         checked_product({layer.r, layer.dilation}, where, "input rows");
  const int64_t width = checked_product({layer.q, layer.stride}, where, "input columns") +
                        checked_product({layer.s, layer.dilation}, where, "input columns");
  checked_product({layer.n, layer.groups, layer.c, height, width}, where, "inputs");
}

}  // namespace instantnet::mapper
