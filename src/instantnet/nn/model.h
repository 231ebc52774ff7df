// A network with weights that runs at several bit-widths: one weight tensor a layer, a batch norm and an activation range per
// bit-width.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "instantnet/core/config.h"
#include "instantnet/net/precision.h"
#include "instantnet/net/spec.h"
#include "instantnet/quant/quantizer.h"

namespace instantnet::nn {

/// Which layers have a batch norm per bit-width.
enum class NormScope {
  AfterQuantized,  // every layer whose input can depend on the bit-width, or is quantized itself (ours)
  QuantizedOnly,   // only quantized layers: stem and header share one among all bit-widths (the authors')
};
const std::vector<std::pair<NormScope, std::string>>& names_of(NormScope);

/// Which program computes the layers.
enum class Kernels {
  Auto,   // fused where the processor, the device and the quantizer allow, plain otherwise
  Fused,  // oneDNN convolutions with quantization, batch norm, activation and range observation fused around them (CPU)
  Plain,  // one tensor operation after the other, by autograd, on any device
};
const std::vector<std::pair<Kernels, std::string>>& names_of(Kernels);

/// Order of values in memory while the plain kernels run. It decides the order of sums, and so the last bits.
enum class Layout { ChannelsLast, Contiguous };
const std::vector<std::pair<Layout, std::string>>& names_of(Layout);

/// How a NetworkSpec becomes a model. Set in train.yaml under `model`.
struct ModelOptions {
  quant::QuantOptions quant;
  NormScope norm_scope = NormScope::AfterQuantized;
  double norm_momentum = 0.1;
  double norm_epsilon = 1e-5;
  Kernels kernels = Kernels::Auto;
  /// Of the plain kernels; Contiguous is the authors' and needs Kernels::Plain.
  Layout layout = Layout::ChannelsLast;
};
Fields fields(ModelOptions& options);

/// What a tensor of the model is, for optimisers and checkpoints.
enum class Role { Weight, Bias, NormScale, NormShift, Range, WeightStep, NormMean, NormVariance, RunningLow, RunningRange, Counter };

/// One named tensor. Parameters are float32 and learned; buffers are not.
struct Named {
  std::string name;  // "stem.weight", "stage1.block0.conv1.norm.8.scale", "stage1.block0.conv1.range.8"
  Role role = Role::Weight;
  at::Tensor tensor;
  bool learned = false;
  int bits = 0;      // the bit-width it belongs to; 0 = all
};

/// Batch norm of one layer at one bit-width (or at all).
struct Norm {
  at::Tensor scale, shift;    // (k), learned
  at::Tensor mean, variance;  // (k), running
  at::Tensor count;           // int64 (), batches seen
};

/// A convolution or linear layer.
struct Layer {
  int node = 0;               // index into spec().nodes
  at::Tensor weight;          // (k, c / groups, r, r), channels-last; linear (k, c)
  at::Tensor bias;            // (k) or undefined
  std::vector<Norm> norms;    // one per bit-width of the model, one in all, or none
  bool switchable = false;    // bits follow the precision; otherwise fixed_bits
  int fixed_bits = 32;
  bool depthwise = false;
  bool signed_input = false;  // the input can be negative: decided from the spec
  bool per_channel_range = false;
  int64_t input_features = 0; // numbers per sample of the input
  quant::WeightState weight_state;
  // Activation range of the input: per bit-width of the model (or one, RangeScope::Shared; or one for a fixed width).
  std::vector<at::Tensor> ranges;        // learned alpha (1)
  std::vector<at::Tensor> low, running;  // running zero point and range, (1) or (c), statistics
  std::vector<at::Tensor> seen;          // int64 (): batches observed (0: range not initialised)
};

/// The model: spec, bit-widths and tensors. Copying copies references to the tensors; clone() copies the tensors.
class SwitchableModel {
 public:
  /// Weights drawn from the seed: He normal, fan in (He et al., ICCV 2015) for convolutions, uniform +-1/sqrt(fan in) for
  /// linear layers; batch norm 1 and 0. `bits` ascending. Error as check_bits and check(spec).
  SwitchableModel(NetworkSpec spec, std::vector<int> bits, ModelOptions options, uint64_t seed);

  const NetworkSpec& spec() const { return spec_; }
  const std::vector<int>& bits() const { return bits_; }
  const ModelOptions& options() const { return options_; }
  const quant::Quantizer& quantizer() const { return *quantizer_; }

  std::vector<Layer>& layers() { return layers_; }
  const std::vector<Layer>& layers() const { return layers_; }
  /// The layer computing node `name`; Error with the nearest name when there is none.
  const Layer& layer(const std::string& name) const;

  /// Every tensor, in a fixed order. Tensors are references into the model.
  std::vector<Named> tensors() const;
  /// Learned tensors only.
  std::vector<Named> parameters() const;

  /// Copies values in by name. Error for a missing, unknown or misshapen one. `where` starts the message.
  void load(const std::map<std::string, at::Tensor>& values, const std::string& where);

  /// Batch norms and ranges of every width become those of width `from` (after a float-first phase). Learned ranges are
  /// left to be initialised from the next batch.
  void copy_norms_from(int from);

  /// An independent copy.
  SwitchableModel clone() const;
  /// Moves all tensors but counters ("cpu", "cuda:0").
  void to(const std::string& device);
  const std::string& device() const { return device_; }

  /// Position of a bit-width in bits(). 32 is always known: a model without it uses its highest width's place. Error
  /// listing the widths there are.
  int index_of(int bits) const;
  /// What a layer computes at when asked for `asked`: its fixed width when it has one; activations at 32 in weight-only mode.
  Precision effective(const Layer& layer, Precision asked) const;
  /// Which of layer.norms serves a layer that is asked for this precision: the one of its weight's width.
  int norm_index(const Layer& layer, Precision asked) const;
  /// Which of layer.ranges (low, running, seen) serves activations of `bits` < 32.
  int range_index(const Layer& layer, int bits) const;
  /// The highest width below 32 at which the layer's weight is quantized: its master width.
  int master_bits(const Layer& layer) const;
  /// One entry per layer for the network at one width.
  std::vector<Precision> uniform(int bits) const;
  /// Error unless there is one precision per layer, each of widths the model has.
  void check_precisions(const std::vector<Precision>& precisions) const;

 private:
  NetworkSpec spec_;
  std::vector<int> bits_;
  ModelOptions options_;
  std::shared_ptr<quant::Quantizer> quantizer_;
  std::vector<Layer> layers_;
  std::string device_ = "cpu";
};

}  // namespace instantnet::nn
