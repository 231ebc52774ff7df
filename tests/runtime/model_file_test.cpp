#include "instantnet/runtime/model_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "instantnet/core/file.h"
#include "net/expect_error.h"
#include "net/random_network.h"
#include "own_folder.h"
#include "runtime/random_model.h"

namespace instantnet::runtime {
namespace {

IntModel some_model(uint64_t seed, bool floats = true) {
  RandomModelOptions options;
  options.floats = floats;
  options.bits = {2, 8, 16};
  return random_model(random_network(seed), seed, options);
}

std::string folder() {
  const std::string path = own_folder() + "instantnet_model_file";
  make_folders(path);
  return path;
}

TEST(ModelFile, GivesBackWhatWasWritten) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const IntModel model = some_model(seed, seed % 2 == 0);
    ASSERT_EQ(parse_model(print_model(model), "test"), model) << "seed " << seed;
  }
  const std::string path = folder() + "/a.spnet";
  const IntModel model = some_model(1);
  write_model(model, path);
  EXPECT_EQ(read_model(path), model);
}

TEST(ModelFile, StoresAByteACodeWhenNoWidthNeedsMore) {
  RandomModelOptions options;
  options.bits = {4, 8};
  IntModel model = random_model(random_network(3), 3, options);
  size_t codes = 0;
  for (IntLayer& layer : model.layers) {
    if (layer.master_bits == 16) {
      layer.master_bits = 8;
      for (uint16_t& code : layer.codes) code >>= 8;
    }
    codes += layer.codes.size();
  }
  for (Node& node : model.spec.nodes)
    if (node.bits > 8) node.bits = 8;
  const std::string path = folder() + "/narrow.spnet";
  write_model(model, path);
  const std::vector<FileSection> found = sections(path);
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[3].name, "codes");
  EXPECT_LT(found[3].bytes, codes + 64 * model.layers.size());
  for (const FileSection& section : found) EXPECT_EQ(section.offset % 64, 0U);
}

TEST(ModelFile, MayBeReplacedOrRemovedWhileAModelIsInUse) {
  const std::string path = folder() + "/replaced.spnet";
  const IntModel first = some_model(8), second = some_model(9);
  write_model(first, path);
  IntModel read = read_model(path);
  write_model(second, path);
  EXPECT_EQ(read, first);
  std::filesystem::remove(path);
  EXPECT_EQ(read, first);
  IntModel copy = read;  // what is changed is its own
  copy.layers[0].codes[0] ^= 1;
  EXPECT_NE(copy, first);
  EXPECT_EQ(read, first);
}

TEST(ModelFile, RefusesAFileThatIsCutShortAnywhere) {
  const std::string bytes = print_model(some_model(5));
  const size_t step = std::max<size_t>(1, bytes.size() / 1000);
  for (size_t size = 0; size < bytes.size(); size += size < 600 ? 1 : step)
    EXPECT_FALSE(error_of([&] { parse_model(bytes.substr(0, size), "cut"); }).empty());
  EXPECT_FALSE(error_of([&] { parse_model(bytes + '\0', "long"); }).empty());
}

TEST(ModelFile, RefusesAChangeOfAnyBitSampled) {
  const std::string bytes = print_model(some_model(6));
  const size_t step = std::max<size_t>(1, bytes.size() / 1500);
  for (size_t at = 0; at < bytes.size(); at += at < 600 ? 1 : step) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ (1 << at % 8));
    EXPECT_FALSE(error_of([&] { parse_model(changed, "changed"); }).empty()) << "byte " << at;
  }
}

TEST(ModelFile, SaysWhatIsWrong) {
  const std::string bytes = print_model(some_model(7));
  EXPECT_EQ(error_of([&] { parse_model("not a model at all", "x.spnet"); }),
            "x.spnet: this is not a model file; give one that `instantnet freeze` has written.");
  std::string newer = bytes;
  newer[8] = 4;
  EXPECT_EQ(error_of([&] { parse_model(newer, "x.spnet"); }),
            "x.spnet: is of version 4 of model.spnet; this program reads versions up to 3. Use a "
            "newer InstantNet, or freeze the network again.");
  std::string older = bytes;
  older[8] = 2;
  EXPECT_EQ(error_of([&] { parse_model(older, "x.spnet"); }),
            "x.spnet: is of version 2 of model.spnet; this program reads versions from 3 on. Use "
            "the InstantNet that wrote it, or freeze the network again.");
  std::string changed = bytes;
  changed.back() ^= 1;
  EXPECT_EQ(error_of([&] { parse_model(changed, "x.spnet"); }).substr(0, 49),
            "x.spnet: the checksum of section 'float32' (byte ");
  EXPECT_EQ(error_of([&] { parse_model(bytes.substr(0, bytes.size() - 1), "x.spnet"); }),
            "x.spnet, byte 24: the file should have " + std::to_string(bytes.size()) +
                " bytes but has " + std::to_string(bytes.size() - 1) + "; it was cut or changed.");
  EXPECT_EQ(error_of([] { read_model("/nowhere/a.spnet"); }).substr(0, 17), "/nowhere/a.spnet:");
}

