#include "instantnet/interop/onnx_export.h"

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <map>
#include <string>

#include "instantnet/net/zoo.h"
#include "net/expect_error.h"
#include "runtime/random_model.h"

namespace instantnet::interop {
namespace {

runtime::IntModel small() {
  runtime::RandomModelOptions options;
  options.bits = {4, 8, 12};
  options.sbm = 0;
  return runtime::random_model(zoo_network("resnet8"), 3, options);
}

onnx::ModelProto exported(OnnxFormat format, int bits) {
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(onnx_bytes(small(), format, bits)));
  return model;
}

std::map<std::string, int> operators(const onnx::ModelProto& model) {
  std::map<std::string, int> count;
  for (const auto& node : model.graph().node()) ++count[node.op_type()];
  return count;
}

TEST(OnnxExport, AtEightBitsTheSumOfActivationsIsAConvolutionOfItsOwn) {
  auto four = operators(exported(OnnxFormat::Qdq, 4));
  auto eight = operators(exported(OnnxFormat::Qdq, 8));
  EXPECT_GT(four["QuantizeLinear"], 0);
  EXPECT_GT(eight["Conv"], four["Conv"]);
}

TEST(OnnxExport, QonnxHoldsTheMeaningOfItsNodes) {
  const onnx::ModelProto model = exported(OnnxFormat::Qonnx, 12);
  ASSERT_EQ(model.functions_size(), 1);
  EXPECT_EQ(model.functions(0).name(), "IntQuant");
  EXPECT_GT(operators(model)["IntQuant"], 0);
}

TEST(OnnxExport, TheWidthIsAnInputOfASwitchableFile) {
  const onnx::ModelProto model = exported(OnnxFormat::Switchable, 0);
  ASSERT_EQ(model.graph().input_size(), 2);
  EXPECT_EQ(model.graph().input(1).name(), "width");
  for (const auto& node : model.graph().node()) EXPECT_EQ(node.domain(), "");
}

TEST(OnnxExport, RefusesWidthsWithASentence) {
  EXPECT_EQ(
      error_of([] { onnx_bytes(small(), OnnxFormat::Qdq, 12); }),
      "export --bits: qdq holds 8-bit codes, so 12 bits cannot be written; give a width up to "
      "8, or --format qonnx.");
  EXPECT_EQ(error_of([] { onnx_bytes(small(), OnnxFormat::Qonnx, 5); }),
            "export --bits: the model cannot be exported at 5 bits; it has 4, 8, 12.");
}

}  // namespace
}  // namespace instantnet::interop
