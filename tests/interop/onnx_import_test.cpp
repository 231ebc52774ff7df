#include "instantnet/interop/onnx_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "instantnet/core/error.h"
#include "instantnet/core/rng.h"
#include "interop/onnx_model.h"
#include "net/expect_error.h"

namespace instantnet::interop {
namespace {

using mapper::NetworkLayers;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

NetworkLayers imported(const OnnxModel& model, int64_t batch = 0) {
  const TemporaryFile file("model.onnx", model.proto.SerializeAsString());
  return import_onnx(file.path(), {batch});
}

/// The sentence behind the path of the file.
std::string refusal(const OnnxModel& model) {
  const TemporaryFile file("model.onnx", model.proto.SerializeAsString());
  const std::string told = error_of([&] { import_onnx(file.path()); });
  EXPECT_THAT(told, StartsWith(file.path() + ": "));
  return told.size() < file.path().size() + 2 ? told : told.substr(file.path().size() + 2);
}

LayerShape conv(int64_t n, int64_t k, int64_t c, int64_t p, int64_t q, int64_t r, int64_t s) {
  LayerShape shape;
  shape.n = n, shape.k = k, shape.c = c, shape.p = p, shape.q = q, shape.r = r, shape.s = s;
  return shape;
}

/// One convolution "a" of a 6-channel 20 x 30 image.
struct OneConv : OnnxModel {
  explicit OneConv(const std::vector<int64_t>& sizes = {8, 6, 3, 3})
      : made(node("Conv", "a", {input("x", {0, 6, 20, 30}), weights("w", sizes)})) {}
  onnx::NodeProto& made;
};

TEST(OnnxImport, ReadsAConvolution) {
  OneConv model;
  set(model.made, "pads", {1, 1, 1, 1});
  const NetworkLayers network = imported(model);
  EXPECT_EQ(network.network, "model");
  ASSERT_EQ(network.layers.size(), 1u);
  EXPECT_EQ(network.layers[0], (mapper::Workload{"a", conv(1, 8, 6, 20, 30, 3, 3), 0, 1}));
  EXPECT_THAT(network.unmapped, IsEmpty());
}

TEST(OnnxImport, ReadsKernelsThatAreNotSquare) {
  OneConv model({8, 6, 1, 7});
  set(model.made, "pads", {0, 3, 0, 3});
  EXPECT_EQ(imported(model).layers[0].shape, conv(1, 8, 6, 20, 30, 1, 7));
}

TEST(OnnxImport, ReadsStrideDilationAndBatch) {
  OneConv model;
  set(model.made, "strides", {2, 2});
  set(model.made, "dilations", {3, 3});
  set(model.made, "pads", {3, 3, 2, 2});  // before height, width, behind them
  LayerShape wanted = conv(5, 8, 6, 10, 15, 3, 3);
  wanted.stride = 2, wanted.dilation = 3;
  EXPECT_EQ(imported(model, 5).layers[0].shape, wanted);
}

TEST(OnnxImport, SaysHowManyImagesTheShapesHold) {
  OneConv open;
  EXPECT_EQ(imported(open).batch, 1);
  EXPECT_EQ(imported(open, 5).batch, 5);
  OnnxModel fixed;
  fixed.node("Conv", "a", {fixed.input("x", {2, 6, 9, 9}), fixed.weights("w", {8, 6, 3, 3})});
  EXPECT_EQ(imported(fixed).batch, 2);
  EXPECT_EQ(imported(fixed, 2).layers[0].shape.n, 2);
  EXPECT_THAT(error_of([&] { imported(fixed, 4); }),
              EndsWith("input 'x' is made for 2 images, not 4; export the model with an open first "
                       "size, or leave the batch to the file."));
}

TEST(OnnxImport, ReadsGroupsAndDepthwise) {
  for (const int64_t groups : {2, 3, 6}) {
    OneConv model({12, 6 / groups, 3, 3});
    set(model.made, "group", groups);
    LayerShape wanted = conv(1, 12, 6 / groups, 18, 28, 3, 3);
    wanted.groups = groups;
    EXPECT_EQ(imported(model).layers[0].shape, wanted);
  }
}

TEST(OnnxImport, PadsAsAutoPadSays) {
  for (const auto& [text, p, q] :
       {std::tuple{"SAME_UPPER", 10, 15}, std::tuple{"SAME_LOWER", 10, 15},
        std::tuple{"VALID", 9, 14}, std::tuple{"NOTSET", 9, 14}}) {
    OneConv model;
    set(model.made, "strides", {2, 2});
    set_text(model.made, "auto_pad", text);
    LayerShape wanted = conv(1, 8, 6, p, q, 3, 3);
    wanted.stride = 2;
    EXPECT_EQ(imported(model).layers[0].shape, wanted) << text;
  }
}

TEST(OnnxImport, AStrideWithoutEffectDoesNotCount) {
  OneConv model({8, 6, 20, 3});  // one row of output
  set(model.made, "strides", {5, 1});
  EXPECT_EQ(imported(model).layers[0].shape, conv(1, 8, 6, 1, 28, 20, 3));
}

TEST(OnnxImport, ReadsAOneDimensionalConvolutionAsARow) {
  OnnxModel model;
  set(model.node("Conv", "a", {model.input("x", {2, 4, 50}), model.weights("w", {3, 4, 5})}),
      "strides", std::vector<int64_t>{2});
  LayerShape wanted = conv(2, 3, 4, 1, 23, 1, 5);
  wanted.stride = 2;
  EXPECT_EQ(imported(model).layers[0].shape, wanted);
}

TEST(OnnxImport, ReadsGemmWithTransposedOperands) {
  for (const bool across : {false, true})
    for (const bool along : {false, true}) {
      OnnxModel model;
      const auto x =
          model.input("x", across ? std::vector<int64_t>{7, 3} : std::vector<int64_t>{3, 7});
      const auto w =
          model.weights("w", along ? std::vector<int64_t>{5, 7} : std::vector<int64_t>{7, 5});
      auto& made = model.node("Gemm", "fc", {x, w});
      set(made, "transA", across);
      set(made, "transB", along);
      EXPECT_EQ(imported(model).layers[0].shape, conv(3, 5, 7, 1, 1, 1, 1));
    }
}

TEST(OnnxImport, ReadsMatMulOfRowsGroupsAndBroadcasts) {
  const auto shape_of = [](const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
    OnnxModel model;
    model.node("MatMul", "m", {model.input("a", a), model.input("b", b)});
    return imported(model).layers[0].shape;
  };
  EXPECT_EQ(shape_of({4, 7}, {7, 5}), conv(4, 5, 7, 1, 1, 1, 1));
  EXPECT_EQ(shape_of({2, 3, 4, 7}, {7, 5}), conv(24, 5, 7, 1, 1, 1, 1));
  EXPECT_EQ(shape_of({4, 7}, {6, 7, 5}), conv(4, 30, 7, 1, 1, 1, 1));
  EXPECT_EQ(shape_of({7}, {7, 5}), conv(1, 5, 7, 1, 1, 1, 1));
  LayerShape heads = conv(4, 5 * 6, 7, 1, 1, 1, 1);  // one product a head
  heads.groups = 6;
  EXPECT_EQ(shape_of({2, 3, 4, 7}, {2, 3, 7, 5}), heads);
  LayerShape mixed = conv(2 * 4, 5 * 3, 7, 1, 1, 1, 1);
  mixed.groups = 3;
  EXPECT_EQ(shape_of({2, 3, 4, 7}, {3, 7, 5}), mixed);
}

TEST(OnnxImport, TheOperandThatNeverChangesIsTheWeights) {
  OnnxModel model;
  model.node("MatMul", "m", {model.weights("w", {4, 7}), model.input("x", {7, 5})});
  EXPECT_EQ(imported(model).layers[0].shape, conv(5, 4, 7, 1, 1, 1, 1));
}

TEST(OnnxImport, ReadsIntegerLayers) {
  OnnxModel model;
  const auto x = model.input("x", {1, 6, 20, 30});
  const auto scale = model.weights("scale", {1}), zero = model.weights("zero", {1});
  model.node("QLinearConv", "q",
             {x, scale, zero, model.weights("w", {8, 6, 3, 3}), scale, zero, scale, zero});
  model.node("ConvInteger", "i", {x, model.weights("v", {4, 6, 1, 1})});
  model.node("QLinearMatMul", "m",
             {x, scale, zero, model.weights("u", {30, 9}), scale, zero, scale, zero});
  const NetworkLayers network = imported(model);
  ASSERT_EQ(network.layers.size(), 3u);
  EXPECT_EQ(network.layers[0].shape, conv(1, 8, 6, 18, 28, 3, 3));
  EXPECT_EQ(network.layers[1].shape, conv(1, 4, 6, 20, 30, 1, 1));
  EXPECT_EQ(network.layers[2].shape, conv(120, 9, 30, 1, 1, 1, 1));
}

TEST(OnnxImport, FollowsShapesThroughANetworkAndListsTheRest) {
  OnnxModel model;
  set(model.node("Conv", "a", {model.input("x", {0, 3, 32, 32}), model.weights("w", {8, 3, 3, 3})}),
      "pads", {1, 1, 1, 1});
  model.node("Relu", "relu", {"a_out"});
  auto& pool = model.node("MaxPool", "pool", {"relu_out"});
  set(pool, "kernel_shape", {2, 2});
  set(pool, "strides", {2, 2});
  model.node("Shape", "shape", {"pool_out"});
  model.node("Gather", "first", {"shape_out", model.numbers("zero", {0})});
  set(model.node("Concat", "target", {"first_out", model.numbers("rest", {-1})}), "axis", 0);
  model.node("Reshape", "flat", {"pool_out", "target_out"});
  auto& fc = model.node("Gemm", "fc", {"flat_out", model.weights("v", {10, 2048})});
  set(fc, "transB", 1);
  set(fc, "bits", 8);
  const NetworkLayers network = imported(model.output("fc_out"), 4);
  ASSERT_EQ(network.layers.size(), 2u);
  EXPECT_EQ(network.layers[0].shape, conv(4, 8, 3, 32, 32, 3, 3));
  EXPECT_EQ(network.layers[0].bits, 0);
  EXPECT_EQ(network.layers[1], (mapper::Workload{"fc", conv(4, 10, 2048, 1, 1, 1, 1), 8, 1}));
  EXPECT_THAT(network.unmapped, ElementsAre("relu (Relu)", "pool (MaxPool)", "flat (Reshape)"));
}

TEST(OnnxImport, TakesWeightsThatAreUnpackedFirst) {
  OnnxModel model;
  const auto x = model.input("x", {1, 6, 20, 30});
  auto& packed = model.node("DequantizeLinear", "unpack",
                            {model.weights("w", {8, 6, 3, 3}), model.weights("scale", {1})});
  model.graph().mutable_initializer(0)->set_data_type(onnx::TensorProto::INT8);
  model.node("Conv", "a", {x, packed.output(0)});
  const NetworkLayers network = imported(model);
  EXPECT_EQ(network.layers[0].shape, conv(1, 8, 6, 18, 28, 3, 3));
  EXPECT_THAT(network.unmapped, IsEmpty());
}

TEST(OnnxImport, ListsLayersThatHaveNoMappingWithTheReason) {
  OneConv model;
  set(model.made, "strides", {1, 2});
  model.node("ConvTranspose", "up", {"x", model.weights("v", {6, 4, 3, 3})});
  model.node("Conv", "solid",
             {model.input("y", {1, 2, 8, 8, 8}), model.weights("u", {4, 2, 3, 3, 3})});
  model.node("Conv", "fine", {"x", model.weights("t", {4, 6, 1, 1})});
  const NetworkLayers network = imported(model);
  EXPECT_EQ(network.layers.size(), 1u);
  EXPECT_THAT(network.unmapped,
              ElementsAre("a (Conv: strides 1 x 2; a layer has one stride)",
                          "up (ConvTranspose: its multiply-accumulates are not counted)",
                          "solid (Conv: a 3-d convolution; 1-d and 2-d are mapped)"));
}

TEST(OnnxImport, NamesNodesWithoutAName) {
  OneConv model;
  model.made.clear_name();
  auto& twin = model.node("Conv", "b", {"x", "w"});
  twin.set_name("b");
  auto& other = model.node("Conv", "c", {"x", "w"});
  other.set_name("b");
  const NetworkLayers network = imported(model);
  ASSERT_EQ(network.layers.size(), 3u);
  EXPECT_EQ(network.layers[0].name, "a_out");
  EXPECT_EQ(network.layers[1].name, "b");
  EXPECT_EQ(network.layers[2].name, "b_2");
}

TEST(OnnxImport, TakesTheFilesWordBehindOperatorsItDoesNotKnow) {
  OnnxModel model;
  model.node("Magic", "magic", {model.input("x", {1, 6, 20, 30})}).set_domain("com.example");
  model.node("Conv", "a", {"magic_out", model.weights("w", {8, 4, 3, 3})});
  EXPECT_THAT(refusal(model),
              StartsWith("Conv 'a': the size of its input 'magic_out' cannot be inferred; 'magic' "
                         "(com.example.Magic): there is no rule for it."));
  auto& claim = *model.graph().add_value_info();
  claim.set_name("magic_out");
  claim.mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
  for (const int64_t size : {1, 4, 9, 9})
    claim.mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(size);
  const NetworkLayers network = imported(model);
  EXPECT_EQ(network.layers[0].shape, conv(1, 8, 4, 7, 7, 3, 3));
  EXPECT_THAT(network.unmapped,
              ElementsAre("magic (com.example.Magic: its multiply-accumulates are not counted)"));
}

// ---- Refusals

TEST(OnnxImportRefuses, FilesThatAreNoModel) {
  EXPECT_THAT(error_of([] { import_onnx("/nonexistent/a.onnx"); }),
              HasSubstr("/nonexistent/a.onnx"));
  for (const std::string bytes : {"", "name: x\n", "\x08\x08\x12\xff\xff\xff", "PK\x03\x04"}) {
    const TemporaryFile file("broken.onnx", bytes);
    EXPECT_THAT(error_of([&] { import_onnx(file.path()); }),
                testing::AllOf(StartsWith(file.path() + ": "),
                               EndsWith("give a model that torch.onnx.export or the like wrote.")));
  }
}

TEST(OnnxImportRefuses, ImpossibleAttributes) {
  for (const auto& [name, value, sentence] :
       {std::tuple{"strides", 0, "Conv 'a' has strides 0; give whole numbers from 1 to 2^30."},
        std::tuple{"dilations", -1,
                   "Conv 'a' has dilations -1; give whole numbers from 1 to 2^30."}}) {
    OneConv model;
    set(model.made, name, {1, value});
    EXPECT_EQ(refusal(model), sentence);
  }
  OneConv model;
  set(model.made, "group", 0);
  EXPECT_EQ(refusal(model), "Conv 'a' has group 0; give whole numbers from 1 to 2^30.");
  OneConv padded;
  set_text(padded.made, "auto_pad", "same");
  EXPECT_THAT(refusal(padded), HasSubstr("auto_pad is 'same'; known are NOTSET"));
  OneConv bits;
  set(bits.made, "bits", 17);
  EXPECT_EQ(refusal(bits), "Conv 'a': bits is 17; give 1 to 16 or 32.");
  OneConv strides;
  set(strides.made, "strides", {1, 1, 1});
  EXPECT_EQ(refusal(strides), "Conv 'a': strides has 3 values; its sizes ask for 2.");
}

TEST(OnnxImportRefuses, SizesThatDoNotGoTogether) {
  EXPECT_EQ(refusal(OneConv({8, 5, 3, 3})),
            "Conv 'a': 6 input channels, weights [8, 5, 3, 3] and 1 groups do not go together.");
  EXPECT_EQ(refusal(OneConv({8, 6, 21, 3})),
            "Conv 'a': a window of 21 is on an input of 20 with its padding; it does not fit.");
  EXPECT_THAT(refusal(OneConv({8, 6, 3})), HasSubstr("its data have 4 sizes and its weights 3"));
  OneConv kernel;
  set(kernel.made, "kernel_shape", {5, 5});
  EXPECT_EQ(refusal(kernel), "Conv 'a': kernel_shape is [5, 5], but the weights are [8, 6, 3, 3].");
  OnnxModel product;
  product.node("MatMul", "m", {product.input("a", {3, 4}), product.input("b", {5, 6})});
  EXPECT_EQ(refusal(product),
            "MatMul 'm': it multiplies [3, 4] and [5, 6]; the inner sizes differ.");
  OnnxModel gemm;
  gemm.node("Gemm", "g", {gemm.input("a", {3, 4}), gemm.input("b", {5, 6})});
  EXPECT_EQ(refusal(gemm), "Gemm 'g': it multiplies 3 x 4 and 5 x 6; the inner sizes differ.");
}

TEST(OnnxImportRefuses, OpenAndImpossibleInputs) {
  OnnxModel open;
  open.node("Conv", "a", {open.input("x", {1, 6, 0, 30}), open.weights("w", {8, 6, 3, 3})});
  EXPECT_EQ(refusal(open),
            "size 3 of input 'x' is open ('open'); export the model with a fixed image size.");
  OnnxModel negative;
  negative.node("Conv", "a",
                {negative.input("x", {1, 6, -4, 30}), negative.weights("w", {8, 6, 3, 3})});
  EXPECT_EQ(refusal(negative), "size 3 of input 'x' is -4; give a whole number from 1 to 2^30.");
  OnnxModel huge;
  huge.node("MatMul", "m",
            {huge.input("a", {1 << 30, 1 << 30}), huge.input("b", {1 << 30, 1 << 30})});
  EXPECT_THAT(refusal(huge), HasSubstr("MatMul 'm': the layer has more than 2^52"));
}

TEST(OnnxImportRefuses, TensorsNobodyMakesOrTwoNodesMake) {
  OnnxModel nobody;
  nobody.node("Conv", "a", {nobody.input("x", {1, 6, 9, 9}), "missing"});
  EXPECT_EQ(refusal(nobody), "Conv 'a' reads 'missing', which no node before it makes.");
  OneConv twice;
  twice.node("Relu", "r", {"x"}).set_output(0, "a_out");
  EXPECT_EQ(refusal(twice), "Relu 'r' makes 'a_out' again; every tensor has one maker.");
  OneConv without;
  without.made.mutable_input()->RemoveLast();
  EXPECT_EQ(refusal(without), "Conv 'a': there is no input 2, the weights.");
}

TEST(OnnxImportRefuses, DamagedTensors) {
  OneConv model;
  model.node("Reshape", "r", {"a_out", model.numbers("to", {1, -1})});
  model.graph().mutable_initializer(1)->set_dims(0, 3);
  EXPECT_EQ(refusal(model),
            "tensor 'to' holds 2 values where its sizes ask for 3; the file is cut or damaged.");
  model.graph().mutable_initializer(1)->set_dims(0, -3);
  EXPECT_EQ(refusal(model), "tensor 'to' has a size of -3; sizes are from 0 to 2^30.");
}

TEST(OnnxImportRefuses, LayersInFunctionsAndControlFlow) {
  OneConv called;
  auto& function = *called.proto.add_functions();
  function.set_name("Block");
  function.set_domain("local");
  called.node("Block", "block", {"a_out"}).set_domain("local");
  EXPECT_EQ(refusal(called),
            "local.Block 'block' calls a function of the model; inline functions before "
            "(onnx.inliner does).");
  OneConv looped;
  auto& body = *looped.node("Loop", "loop", {"x"}).add_attribute();
  body.set_name("body");
  body.set_type(onnx::AttributeProto::GRAPH);
  auto& inner = *body.mutable_g()->add_node();
  inner.set_op_type("Conv");
  inner.set_name("inside");
  EXPECT_EQ(refusal(looped),
            "Loop 'loop' holds the layer Conv 'inside'; layers in control flow cannot be mapped, "
            "export the "
            "model without it.");
}

TEST(OnnxImportRefuses, ModelsWithoutLayersOrVersion) {
  OnnxModel plain;
  plain.node("Relu", "r", {plain.input("x", {1, 2})});
  EXPECT_THAT(refusal(plain), StartsWith("has no layer to map"));
  OneConv unversioned;
  unversioned.proto.clear_opset_import();
  EXPECT_THAT(refusal(unversioned), StartsWith("says no version of ONNX's operators"));
}

}  // namespace
}  // namespace instantnet::interop
