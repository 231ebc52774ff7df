#include "instantnet/interop/onnx_shapes.h"

#include <gtest/gtest.h>
#include <onnx/shape_inference/implementation.h>

#include <functional>

#include "instantnet/core/rng.h"
#include "interop/onnx_model.h"

namespace instantnet::interop {
namespace {

/// A model that grows by one operator at a time, always a valid one.
class GrowingModel : public OnnxModel {
 public:
  explicit GrowingModel(uint64_t seed) : rng_(seed) {
    sizes_ = {1 + number(3), 4 * (1 + number(4)), 8 + 2 * number(12), 8 + 2 * number(12)};
    last_ = input("x", sizes_);
  }

  /// The shapes that each step leaves are read from ONNX's own library by the test; here only as
  /// much is followed as the next step needs to be valid.
  void grow() {
    if (sizes_[1] * sizes_[2] * sizes_[3] > 100000) return;
    const std::vector<std::function<void()>> steps = {
        [this] { convolution(); }, [this] { pooling(); },   [this] { padding(); },
        [this] { slicing(); },     [this] { joining(); },   [this] { splitting(); },
        [this] { crossing(); },    [this] { folding(); },   [this] { adding(); },
        [this] { reducing(); },    [this] { deepening(); }, [this] { resizing(); },
        [this] { multiplying(); }, [this] { expanding(); }, [this] { gathering(); }};
    steps[rng_.below(steps.size())]();
  }

 private:
  int64_t number(int64_t below) {
    return static_cast<int64_t>(rng_.below(static_cast<uint64_t>(below)));
  }
  std::string fresh(const char* base) { return base + std::to_string(++count_); }
  void leave(const onnx::NodeProto& made, std::vector<int64_t> sizes) {
    last_ = made.output(0);
    sizes_ = std::move(sizes);
  }

