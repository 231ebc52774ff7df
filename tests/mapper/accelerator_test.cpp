#include "instantnet/mapper/accelerator.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "instantnet/core/error.h"
#include "mapper/random_cases.h"
#include "net/expect_error.h"

namespace instantnet::mapper {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

std::string refusal(const std::function<void(Accelerator&)>& spoil) {
  Accelerator device = find_accelerator("simple3");
  spoil(device);
  return error_of([&] { check(device); });
}

// ---- Multipliers.

MacUnit mac_of(MacKind kind, int bits) {
  MacUnit mac;
  mac.kind = kind, mac.bits = bits;
  return mac;
}

TEST(Mac, RateOfEachKind) {
  EXPECT_EQ(macs_per_cycle(mac_of(MacKind::Fixed, 16), {4, 4}), 1);
  EXPECT_EQ(macs_per_cycle(mac_of(MacKind::Fixed, 16), {32, 32}), 0.25);
  EXPECT_EQ(macs_per_cycle(mac_of(MacKind::BitSerial, 16), {16, 4}), 4);
  EXPECT_EQ(macs_per_cycle(mac_of(MacKind::BitSerial, 16), {32, 32}), 0.25);
  EXPECT_EQ(macs_per_cycle(mac_of(MacKind::Composable, 8), {4, 4}),
            4);  // an 8 x 8 unit: four 4 x 4
  EXPECT_EQ(macs_per_cycle(mac_of(MacKind::Composable, 8), {2, 8}), 4);
  EXPECT_EQ(macs_per_cycle(mac_of(MacKind::Composable, 8), {6, 6}), 1);  // 6 bits need 8
  EXPECT_EQ(macs_per_cycle(mac_of(MacKind::Composable, 8), {16, 16}), 0.25);
  EXPECT_EQ(macs_per_cycle(mac_of(MacKind::Packed, 16), {8, 8}), 2);
  EXPECT_EQ(macs_per_cycle(mac_of(MacKind::Packed, 16), {8, 9}), 1);
}

TEST(Mac, EnergyGoesWithTheProductOfTheWidths) {
  MacUnit mac;
  mac.energy_pj = 2;
  EXPECT_EQ(mac_energy_pj(mac, {16, 16}), 2);
  EXPECT_EQ(mac_energy_pj(mac, {8, 4}), 0.25);
  mac.energy_exponent = 0;
  EXPECT_EQ(mac_energy_pj(mac, {8, 4}), 2);
}

TEST(Mac, NarrowerOperandsNeverCostMore) {
  for (const auto& [kind, name] : names_of(MacKind{}))
    for (const int unit : {4, 8, 16})
      for (int w = 1; w <= 32; ++w)
        for (int a = 1; a <= 32; ++a)
          for (const Precision narrower :
               {Precision{std::max(1, w - 1), a}, {w, std::max(1, a - 1)}}) {
            const MacUnit mac = mac_of(kind, unit);
            EXPECT_LE(mac_energy_pj(mac, narrower), mac_energy_pj(mac, {w, a})) << name;
            EXPECT_GE(macs_per_cycle(mac, narrower), macs_per_cycle(mac, {w, a}))
                << name << unit << " w" << w << "a" << a;
          }
}

// ---- Elements and words.

TEST(Element, PartialSumsFollowTheRule) {
  Accelerator device;
  EXPECT_EQ(element_bits(device, {4, 8}, Tensor::Weights), 4);
  EXPECT_EQ(element_bits(device, {4, 8}, Tensor::Inputs), 8);
  EXPECT_EQ(element_bits(device, {4, 8}, Tensor::Outputs), 8);
  device.psum.extra_bits = 12;
  EXPECT_EQ(element_bits(device, {4, 8}, Tensor::Outputs), 20);
  device.psum.fixed_bits = 24;
  EXPECT_EQ(element_bits(device, {4, 8}, Tensor::Outputs), 24);
  EXPECT_EQ(element_bits(device, {32, 32}, Tensor::Outputs), 32);  // never narrower
}

TEST(Words, OfAnElementByPacking) {
  StorageLevel level;
  EXPECT_EQ(words_per_element(level, 4), 0.25);
  EXPECT_EQ(words_per_element(level, 24), 1.5);
  level.packing = Packing::Whole;
  EXPECT_EQ(words_per_element(level, 4), 0.25);
  EXPECT_EQ(words_per_element(level, 5), 1.0 / 3);
  EXPECT_EQ(words_per_element(level, 24), 2);
  for (const Packing packing : {Packing::Tight, Packing::Whole})
    for (int bits = 2; bits <= 64; ++bits) {
      level.packing = packing;
      EXPECT_LE(words_per_element(level, bits - 1), words_per_element(level, bits));
    }
}

// ---- Files.

/// Every field set at random.
Accelerator any_accelerator(Rng& rng) {
  Accelerator device = random_device(rng);
  const auto some = [&](int64_t most) {
    return static_cast<int64_t>(rng.below(static_cast<uint64_t>(most)));
  };
  device.description = rng.flip() ? "any: \"quoted\", 8" : "";
  if (rng.flip()) device.sources = {"here", "yes", "3"};
  device.clock_mhz = rng.uniform(1, 1000);
  device.static_mw = rng.uniform(0, 9);
  for (StorageLevel& level : device.levels) {
    level.word_bits = static_cast<int>(1 + some(128));
    level.packing = rng.flip() ? Packing::Tight : Packing::Whole;
    level.capacity_words = 2 + some(9);
    level.tensor_capacity_words = {some(2) * 4, some(2) * 4, 0};
    level.double_buffered = rng.flip();
    for (const Tensor t : kAllTensors) {
      if (rng.flip(0.3))
        level.tensor_bandwidth[t] = {rng.uniform(), rng.uniform(), double(some(3))};
    }
    level.bandwidth.total = double(some(5));
  }
  device.mac = {names_of(MacKind{})[rng.below(4)].first, 8, rng.uniform(), rng.uniform(), 4, 6};
  device.psum = {static_cast<int>(some(40)), static_cast<int>(some(20))};
  if (rng.flip()) device.fpga = FpgaBudget{some(900), some(545), some(3), some(9999), some(9999)};
  return device;
}

TEST(AcceleratorFile, RoundTripsPresetsAndAnythingElse) {
  for (const Accelerator& preset : accelerator_presets())
    EXPECT_EQ(accelerator_from_tree(parse_yaml(print_yaml(to_tree(preset)))), preset)
        << preset.name;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Rng rng(seed);
    const Accelerator device = any_accelerator(rng);
    const std::string text = print_yaml(to_tree(device));
    EXPECT_EQ(accelerator_from_tree(parse_yaml(text)), device) << "seed " << seed << "\n" << text;
  }
}

