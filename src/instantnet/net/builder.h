// Writes down a NetworkSpec layer by layer; each layer takes the one before unless told otherwise.
#pragma once

#include <string>

#include "instantnet/net/spec.h"
#include "instantnet/net/zoo.h"

namespace instantnet {

/// A convolution's numbers. Padding is kernel / 2: with stride 1 the image keeps its size.
struct ConvNumbers {
  int64_t channels = 0;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t groups = 1;
};

class NetworkBuilder {
 public:
  /// Image and classes of `options` must be given (not 0).
  NetworkBuilder(std::string name, const ZooOptions& options);

  /// Convolution with batch norm, without bias.
  Node& conv(const std::string& name, ConvNumbers numbers, Activation activation, int bits = 0);
  Node& linear(const std::string& name, int64_t channels,
               int bits = 0);  // with bias, no activation
  Node& max_pool(const std::string& name, int64_t kernel, int64_t stride, int64_t padding = 0);
  Node& shuffle(const std::string& name, int64_t groups);
  Node& dropout(const std::string& name, double probability);
  Node& plain(const std::string& name, Op op);  // GlobalAvgPool, Flatten
  /// The last layer added plus the output of `other`.
  Node& add(const std::string& name, const std::string& other, Activation activation);

  /// Name of the layer (or "input") the next one takes.
  const std::string& here() const { return here_; }
  /// The next layer takes this one's output.
  void go_to(const std::string& name) { here_ = name; }

  /// The network, checked.
  NetworkSpec done() const;

 private:
  Node& append(Node node);

  NetworkSpec spec_;
  std::string here_ = "input";
};

}  // namespace instantnet