  void convolution() {
    if (sizes_[2] < 6 || sizes_[3] < 6) return padding();
    const int64_t groups = sizes_[1] % 2 == 0 ? 1 + number(2) : 1, k = groups * (1 + number(8));
    const int64_t r = 1 + number(3), s = 1 + number(3);
    auto& made =
        node("Conv", fresh("conv"), {last_, weights(fresh("w"), {k, sizes_[1] / groups, r, s})});
    const int64_t stride = 1 + number(2), dilation = 1 + number(2);
    set(made, "strides", {stride, stride});
    set(made, "dilations", {dilation, dilation});
    set(made, "group", groups);
    if (rng_.flip())
      set(made, "pads", {4, 3, 4, 2});
    else
      set_text(made, "auto_pad", stride == 1 || dilation == 1 ? "SAME_UPPER" : "VALID");
    const bool padded = made.attribute(3).name() == "pads";
    const bool same = !padded && (stride == 1 || dilation == 1);
    const auto out = [&](int64_t in, int64_t pad, int64_t kernel) {
      return same ? (in + stride - 1) / stride
                  : (in + pad - dilation * (kernel - 1) - 1) / stride + 1;
    };
    leave(made,
          {sizes_[0], k, out(sizes_[2], padded ? 8 : 0, r), out(sizes_[3], padded ? 5 : 0, s)});
  }
  void pooling() {
    if (sizes_[2] < 6 || sizes_[3] < 6) return padding();
    auto& made = node(rng_.flip() ? "MaxPool" : "AveragePool", fresh("pool"), {last_});
    const int64_t partial = number(2);
    set(made, "kernel_shape", {3, 2});
    set(made, "strides", {2, 3});
    set(made, "ceil_mode", partial);
    set(made, "pads", {1, 1, 1, 0});
    const auto out = [&](int64_t rest, int64_t by) {
      return (rest + (partial ? by - 1 : 0)) / by + 1;
    };
    leave(made, {sizes_[0], sizes_[1], out(sizes_[2] + 2 - 3, 2), out(sizes_[3] + 1 - 2, 3)});
  }
  void padding() {
    const auto& made =
        node("Pad", fresh("pad"), {last_, numbers(fresh("p"), {0, 0, 3, 4, 0, 0, 5, 6})});
    leave(made, {sizes_[0], sizes_[1], sizes_[2] + 8, sizes_[3] + 10});
  }
  void slicing() {
    const int64_t step = 1 + number(2), end = sizes_[2] / 2 + 1;
    const auto& made = node(
        "Slice", fresh("slice"),
        {last_, numbers(fresh("from"), {rng_.flip() ? 0 : -sizes_[2]}), numbers(fresh("to"), {end}),
         numbers(fresh("axes"), {-2}), numbers(fresh("steps"), {step})});
    leave(made, {sizes_[0], sizes_[1], (end - 1) / step + 1, sizes_[3]});
  }
  void joining() {
    auto& made = node("Concat", fresh("join"), {last_, last_});
    set(made, "axis", rng_.flip() ? 1 : -3);
    leave(made, {sizes_[0], 2 * sizes_[1], sizes_[2], sizes_[3]});
  }
  void splitting() {
    if (sizes_[1] < 2) return;
    auto& made =
        node("Split", fresh("split"), {last_, numbers(fresh("parts"), {sizes_[1] - 1, 1})});
    made.add_output(fresh("rest"));
    set(made, "axis", 1);
    leave(made, {sizes_[0], sizes_[1] - 1, sizes_[2], sizes_[3]});
  }
  void crossing() {
    auto& made = node("Transpose", fresh("cross"), {last_});
    set(made, "perm", {0, 1, 3, 2});
    leave(made, {sizes_[0], sizes_[1], sizes_[3], sizes_[2]});
  }
  /// (n, c, h, w) -> (n, c, h w) -> (n, c, h w, 1), the target from Shape, Slice and Concat.
  void folding() {
    const auto& shape = node("Shape", fresh("shape"), {last_});
    const auto& front =
        node("Slice", fresh("front"),
             {shape.output(0), numbers(fresh("from"), {0}), numbers(fresh("to"), {2})});
    auto& target = node("Concat", fresh("target"), {front.output(0), numbers(fresh("open"), {-1})});
    set(target, "axis", 0);
    const auto& flat = node("Reshape", fresh("fold"), {last_, target.output(0)});
    const auto& made =
        node("Unsqueeze", fresh("deep"), {flat.output(0), numbers(fresh("at"), {3})});
    leave(made, {sizes_[0], sizes_[1], sizes_[2] * sizes_[3], 1});
  }
  void adding() {
    const auto& made =
        node("Add", fresh("add"), {last_, weights(fresh("b"), {sizes_[1], 1, sizes_[3]})});
    leave(made, sizes_);
  }
  void reducing() {
    auto& made = node("ReduceMean", fresh("mean"), {last_});
    set(made, "axes", {2, -1});
    set(made, "keepdims", number(2));
    node("Flatten", fresh("flat"), {made.output(0)});  // a branch that ends
  }
  void deepening() {
    if (sizes_[2] % 2 != 0 || sizes_[3] % 2 != 0) return;
    auto& made = node("SpaceToDepth", fresh("deal"), {last_});
    set(made, "blocksize", 2);
    leave(made, {sizes_[0], 4 * sizes_[1], sizes_[2] / 2, sizes_[3] / 2});
  }
  void resizing() {
    const std::string scales = fresh("scales");
    weights(scales, {4});
    auto& tensor = *graph().mutable_initializer(graph().initializer_size() - 1);
    for (int i = 0; i < 4; ++i) tensor.set_float_data(i, i < 2 ? 1.0F : 1.5F);
    const auto& made = node("Resize", fresh("larger"), {last_, "", scales});
    leave(made, {sizes_[0], sizes_[1], sizes_[2] * 3 / 2, sizes_[3] * 3 / 2});
  }
  void multiplying() {
    const int64_t columns = 1 + number(9);
    const auto& made =
        node("MatMul", fresh("mul"), {last_, weights(fresh("m"), {sizes_[3], columns})});
    leave(made, {sizes_[0], sizes_[1], sizes_[2], columns});
  }
  void expanding() {
    const auto& made = node("Tile", fresh("tile"), {last_, numbers(fresh("times"), {1, 2, 1, 3})});
    leave(made, {sizes_[0], 2 * sizes_[1], sizes_[2], 3 * sizes_[3]});
  }
  void gathering() {
    auto& made = node("Gather", fresh("gather"), {last_, numbers(fresh("which"), {0, 0, 0})});
    set(made, "axis", 2);
    leave(made, {sizes_[0], sizes_[1], 3, sizes_[3]});
  }

  Rng rng_;
  int count_ = 0;
  std::string last_;
  std::vector<int64_t> sizes_;
};

/// What ONNX's library infers, by tensor, where it is complete.
std::map<std::string, std::vector<int64_t>> reference_shapes(onnx::ModelProto model) {
  const onnx::ShapeInferenceOptions options(false, 1, true);
  onnx::shape_inference::InferShapes(model, onnx::OpSchemaRegistry::Instance(), options);
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const auto& value : model.graph().value_info()) {
    std::vector<int64_t> sizes;
    bool complete = value.type().tensor_type().has_shape();
    for (const auto& size : value.type().tensor_type().shape().dim()) {
      complete = complete && size.has_dim_value();
      sizes.push_back(size.dim_value());
    }
    if (complete) shapes[value.name()] = sizes;
  }
  return shapes;
}

TEST(OnnxShapes, EqualThoseOfOnnxsOwnLibraryOnRandomModels) {
  size_t compared = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    GrowingModel model(seed);
    for (int i = 0; i < 12; ++i) model.grow();
    const TemporaryFile file("grown.onnx", model.proto.SerializeAsString());
    const OnnxShapes ours = infer_shapes(read_onnx(file.path(), 0));
    for (const auto& [name, sizes] : reference_shapes(model.proto)) {
      const auto found = ours.known.find(name);
      const auto why = ours.unknown.find(name);
      ASSERT_NE(found, ours.known.end()) << "seed " << seed << ": " << name << ": "
                                         << (why == ours.unknown.end() ? "" : why->second);
      ASSERT_EQ(found->second, sizes) << "seed " << seed << ": " << name;
      ++compared;
    }
  }
  EXPECT_GT(compared, 4000u);
}

}  // namespace
}  // namespace instantnet::interop