const std::string kShort = R"(name: mine
levels:
  - name: DRAM
    read_pj: 200
    write_pj: {weights: 1, inputs: 2, outputs: 3}
  - name: RF
    keep: {weights: never}
    tensor_bandwidth: {read: 1}
    fanout_x: 4
)";

TEST(AcceleratorFile, TakesOneValueForAllTensors) {
  const Accelerator device = accelerator_from_tree(parse_yaml(kShort));
  EXPECT_EQ(device.levels[0].read_pj, (PerTensor<double>{200, 200, 200}));
  EXPECT_EQ(device.levels[0].write_pj, (PerTensor<double>{1, 2, 3}));
  EXPECT_EQ(device.levels[1].keep, (PerTensor<Keep>{Keep::Never, Keep::Always, Keep::Always}));
  EXPECT_EQ(device.levels[1].tensor_bandwidth.outputs.read, 1);
}

std::string file_error(std::string text, const std::string& from, const std::string& to) {
  const size_t place = text.find(from);
  EXPECT_NE(place, std::string::npos) << from;
  text.replace(place, from.size(), to);
  return error_of([&] { accelerator_from_tree(parse_yaml(text, "mine.yaml")); });
}

TEST(AcceleratorFile, NamesTheLineOfAMistake) {
  EXPECT_EQ(file_error(kShort, "fanout_x", "fanoutx"),
            "mine.yaml:9: unknown key 'fanoutx', did you mean 'fanout_x'?");
  EXPECT_EQ(file_error(kShort, "name: mine", "nme: mine"),
            "mine.yaml:1: unknown key 'nme', did you mean 'name'?");
  EXPECT_THAT(file_error(kShort, "read_pj: 200", "read_pj: cheap"),
              HasSubstr("mine.yaml:4: read_pj.weights is 'cheap'; give a number"));
  EXPECT_THAT(file_error(kShort, "weights: never", "weights: nver"),
              HasSubstr("keep.weights is 'nver', did you mean 'never'?"));
  EXPECT_THAT(file_error(kShort, "fanout_x: 4", "fanout_x: -4"),
              HasSubstr("level RF: fanout_x is -4; give a whole number from 1"));
  EXPECT_THAT(error_of([] { accelerator_from_tree(parse_yaml("name: x", "mine.yaml")); }),
              HasSubstr("levels is empty; give a list of levels"));
  EXPECT_THAT(error_of([] { accelerator_from_tree(parse_yaml("[1]", "mine.yaml")); }),
              HasSubstr("the accelerator is a list"));
}

