// The authors' PyTorch checkpoints: reading the files, and what becomes of the tensors.
#include "instantnet/nn/authors.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>
#include <filesystem>

#include "core/helpers.h"
#include "instantnet/core/rng.h"
#include "instantnet/nn/executor.h"
#include "nn/torch_save.h"

namespace instantnet::nn {
namespace {

using test::error_of;
using test::PlainState;
using test::spill;
using test::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;

/// Two stages, the second with stride 2: k3_e1_g2, then a skip with a convolution.
SpaceOptions small_structure() {
  SpaceOptions structure;
  structure.layers_per_stage = {1, 1};
  structure.channels = {4, 6};
  structure.strides = {1, 2};
  structure.stem_channels = 4;
  structure.header_channels = 8;
  structure.height = structure.width = 8;
  structure.classes = 3;
  return structure;
}

const std::vector<std::string> kSmallOperators = {"k3_e1_g2", "skip"};

/// A model of the small network whose every tensor is random.
SwitchableModel small_model(const std::vector<int>& bits, uint64_t seed = 3) {
  SwitchableModel model(space_network(kSmallOperators, small_structure()), bits,
                        authors_model_options(), seed);
  const at::NoGradGuard no_gradient;
  Rng rng(seed);
  for (const Named& one : model.tensors()) {
    at::Tensor flat = at::empty({one.tensor.numel()});
    for (int64_t i = 0; i < flat.numel(); ++i)
      flat.data_ptr<float>()[i] = static_cast<float>(rng.uniform(0.1, 1.0));
    if (one.role == Role::Counter) flat.fill_(1);
    at::Tensor target = one.tensor;
    target.copy_(flat.view(target.sizes()));
  }
  return model;
}

/// Float32 tensors only: counters are left out, as old checkpoints do.
PlainState plain(const NamedTensors& state, const std::string& prefix = {}) {
  PlainState result;
  for (const auto& [name, tensor] : state) {
    if (tensor.scalar_type() != at::kFloat) continue;
    const at::Tensor flat = tensor.contiguous();
    result.push_back(
        {prefix + name,
         {flat.sizes().vec(), {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()}}});
  }
  return result;
}

PlainState small_state() { return plain(to_authors(small_model({4, 8}))); }

void expect_equal(const NamedTensors& ours, const NamedTensors& theirs) {
  for (const auto& [name, tensor] : ours) {
    if (tensor.scalar_type() != at::kFloat) continue;
    ASSERT_TRUE(theirs.count(name) == 1) << name;
    EXPECT_TRUE(at::equal(tensor, theirs.at(name))) << name;
  }
}

std::string golden(const std::string& name) {
  return std::string(INSTANTNET_SHARED_DIR) + "/golden/reference/" + name;
}

/// The entries of a golden file that begin with `prefix`, which is taken off.
NamedTensors golden_state(const std::string& file, const std::string& prefix) {
  NamedTensors state;
  for (const auto& [name, tensor] : read_pytorch(golden(file)))
    if (name.starts_with(prefix)) state[name.substr(prefix.size())] = tensor;
  return state;
}

SpaceOptions golden_structure() {
  SpaceOptions structure;
  structure.layers_per_stage = {1, 2, 2, 1};
  structure.strides = {1, 2, 2, 1};
  structure.height = structure.width = 16;
  return structure;
}

TEST(TorchFile, ReadsAStateDictOfTorchSave) {
  TempFolder folder;
  spill(folder / "w.pt", test::torch_save(small_state()));
  expect_equal(to_authors(small_model({4, 8})), read_pytorch(folder / "w.pt"));
}

TEST(TorchFile, ReadsTheFormatBeforeTorch16) {
  TempFolder folder;
  spill(folder / "w.pt", test::torch_save_legacy(small_state()));
  expect_equal(to_authors(small_model({4, 8})), read_pytorch(folder / "w.pt"));
}

TEST(TorchFile, TakesTheNameOfDataParallelOff) {
  TempFolder folder;
  spill(folder / "w.pt", test::torch_save(plain(to_authors(small_model({4, 8})), "module.")));
  expect_equal(to_authors(small_model({4, 8})), read_pytorch(folder / "w.pt"));
}

TEST(TorchFile, ReadsWhatLibtorchItselfSaves) {
  c10::impl::GenericDict inner(c10::StringType::get(), c10::TensorType::get());
  const at::Tensor turned = at::arange(6, at::kLong).view({2, 3}).t();
  inner.insert("a", turned);
  inner.insert("b", at::full({2}, 0.5, at::kDouble));
  c10::impl::GenericDict outer(c10::StringType::get(), c10::AnyType::get());
  outer.insert("epoch", 3);
  outer.insert("state_dict", inner);
  const std::vector<char> bytes = torch::pickle_save(outer);
  TempFolder folder;
  spill(folder / "w.pt", std::string(bytes.begin(), bytes.end()));
  const NamedTensors read = read_pytorch(folder / "w.pt");
  ASSERT_EQ(read.size(), 2U);
  EXPECT_TRUE(at::equal(read.at("a"), turned));
  EXPECT_EQ(read.at("b").scalar_type(), at::kDouble);
}

TEST(TorchFile, EveryTruncationIsOneSentence) {
  TempFolder folder;
  for (const std::string& whole :
       {test::torch_save(small_state()), test::torch_save_legacy(small_state())})
    for (size_t keep = 0; keep < whole.size(); keep += 1 + whole.size() / 60) {
      spill(folder / "w.pt", whole.substr(0, keep));
      EXPECT_THAT(error_of([&] { read_pytorch(folder / "w.pt"); }), HasSubstr("w.pt")) << keep;
    }
}

TEST(TorchFile, NoFlippedByteIsMoreThanASentence) {
  TempFolder folder;
  const uint64_t seed = 11;
  Rng rng(seed);
  for (const std::string& whole :
       {test::torch_save(small_state()), test::torch_save_legacy(small_state())})
    for (int i = 0; i < 300; ++i) {
      std::string bytes = whole;
      // Half of the flips where the pickle is.
      const size_t at = rng.below(i % 2 == 0 ? bytes.size() : bytes.size() / 8);
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << rng.below(8)));
      spill(folder / "w.pt", bytes);
      try {
        read_pytorch(folder / "w.pt");  // a changed number in the older format has no digest
      } catch (const Error&) {
      }
    }
}