/// What check() says about a model that was changed.
template <class Change>
std::string refusal(const Change& change) {
  NetworkSpec spec;
  spec.name = "tiny";
  spec.channels = 2;
  spec.height = spec.width = 4;
  spec.classes = 3;
  Node conv{.name = "conv", .op = Op::Conv, .inputs = {"input"}, .channels = 2, .kernel = 3};
  conv.groups = 2;
  const Node pool{.name = "pool", .op = Op::GlobalAvgPool, .inputs = {"conv"}};
  const Node last{.name = "last", .op = Op::Linear, .inputs = {"pool"}, .channels = 3};
  spec.nodes = {conv, pool, last};
  RandomModelOptions options;
  options.bits = {4, 8};
  options.sbm = 0;
  IntModel model = random_model(spec, 11, options);
  model.layers[0].input = InputKind::Image;
  for (LayerWidth& width : model.layers[0].widths) width.range.clear();
  check(model);
  change(model);
  return error_of([&] { check(model); });
}

TEST(CheckModel, NamesTheLayerAndWhatIsWrong) {
  const std::string conv = "model 'tiny', layer 'conv': ", last = "model 'tiny', layer 'last': ";
  EXPECT_EQ(refusal([](IntModel& m) { m.layers[0].codes.pop_back(); }),
            conv + "it has 17 weight codes; its shape needs 18.");
  EXPECT_EQ(refusal([](IntModel& m) { m.layers[1].range[1] = 0; }),
            last + "weight range number 1 is 0; each lies between 1e-30 and 1e30.");
  EXPECT_EQ(refusal([](IntModel& m) { m.layers[1].range[0] = NAN; }),
            last + "weight range number 0 is nan; each lies between 1e-30 and 1e30.");
  EXPECT_EQ(refusal([](IntModel& m) { m.layers[1].widths[0].scale[2] = INFINITY; }),
            last + "scale number 2 is inf; each is finite and below 1e30.");
  EXPECT_EQ(refusal([](IntModel& m) { m.layers[1].widths.pop_back(); }),
            last + "it has the bit-widths [4]; the network has [4, 8].");
  EXPECT_EQ(refusal([](IntModel& m) { m.layers[1].input = InputKind::Image; }),
            last + "its input is said to be pixels, but it does not read the image.");
  EXPECT_EQ(refusal([](IntModel& m) { m.layers[1].widths[0].range.clear(); }),
            last + "it has 0 input ranges at 4 bits; it needs one.");
  EXPECT_EQ(refusal([](IntModel& m) { m.layers[0].widths[0].range = {1.0F}; }),
            conv + "it has 1 input ranges at 4 bits; it needs none, as it reads pixels.");
  EXPECT_EQ(refusal([](IntModel& m) { m.layers[0].node = "cvon"; }),
            conv + "the weights at its place are those of 'cvon'.");
  EXPECT_EQ(refusal([](IntModel& m) { m.layers[1].master_bits = 12; }),
            last + "its codes have 12 bits; they have 8 or 16.");
  EXPECT_EQ(refusal([](IntModel& m) {
              m.layers[1].master_bits = 8;
              m.layers[1].codes[0] = 256;
            }),
            last + "weight code number 0 is 256; codes of 8 bits are 0 .. 255.");
  EXPECT_EQ(refusal([](IntModel& m) {
              m.bits = {4, 8, 32};
            }),
            "model 'tiny': it lists 32 bits but has no float weights.");
  EXPECT_EQ(refusal([](IntModel& m) { m.bits = {32}; }),
            "model 'tiny': it has no bit-width below 32; an integer model needs one.");
  EXPECT_EQ(refusal([](IntModel& m) { m.classes = {"cat"}; }),
            "model 'tiny': it has 1 class names; its shape needs 3.");
  EXPECT_EQ(refusal([](IntModel& m) { m.layers.pop_back(); }),
            "model 'tiny': it has 1 layers; its shape needs 2.");
  EXPECT_EQ(refusal([](IntModel& m) { m.normalisation.deviation[0] = -1; }),
            "model 'tiny': deviation number 0 is -1; each lies between 1e-30 and 1e30.");
  EXPECT_EQ(refusal([](IntModel& m) {
              m.spec.nodes[2].bits = 16;
              m.layers[1].master_bits = 8;
              for (uint16_t& code : m.layers[1].codes) code &= 255;
            }),
            last + "it runs at 16 bits, but its codes have only 8.");
  EXPECT_EQ(refusal([](IntModel& m) { m.spec.height = m.spec.width = 100000; }).substr(0, 30),
            "model 'tiny': an image of 2 x ");
}

}  // namespace
}  // namespace instantnet::runtime
