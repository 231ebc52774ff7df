// Damaged and hostile ONNX files: each is read or refused with one sentence; nothing crashes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "instantnet/core/error.h"
#include "instantnet/core/rng.h"
#include "instantnet/interop/onnx_import.h"
#include "interop/onnx_model.h"

namespace instantnet::interop {
namespace {

/// A network with the operators that exporters write: everything a mutation can spoil.
OnnxModel sample() {
  OnnxModel model;
  auto& first =
      model.node("Conv", "a", {model.input("x", {0, 3, 16, 16}), model.weights("w", {4, 3, 3, 3})});
  set(first, "pads", {1, 1, 1, 1});
  set(first, "strides", {2, 2});
  set(first, "dilations", {1, 1});
  set(first, "group", 1);
  model.node("BatchNormalization", "bn", {"a_out", model.weights("s", {4}), "s", "s", "s"});
  model.node("Clip", "clip", {"bn_out", model.weights("low", {}), model.weights("high", {})});
  for (const char* op : {"MaxPool", "AveragePool"}) {
    auto& pool = model.node(op, op, {"clip_out"});
    set(pool, "kernel_shape", {2, 2});
    set(pool, "strides", {2, 2});
    set(pool, "ceil_mode", 1);
  }
  model.node("Add", "add", {"MaxPool_out", "AveragePool_out"});
  set(model.node("Transpose", "across", {"add_out"}), "perm", {0, 2, 3, 1});
  model.node("Resize", "larger", {"add_out", "", model.weights("scales", {4})});
  model.node("Slice", "part",
             {"add_out", model.numbers("from", {0}), model.numbers("to", {3}),
              model.numbers("axes", {2}), model.numbers("step", {1})});
  auto& split = model.node("Split", "split", {"add_out", model.numbers("parts", {1, 3})});
  split.add_output("rest");
  set(split, "axis", 1);
  set(model.node("Concat", "join", {"rest", "add_out"}), "axis", 1);
  model.node("Pad", "pad", {"join_out", model.numbers("around", {0, 0, 1, 1, 0, 0, 1, 1})});
  model.node("Unsqueeze", "deeper", {"add_out", model.numbers("at", {0})});
  model.node("Squeeze", "flatter", {"deeper_out", "at"});
  set(model.node("ReduceMean", "mean", {"flatter_out"}), "axes", {2, 3});
  set(model.node("DepthToSpace", "deal", {"add_out"}), "blocksize", 2);
  model.node("Tile", "tile", {"add_out", model.numbers("times", {1, 1, 2, 2})});
  model.node("Expand", "expand", {"add_out", model.numbers("wide", {2, 4, 4, 4})});
  model.node("Shape", "shape", {"add_out"});
  set(model.node("Gather", "one", {"shape_out", model.numbers("zero", {0})}), "axis", 0);
  set(model.node("Concat", "target", {"one_out", model.numbers("minus", {-1})}), "axis", 0);
  model.node("ConstantOfShape", "filled", {"target_out"});
  model.node("Range", "range",
             {model.numbers("r0", {0}), model.numbers("r1", {9}), model.numbers("r2", {2})});
  model.node("Reshape", "flat", {"add_out", "target_out"});
  set(model.node("Flatten", "flat2", {"add_out"}), "axis", 1);
  auto& up = model.node("ConvTranspose", "up", {"add_out", model.weights("t", {4, 2, 3, 3})});
  set(up, "strides", {2, 2});
  set(model.node("Gemm", "fc", {"flat_out", model.weights("v", {10, 64})}), "transB", 1);
  model.node("MatMul", "m", {"fc_out", model.weights("u", {10, 5})});
  set(model.node("Softmax", "soft", {"m_out"}), "axis", -1);
  auto& top = model.node("TopK", "top", {"m_out", model.numbers("k", {2})});
  top.add_output("places");
  set(top, "axis", -1);
  set(model.node("OneHot", "hot", {"k", "k", "parts"}), "axis", -1);
  model.output("soft_out");
  return model;
}

/// True when the file was read, false when it was refused. Anything else ends the test program.
bool survives(const std::string& bytes) {
  const TemporaryFile file("hostile.onnx", bytes);
  try {
    import_onnx(file.path());
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return false;
  }
}

const std::vector<int64_t>& nasty_numbers() {
  static const std::vector<int64_t> all = {0,
                                           -1,
                                           1,
                                           2,
                                           3,
                                           7,
                                           64,
                                           1 << 20,
                                           1 << 30,
                                           int64_t{1} << 31,
                                           int64_t{1} << 40,
                                           -2,
                                           -3,
                                           -7,
                                           -(1 << 30),
                                           INT64_MAX,
                                           INT64_MIN,
                                           INT32_MAX,
                                           INT32_MIN};
  return all;
}

int64_t nasty(Rng& rng) { return nasty_numbers()[rng.below(nasty_numbers().size())]; }

/// Spoils one thing that stands in the model: a number, a name, a count of inputs.
void spoil(onnx::GraphProto& graph, Rng& rng) {
  auto& node = *graph.mutable_node(static_cast<int>(rng.below(graph.node_size())));
  switch (rng.below(9)) {
    case 0:
      if (node.attribute_size() > 0) {
        auto& attribute =
            *node.mutable_attribute(static_cast<int>(rng.below(node.attribute_size())));
        if (attribute.ints_size() > 0)
          attribute.set_ints(static_cast<int>(rng.below(attribute.ints_size())), nasty(rng));
        else
          attribute.set_i(nasty(rng));
      }
      return;
    case 1:
      if (node.attribute_size() > 0) node.mutable_attribute()->RemoveLast();
      return;
    case 2:
      if (node.input_size() > 0) node.mutable_input()->RemoveLast();
      return;
    case 3:
      node.add_input(
          graph.initializer(static_cast<int>(rng.below(graph.initializer_size()))).name());
      return;
    case 4:
      if (node.input_size() > 0)
        node.set_input(static_cast<int>(rng.below(node.input_size())),
                       graph.node(static_cast<int>(rng.below(graph.node_size()))).output(0));
      return;
    case 5:
      node.set_op_type(graph.node(static_cast<int>(rng.below(graph.node_size()))).op_type());
      return;
    case 6: {
      auto& tensor =
          *graph.mutable_initializer(static_cast<int>(rng.below(graph.initializer_size())));
      if (tensor.int64_data_size() > 0)
        tensor.set_int64_data(static_cast<int>(rng.below(tensor.int64_data_size())), nasty(rng));
      else if (tensor.dims_size() > 0)
        tensor.set_dims(static_cast<int>(rng.below(tensor.dims_size())), nasty(rng));
      return;
    }
    case 7: {
      auto& tensor =
          *graph.mutable_initializer(static_cast<int>(rng.below(graph.initializer_size())));
      tensor.set_data_type(static_cast<int>(rng.below(18)));
      return;
    }
    default: {
      auto& sizes = *graph.mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
      if (rng.below(2) == 0)
        sizes.mutable_dim(static_cast<int>(rng.below(sizes.dim_size())))->set_dim_value(nasty(rng));
      else if (sizes.dim_size() > 1)
        sizes.mutable_dim()->RemoveLast();
      return;
    }
  }
}

/// More for a long run: INSTANTNET_HOSTILE_FILES=1000000.
int files() {
  const char* const wanted = std::getenv("INSTANTNET_HOSTILE_FILES");
  return wanted == nullptr ? 1500 : std::atoi(wanted);
}

TEST(OnnxHostile, TheSampleItselfIsRead) {
  EXPECT_TRUE(survives(sample().proto.SerializeAsString()));
}

TEST(OnnxHostile, SpoiledModelsAreReadOrRefused) {
  Rng rng(11);
  int read = 0;
  for (int i = 0; i < files(); ++i) {
    OnnxModel model = sample();
    for (uint64_t n = 1 + rng.below(3); n > 0; --n) spoil(model.graph(), rng);
    if (survives(model.proto.SerializeAsString())) ++read;
  }
  EXPECT_GT(read, files() / 20);
  EXPECT_LT(read, files());
}

TEST(OnnxHostile, FlippedBytesAreReadOrRefused) {
  const std::string whole = sample().proto.SerializeAsString();
  Rng rng(12);
  for (int i = 0; i < files(); ++i) {
    std::string bytes = whole;
    for (uint64_t n = 1 + rng.below(4); n > 0; --n)
      bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
    survives(bytes);
  }
}

TEST(OnnxHostile, CutFilesAreReadOrRefused) {
  const std::string whole = sample().proto.SerializeAsString();
  for (size_t length = 0; length < whole.size(); length += 1 + whole.size() / 500)
    survives(whole.substr(0, length));
}

}  // namespace
}  // namespace instantnet::interop
