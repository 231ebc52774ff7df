// From a model and bit-widths to the integers that are computed, equation by equation of
// docs/integer-model.md: which values are codes and which are streams, their scales, multipliers,
// offsets, shifts and clamps. Knows no memory and no kernels. Every machine prepares the same
// integers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "instantnet/net/precision.h"
#include "instantnet/runtime/graph.h"
#include "instantnet/runtime/int_model.h"
#include "instantnet/runtime/kernel.h"
#include "instantnet/runtime/requant.h"

namespace instantnet::runtime {

/// A model with what all its widths share. Immutable.
class Source {
 public:
  /// Takes a model that has passed check().
  explicit Source(IntModel model);
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  const IntModel& model() const { return model_; }
  const Graph& graph() const { return graph_; }
  /// Master codes in the kernels' order: a linear layer behind a flattened image (h, w, c).
  WeightSource weights(int layer) const;
  /// As FloatLayer::weights, in the kernels' order.
  const float* float_weights(int layer) const;
  ConvShape shape(int layer) const;

 private:
  template <class T>
  std::vector<T> kernel_order(int layer, const Numbers<T>& values) const;

  IntModel model_;
  Graph graph_;
  // By layer; empty where the order is the model's.
  std::vector<std::vector<uint16_t>> reordered_;
  std::vector<std::vector<float>> reordered_floats_;
};

/// The codes a reader takes: x = low + code * step, code in least .. most.
struct Grid {
  InputKind kind = InputKind::Image;
  CodeFormat format;
  int least = 0, most = 255;
  std::vector<double> step, low;  // one, or one a channel of the value it is applied to
  double step_of(int64_t channel) const { return step[step.size() == 1 ? 0 : channel]; }
  double low_of(int64_t channel) const { return low[low.size() == 1 ? 0 : channel]; }
  bool operator==(const Grid&) const = default;
};

/// Where output pixels lie to the image's border. Borders::count == 1 when nothing depends on it.
struct BorderTable {
  int count = 1;
  std::vector<uint16_t> row, column;
  /// Inside taps of each class: kernel rows and columns [begin, end).
  struct Taps {
    int row_begin = 0, row_end = 0, column_begin = 0, column_end = 0;
  };
  std::vector<Taps> taps;
  Borders view() const { return {count, row.data(), column.data()}; }
};

/// What a form of a value is.
enum class FormKind : uint8_t { Codes, Stream };

/// How a form is computed.
enum class Rule : uint8_t {
  Pixels,   // the image's bytes
  Table,    // of the image: table[channel * 256 + pixel], codes (stored) or stream values
  Layer,    // a convolution or linear layer of inputs[0], then requant
  Add,      // of streams, then the clamp
  Average,  // pooling of a stream
  Recode,   // stream to codes: requant
  Maximum,  // pooling
  Shuffle,
  Flatten,  // (h, w, c) to c, h, w in a row
};

/// One tensor of integers: a value as a stream, or as codes for one grid. A value may have several.
struct Form {
  int value = kImage;
  FormKind kind = FormKind::Codes;
  CodeFormat format;  // Codes
  int fraction = 0;   // Stream: value / 2^fraction
  TensorShape shape;
  Rule rule = Rule::Pixels;
  std::vector<int> inputs;      // forms
  int layer = -1;               // Rule::Layer
  RequantTable requant;         // Layer, Recode
  int32_t least = 0, most = 0;  // Add
  std::vector<int32_t> table;   // Table
};

/// One layer's numbers at its precision.
struct LayerNumbers {
  ConvProblem problem;
  BorderTable borders;
  int64_t least_sum = 0, most_sum = 0;  // what the sum can be
  int input = 0;                        // the form it reads
};

struct Prepared {
  std::vector<Precision> precisions;  // of the layers, as they run: fixed ones at theirs
  std::vector<LayerNumbers> layers;
  std::vector<Form> forms;  // each after its inputs
  int output = 0;           // form of the logits, a stream
};

/// `asked` has one precision a layer, or one for all; none is 32 bits. Error (where "set
/// precision") listing the widths there are.
Prepared prepare(const Source& source, const std::vector<Precision>& asked);

/// One entry a layer. Error as prepare; 32 bits pass when the model has them and all ask for them.
std::vector<Precision> expand(const IntModel& model, const std::vector<Precision>& asked);

}  // namespace instantnet::runtime