TEST(TorchFile, SaysHowToSaveOtherThingsAgain) {
  TempFolder folder;
  const std::string path = folder / "w.pt";
  spill(path, "not a checkpoint");
  EXPECT_THAT(error_of([&] { read_pytorch(path); }), HasSubstr("torch.save(model.state_dict()"));
  spill(path, test::zip({{"archive/data.pkl",
                          "\x80\x02"
                          "cmodels.net\nFBNet\n)\x81}b."}}));
  EXPECT_THAT(error_of([&] { read_pytorch(path); }),
              HasSubstr("holds a Python object of class models.net.FBNet"));
  EXPECT_THAT(error_of([&] { read_pytorch(folder / "none.pt"); }), HasSubstr("none.pt"));
}

TEST(Authors, OperatorsAreTheLargestWeights) {
  at::Tensor alpha = at::zeros({2, 9});
  alpha[0][8] = 1;
  alpha[1][2] = 0.5;
  EXPECT_THAT(operators_from_alpha(alpha, "arch.pt"), ElementsAre("skip", "k3_e3"));
  EXPECT_THAT(error_of([] {
                operators_from_alpha(at::zeros({2, 8}), "arch.pt");
              }),
              HasSubstr("arch.pt: alpha has shape (2, 8)"));
}

TEST(Authors, AModelSurvivesTheirNames) {
  const NamedTensors state = to_authors(small_model({4, 8}));
  const NetworkSpec spec = authors_spec(state, {}, small_structure(), "w.pt");
  EXPECT_EQ(spec, space_network(kSmallOperators, small_structure()));
  std::vector<std::string> ignored;
  const SwitchableModel model = model_from_authors(state, spec, {4, 8}, "w.pt", &ignored);
  expect_equal(state, to_authors(model));
  EXPECT_THAT(ignored, testing::Contains("cells.0._op.bn1.weight"));
  EXPECT_THAT(ignored, testing::Contains("stem.conv.running_range"));
}

TEST(Authors, RangesPerTensorInDepthwiseConvolutionsAreSeenInTheShapes) {
  NamedTensors state = to_authors(small_model({4, 8}));
  for (const char* name : {"running_range", "running_zero_point"})
    state[std::string("cells.0._op.conv2.") + name] = at::full({1, 1, 1, 1}, 2.0);
  const NetworkSpec spec = authors_spec(state, {}, small_structure(), "w.pt");
  const SwitchableModel model = model_from_authors(state, spec, {4, 8}, "w.pt");
  EXPECT_EQ(model.layer("cells.0.conv2").running.at(0).numel(), 1);
}

