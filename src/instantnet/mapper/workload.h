// What is mapped: a layer as eight loops, and which loops each of its three tensors depends on.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "instantnet/net/precision.h"
#include "instantnet/net/spec.h"

namespace instantnet::mapper {

/// The loops of a layer. K and C are per group; a depthwise layer has G channels and K = C = 1.
enum class Dim : uint8_t { N, G, K, C, P, Q, R, S };
inline constexpr int kDims = 8;
inline constexpr std::array<Dim, kDims> kAllDims = {Dim::N, Dim::G, Dim::K, Dim::C,
                                                    Dim::P, Dim::Q, Dim::R, Dim::S};

enum class Tensor : uint8_t { Weights, Inputs, Outputs };
inline constexpr int kTensors = 3;
inline constexpr std::array<Tensor, kTensors> kAllTensors = {Tensor::Weights, Tensor::Inputs,
                                                             Tensor::Outputs};

/// A value for each loop.
using PerDim = std::array<int64_t, kDims>;
constexpr size_t at(Dim d) { return static_cast<size_t>(d); }
constexpr size_t at(Tensor t) { return static_cast<size_t>(t); }

/// A value for each tensor.
template <class T>
struct PerTensor {
  T weights{}, inputs{}, outputs{};

  T& operator[](Tensor t) {
    return t == Tensor::Weights ? weights : t == Tensor::Inputs ? inputs : outputs;
  }
  const T& operator[](Tensor t) const {
    return t == Tensor::Weights ? weights : t == Tensor::Inputs ? inputs : outputs;
  }
  bool operator==(const PerTensor&) const = default;
};

/// "n", "g", ... and "weights", "inputs", "outputs": the names in files and tables.
const std::string& to_string(Dim d);
const std::string& to_string(Tensor t);
/// Error (prefix `where`) for anything else, with the names there are.
Dim parse_dim(const std::string& text, const std::string& where);
Tensor parse_tensor(const std::string& text, const std::string& where);

/// Loop bounds of a layer: K = k / groups, C = c, G = groups.
PerDim bounds_of(const LayerShape& layer);

/// Whether the elements of a tensor depend on a loop: weights on G K C R S, inputs on N G C P Q R
/// S, outputs on N G K P Q.
constexpr bool relevant(Tensor t, Dim d) {
  switch (t) {
    case Tensor::Weights:
      return d != Dim::N && d != Dim::P && d != Dim::Q;
    case Tensor::Inputs:
      return d != Dim::K;
    case Tensor::Outputs:
      return d != Dim::C && d != Dim::R && d != Dim::S;
  }
  return false;
}

/// A layer to map, and how often it occurs.
struct Workload {
  std::string name;  // of the first layer of this shape
  LayerShape shape;
  int bits = 0;  // 0 = as the network runs; else this layer always runs at this bit-width
  int64_t count = 1;
  bool operator==(const Workload&) const = default;
};

/// Equal (shape, bits) become one with the sum of their counts, in order of first occurrence.
std::vector<Workload> merge_equal(const std::vector<Workload>& all);

/// The layers of a network, equal (shape, bits) merged, in order of first occurrence.
std::vector<Workload> workloads_of(const NetworkSpec& network, int64_t batch = 1);

/// A network as the mapper sees it, whichever file it came from.
struct NetworkLayers {
  std::string network;
  std::vector<Workload> layers;  // every layer in order, not merged
  /// "pool1 (max_pool)": what is not mapped is listed, not dropped.
  std::vector<std::string> unmapped;
  int64_t batch = 1;  // images that the shapes hold
  bool operator==(const NetworkLayers&) const = default;
};
NetworkLayers network_layers(const NetworkSpec& network, int64_t batch = 1);

/// Error naming the layer when a bound is not positive, or a product that costs are counted with
/// would not fit in 62 bits.
void check(const LayerShape& layer, const std::string& where);

}  // namespace instantnet::mapper