TEST(AcceleratorFile, FindsPresetsAndSuggestsTheNearest) {
  EXPECT_EQ(find_accelerator("simple3").levels.size(), 3u);
  EXPECT_EQ(error_of([] { find_accelerator("simple4"); }),
            "accelerator: 'simple4' is neither a preset nor a file, did you mean 'simple3'?");
}

// ---- Impossible numbers.

TEST(AcceleratorCheck, RefusesImpossibleNumbers) {
  const std::string glb = "accelerator 'simple3', level GLB: ";
  EXPECT_EQ(refusal([](Accelerator& a) { a.levels[1].capacity_words = -1; }),
            glb + "capacity_words is -1; give a whole number from 0 to 4503599627370496.");
  EXPECT_THAT(refusal([](Accelerator& a) { a.levels[1].fanout_y = 0; }),
              StartsWith(glb + "fanout_y is 0"));
  EXPECT_THAT(refusal([](Accelerator& a) { a.levels[1].read_pj.inputs = -2; }),
              StartsWith(glb + "read_pj.inputs is -2; give a number from 0"));
  EXPECT_THAT(refusal([](Accelerator& a) { a.levels[1].bandwidth.write = std::nan(""); }),
              StartsWith(glb + "bandwidth.write is nan"));
  EXPECT_THAT(refusal([](Accelerator& a) { a.levels[1].word_bits = 100000; }),
              StartsWith(glb + "word_bits is 100000"));
  EXPECT_THAT(refusal([](Accelerator& a) { a.clock_mhz = 0; }),
              EndsWith("clock_mhz is 0; give a number above 0, up to 1000000000000."));
  EXPECT_THAT(refusal([](Accelerator& a) { a.levels[1].fanout_x = 1 << 24; }),
              HasSubstr("its fan-outs make 268435456 multipliers; give at most 16777216."));
  EXPECT_THAT(refusal([](Accelerator& a) { a.mac.energy_exponent = 99; }),
              HasSubstr("mac.energy_exponent is 99"));
  EXPECT_THAT(refusal([](Accelerator& a) { a.psum.fixed_bits = -1; }),
              HasSubstr("psum.fixed_bits is -1"));
  EXPECT_THAT(refusal([](Accelerator& a) {
                a.fpga = FpgaBudget{-1, 0, 0, 0, 0};
              }),
              HasSubstr("fpga.dsp is -1"));
}

TEST(AcceleratorCheck, RefusesStructuresThatCannotWork) {
  EXPECT_THAT(refusal([](Accelerator& a) { a.levels.resize(1); }),
              HasSubstr("it has 1 levels; give 2 to 8"));
  EXPECT_THAT(refusal([](Accelerator& a) { a.levels[2].name = "GLB"; }),
              HasSubstr("two levels are called 'GLB'"));
  EXPECT_THAT(refusal([](Accelerator& a) { a.levels[2].name = ""; }),
              HasSubstr("level 3 has no name"));
  EXPECT_THAT(refusal([](Accelerator& a) { a.name = ""; }), HasSubstr("it has no name"));
  EXPECT_THAT(refusal([](Accelerator& a) { a.levels[0].keep.inputs = Keep::Search; }),
              HasSubstr("does not always keep inputs; the outermost level must keep everything."));
  EXPECT_THAT(refusal([](Accelerator& a) { a.mac.kind = MacKind::Composable, a.mac.bits = 12; }),
              HasSubstr("mac.bits is 12; a composable unit needs a power of two"));
  EXPECT_THAT(refusal([](Accelerator& a) {
                a.levels[1].double_buffered = true, a.levels[1].capacity_words = 1;
              }),
              HasSubstr("it is double-buffered and has 1 word"));
}

}  // namespace
}  // namespace instantnet::mapper