TEST(Authors, MistakesNameTheCellOrTheTensor) {
  const NamedTensors state = to_authors(small_model({4, 8}));
  const NetworkSpec spec = authors_spec(state, {}, small_structure(), "w.pt");
  EXPECT_THAT(
      error_of([&] {
        authors_spec(state, {"k3_e1", "skip"}, small_structure(), "w.pt");
      }),
      HasSubstr("cell 0 is k3_e1 in the architecture, but its weights are those of k3_e1_g2"));
  EXPECT_THAT(error_of([&] { authors_spec(state, {"skip"}, small_structure(), "w.pt"); }),
              HasSubstr("the architecture has 1 cells"));
  EXPECT_THAT(error_of([&] {
                model_from_authors(state, spec, {4, 6, 8}, "w.pt");
              }),
              HasSubstr("is missing"));
  NamedTensors more = state;
  more["cells.0._op.extra"] = at::zeros({1});
  EXPECT_THAT(error_of([&] {
                model_from_authors(more, spec, {4, 8}, "w.pt");
              }),
              HasSubstr("'cells.0._op.extra' is unknown"));
  EXPECT_THAT(error_of([&] { authors_bits(state, "w.pt"); }),
              HasSubstr("batch norms for 2 bit-widths"));
  EXPECT_THAT(error_of([&] {
                authors_spec({{"a", at::zeros({1})}}, {}, small_structure(), "w.pt");
              }),
              HasSubstr("has no 'stem.conv.weight'"));
  more = state;
  more["cells.0._ops.1.conv1.weight"] = at::zeros({1});
  EXPECT_THAT(error_of([&] { authors_spec(more, {}, small_structure(), "w.pt"); }),
              HasSubstr("supernet"));
  SpaceOptions short_structure = small_structure();
  short_structure.layers_per_stage = {1};
  short_structure.strides = {1};
  EXPECT_THAT(error_of([&] { authors_spec(state, {}, short_structure, "w.pt"); }),
              HasSubstr("give --layers-per-stage"));
}

TEST(Authors, ReadsTheGoldenCheckpoints) {
  if (!std::filesystem::exists(golden("cdt_wide.pt"))) GTEST_SKIP() << "no golden files here";
  for (const char* file : {"cdt_wide.pt", "cdt_narrow.pt"}) {
    const NamedTensors state = golden_state(file, "final.");
    const NetworkSpec spec = authors_spec(
        state, {"k3_e1", "k3_e3", "skip", "k5_e1_g2", "k5_e3", "skip"}, golden_structure(), file);
    const std::vector<int> bits = authors_bits(state, file);
    std::vector<std::string> ignored;
    const SwitchableModel model = model_from_authors(state, spec, bits, file, &ignored);
    const NamedTensors again = to_authors(model);
    for (const auto& [name, tensor] : state) {
      ASSERT_EQ(again.count(name), 1U) << name;
      EXPECT_EQ(again.at(name).sizes(), tensor.sizes()) << name;
      if (std::find(ignored.begin(), ignored.end(), name) == ignored.end()) {
        EXPECT_TRUE(at::equal(tensor, again.at(name))) << name;
      }
    }
    EXPECT_EQ(again.size(), state.size());
  }
}

TEST(Authors, GoldenCheckpointsGiveTheAuthorsLogits) {
  if (!std::filesystem::exists(golden("cdt_wide.pt"))) GTEST_SKIP() << "no golden files here";
  for (const char* file : {"cdt_wide.pt", "cdt_narrow.pt"}) {
    const NamedTensors all = read_pytorch(golden(file)), state = golden_state(file, "final.");
    const NetworkSpec spec = authors_spec(state, {}, golden_structure(), file);
    SwitchableModel model = model_from_authors(state, spec, authors_bits(state, file), file);
    const auto executor = make_plain_executor(model, 1);
    for (const int bits : model.bits()) {
      const at::Tensor theirs = all.at(fmt::format("eval.logits.{}", bits));
      executor->begin(all.at("x.0").contiguous(at::MemoryFormat::ChannelsLast));
      const at::Tensor ours = executor->forward(bits, Mode::Eval);
      const double off = (ours - theirs).abs().max().item<double>();
      EXPECT_LT(off, 1e-4 * theirs.abs().max().item<double>()) << file << " at " << bits;
    }
  }
}

}  // namespace
}  // namespace instantnet::nn
