// Generated C++ compiled and compared with the runtime's reference: every tensor of every width.
#include "instantnet/interop/hls_export.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "instantnet/core/file.h"
#include "interop/hls_cases.h"
#include "mapper/random_cases.h"
#include "net/expect_error.h"
#include "own_folder.h"
#include "runtime/random_model.h"

namespace instantnet::interop {
namespace {

using mapper::MappingPlan;
using runtime::IntModel;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

const std::vector<int> kAllBits = {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

IntModel model_of(const NetworkSpec& spec, uint64_t seed, const std::vector<int>& bits,
                  double sbm) {
  runtime::RandomModelOptions options;
  options.bits = bits;
  options.sbm = sbm;
  return random_model(spec, seed, options);
}

MappingPlan plan_of(const NetworkSpec& spec, const std::string& device,
                    const std::vector<int>& bits, mapper::Mode mode = mapper::Mode::MultiCycle) {
  mapper::MapOptions options;
  options.bits = bits;
  options.mode = mode;
  return map_network(spec, mapper::find_accelerator(device), {}, options);
}

mapper::Accelerator random_fpga(Rng& rng) {
  mapper::Accelerator device = mapper::random_device(rng);
  device.fpga = mapper::FpgaBudget{};
  return device;
}

std::string text_of(const HlsDesign& design, const std::string& path) {
  for (const HlsFile& file : design.files)
    if (file.path == path) return file.text;
  ADD_FAILURE() << "there is no file " << path;
  return {};
}

void expect_equal(const HlsDesign& design, const std::string& flags = "-O1") {
  const Outcome outcome = compile_and_run(design, flags);
  EXPECT_EQ(outcome.code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, EndsWith(" 0 wrong\n"));
}

TEST(HlsExport, ComputesTheIntegersOfAWholeNetworkAtEveryWidth) {
  for (const double sbm : {0.0, 1.0}) {
    const NetworkSpec spec = small_network();
    const IntModel model = model_of(spec, sbm == 0 ? 3 : 4, kAllBits, sbm);
    expect_equal(hls_design(model, plan_of(spec, "zc706", kAllBits)));
  }
}

/// Images of both widths, at which other tensors occur, are on the way at the same time.
TEST(HlsExport, ComputesTheSameAsAPipeline) {
  const NetworkSpec spec = small_network();
  const std::vector<int> bits = {4, 8};
  MappingPlan plan = plan_of(spec, "zu7", bits, mapper::Mode::Pipeline);
  plan.stages[0] = plan.stages[1];
  HlsOptions options;
  options.images = 3;
  const HlsDesign design = hls_design(model_of(spec, 5, bits, 0.5), plan, options);
  EXPECT_TRUE(design.pipeline);
  EXPECT_THAT(text_of(design, "network.cpp"),
              AllOf(HasSubstr("IN_DATAFLOW"), HasSubstr("widths_b::stage_001")));
  expect_equal(design);
}

/// Chains to try; INSTANTNET_HLS_CASES asks for more.
uint64_t random_cases() {
  const char* asked = std::getenv("INSTANTNET_HLS_CASES");
  return asked == nullptr ? 4 : std::strtoull(asked, nullptr, 10);
}

/// Layers and mappings of all kinds, with accesses out of bounds caught.
TEST(HlsExport, ComputesRandomLayersUnderRandomMappings) {
  for (uint64_t seed = 1; seed <= random_cases(); ++seed) {
    Rng rng(seed, 31);
    const NetworkSpec spec = random_chain(rng, 6);
    const std::vector<int> bits = {1, 2, 5, 8, 12, 16};
    const IntModel model = model_of(spec, seed, bits, 0.5);
    const mapper::Accelerator device = random_fpga(rng);
    SCOPED_TRACE(fmt::format("seed {}", seed));
    expect_equal(hls_design(model, random_plan(rng, spec, bits, device)),
                 "-O0 -fsanitize=address,undefined -fno-sanitize-recover=all");
  }
}

/// Stands for a vendor's integers: made from anything, turned into a built-in integer, with its own
/// results of arithmetic, and wrapping.
constexpr const char* kVendorIntegers = R"(
#include <type_traits>
namespace vendor {
template <int W, bool Signed>
class fixed {
  typedef typename std::conditional<
      W <= 8, signed char,
      typename std::conditional<W <= 16, short,
                                typename std::conditional<W <= 32, int, long long>::type>::type>::type Base;
  typedef typename std::conditional<Signed, Base, typename std::make_unsigned<Base>::type>::type Value;
  Value value : W;

 public:
  fixed() : value(0) {}
  template <class T>
  fixed(const T& other) : value(static_cast<Value>(static_cast<long long>(other))) {}
  operator Value() const { return value; }
  template <class T>
  fixed& operator+=(const T& other) {
    return *this = fixed(static_cast<long long>(value) + static_cast<long long>(other));
  }
};
}  // namespace vendor
namespace instantnet {
template <int W>
using int_t = vendor::fixed<W, true>;
template <int W>
using uint_t = vendor::fixed<W, false>;
}  // namespace instantnet
)";

/// The pragmas that instantnet_hls.h names for one vendor: each must stand where a pragma may.
constexpr const char* kVendorPragmas = R"(
#define IN_PIPELINE(ii) IN_TEXT(HLS pipeline II=ii)
#define IN_PACKED(n) IN_TEXT(HLS unroll factor=n)
#define IN_UNROLL _Pragma("HLS unroll")
#define IN_PARTITION(v) IN_TEXT(HLS array_partition variable=v complete dim=1)
#define IN_BANKS(v, n) IN_TEXT(HLS array_partition variable=v cyclic factor=n)
#define IN_ONE_INSTANCE(f) IN_TEXT(HLS allocation function instances=f limit=1)
#define IN_DATAFLOW _Pragma("HLS dataflow")
#define IN_OFF_CHIP(p) IN_TEXT(HLS interface m_axi port=p bundle=p)
)";

TEST(HlsExport, TakesAVendorsIntegersAndPragmas) {
  const NetworkSpec spec = small_network();
  const std::vector<int> bits = {3, 8, 16};
  const std::string integers = own_folder() + "vendor_int.h";
  const std::string pragmas = own_folder() + "vendor_pragmas.h";
  std::ofstream(integers) << kVendorIntegers;
  std::ofstream(pragmas) << kVendorPragmas;
  const std::string flags =
      fmt::format("-O1 -DIN_VENDOR_INT='\"{}\"' -DIN_PRAGMAS='\"{}\"'", integers, pragmas);
  expect_equal(hls_design(model_of(spec, 6, bits, 0.5), plan_of(spec, "zc706", bits)), flags);
  MappingPlan pipeline = plan_of(spec, "zc706", {8}, mapper::Mode::Pipeline);
  expect_equal(hls_design(model_of(spec, 6, {8}, 0.5), pipeline), flags);
}

TEST(HlsExport, TakesThePlansComputeCycles) {
  const NetworkSpec spec = small_network();
  const std::vector<int> bits = {4, 8, 16};
  const MappingPlan plan = plan_of(spec, "zu9", bits);
  const HlsDesign design = hls_design(model_of(spec, 1, bits, 0), plan);
  for (size_t w = 0; w < bits.size(); ++w) {
    int64_t steps = 0, cycles = 0, planned_steps = 0, planned = 0;
    for (const HlsLayer& layer : design.layers)
      steps += layer.steps[w], cycles += layer.compute_cycles[w];
    for (size_t l = w; l < plan.layers.size(); l += bits.size()) {
      const mapper::LayerPlan& layer = plan.layers[l];
      planned_steps += layer.count * layer.found.cost.counts.steps;
      planned += layer.count * static_cast<int64_t>(layer.found.cost.compute_cycles);
    }
    EXPECT_EQ(steps, planned_steps);
    EXPECT_EQ(cycles, planned);
  }
}

TEST(HlsExport, HoldsWeightsOnceAtTheWidestWidth) {
  const NetworkSpec spec = small_network();
  const IntModel model = model_of(spec, 1, {4, 8}, 0.5);
  const HlsDesign design = hls_design(model, plan_of(spec, "zc706", {4, 8}));
  size_t numbers = 0;
  for (const runtime::IntLayer& layer : model.layers) numbers += layer.codes.size();
  EXPECT_THAT(text_of(design, "weights.cpp"), HasSubstr(fmt::format("kMasterCodes[{}]", numbers)));
  for (const HlsFile& file : design.files) {
    if (file.path == "testbench.cpp" || file.path.starts_with("weights.")) continue;
    EXPECT_THAT(file.text, Not(HasSubstr("kMasterCodes"))) << file.path;
  }
}

TEST(HlsExport, SharesLoopsBetweenWidthsWithOneMapping) {
  const NetworkSpec spec = small_network();
  MappingPlan plan = plan_of(spec, "zc706", {4, 8});
  const IntModel model = model_of(spec, 1, {4, 8}, 0);
  plan.layers[2].found.mapping = plan.layers[3].found.mapping;
  EXPECT_THAT(text_of(hls_design(model, plan), "layer_002_grouped.cpp"),
              AllOf(HasSubstr("void nest_4_8("), Not(HasSubstr("switch"))));
  plan.layers[2].found.mapping.levels[1].temporal.push_back({mapper::Dim::P, 9});
  EXPECT_THAT(text_of(hls_design(model, plan), "layer_002_grouped.cpp"),
              AllOf(HasSubstr("void nest_4("), HasSubstr("void nest_8("), HasSubstr("switch")));
}

/// Sums are wider than the plan counts: registers that are too small for them take what the
/// device's budget lets them have, or the export is refused.
TEST(HlsExport, NeverHoldsMoreThanTheDevice) {
  const NetworkSpec spec = small_network();
  const IntModel model = model_of(spec, 1, {8}, 0);
  mapper::Accelerator device = mapper::find_accelerator("zc706");
  device.levels[2].capacity_words = 6;
  mapper::MapOptions options;
  options.bits = {8};
  MappingPlan plan = map_network(spec, device, {}, options);
  for (const HlsMemory& memory : hls_design(model, plan).memories)
    EXPECT_LE(memory.taken, memory.allowed) << memory.level;
  plan.accelerator.fpga->lut = 1000;
  EXPECT_THAT(error_of([&] { hls_design(model, plan); }),
              AllOf(HasSubstr("REG has to hold"), HasSubstr("it has 96, "),
                    HasSubstr("psum: {extra_bits: ")));
}

/// Same arguments, same bytes.
TEST(HlsExport, WritesTheSameBytesAgain) {
  const NetworkSpec spec = small_network();
  const IntModel model = model_of(spec, 1, {4, 8}, 0.5);
  const MappingPlan plan = plan_of(spec, "zc706", {4, 8});
  const HlsDesign one = hls_design(model, plan), other = hls_design(model, plan);
  ASSERT_EQ(one.files.size(), other.files.size());
  for (size_t i = 0; i < one.files.size(); ++i) EXPECT_EQ(one.files[i].text, other.files[i].text);
}

// ---- What is refused.

class HlsRefusal : public testing::Test {
 protected:
  std::string sentence(const HlsOptions& options = {}) {
    return error_of([&] { hls_design(model_, plan_, options); });
  }
  const NetworkSpec spec_ = small_network();
  const IntModel model_ = model_of(spec_, 1, {4, 8}, 0);
  MappingPlan plan_ = plan_of(spec_, "zc706", {4, 8});
};

TEST_F(HlsRefusal, OfADeviceThatIsNoFpga) {
  plan_ = plan_of(spec_, "eyeriss", {4, 8});
  EXPECT_THAT(sentence(), AllOf(HasSubstr("'eyeriss', which is not an FPGA"), HasSubstr("zc706")));
}

TEST_F(HlsRefusal, OfAPlanAtOtherWidths) {
  plan_ = plan_of(spec_, "zc706", {4, 16});
  EXPECT_THAT(sentence(),
              AllOf(HasSubstr("bit-widths [4, 8], the plan [4, 16]"), HasSubstr("--bits 4,8")));
}

TEST_F(HlsRefusal, OfAPlanOfAnotherNetwork) {
  NetworkSpec other = spec_;
  other.nodes[7].channels = 11;
  plan_ = plan_of(other, "zc706", {4, 8});
  EXPECT_THAT(sentence(), AllOf(HasSubstr("layer 'wide'"), HasSubstr("no layer of this shape")));
}

TEST_F(HlsRefusal, OfBatches) {
  plan_.options.batch = 2;
  EXPECT_THAT(sentence(), HasSubstr("batches of 2 images; map the network with --batch 1"));
}

TEST_F(HlsRefusal, OfAWidthTheModelHasNot) {
  HlsOptions options;
  options.bits = {16};
  EXPECT_THAT(sentence(options), HasSubstr("not made for 16 bits; it has 4, 8"));
}

TEST_F(HlsRefusal, OfNoImages) {
  HlsOptions options;
  options.images = 0;
  EXPECT_THAT(sentence(options), HasSubstr("0 images"));
}

TEST_F(HlsRefusal, OfAMappingThatDoesNotRun) {
  plan_.layers[0].found.mapping.levels[1].temporal.clear();
  EXPECT_THAT(sentence(), AllOf(HasSubstr("layer 'stem'"), HasSubstr("does not run")));
}

TEST_F(HlsRefusal, OfAPipelineAtSomeWidthsOnly) {
  const MappingPlan pipeline = plan_of(spec_, "zc706", {4, 8}, mapper::Mode::Pipeline);
  plan_.stages[1] = pipeline.stages[1];
  EXPECT_THAT(sentence(),
              AllOf(HasSubstr("at some bit-widths and not at others"), HasSubstr("--bits")));
  HlsOptions options;
  options.bits = {8};
  EXPECT_TRUE(hls_design(model_, plan_, options).pipeline);
}

TEST_F(HlsRefusal, OfAPipelineWhosePartsDoNotFitTogether) {
  const std::vector<int> bits = {4, 16};
  const MappingPlan plan = plan_of(spec_, "zu7", bits, mapper::Mode::Pipeline);
  EXPECT_THAT(error_of([&] { hls_design(model_of(spec_, 1, bits, 0), plan); }),
              AllOf(HasSubstr("multipliers, zu7 has 1440"), HasSubstr("give --bits")));
}

TEST(HlsFolder, IsReplacedOnlyByForceAndOnlyWhenItIsOurs) {
  HlsDesign design;
  design.files = {{"instantnet_hls.h", "one"}, {"golden/a.txt", "1"}};
  const std::string folder = own_folder() + "design";
  write_hls(design, folder, false);
  EXPECT_THAT(error_of([&] { write_hls(design, folder, false); }),
              AllOf(HasSubstr("it exists"), HasSubstr("--force")));
  design.files[0].text = "two";
  write_hls(design, folder, true);
  EXPECT_EQ(read_file(folder + "/instantnet_hls.h"), "two");

  const std::string other = own_folder() + "other";
  std::filesystem::create_directory(other);
  std::ofstream(other + "/thesis.txt") << "ten years";
  EXPECT_THAT(error_of([&] { write_hls(design, other, true); }),
              HasSubstr("no export of this kind"));
  EXPECT_TRUE(std::filesystem::exists(other + "/thesis.txt"));
}

}  // namespace
}  // namespace instantnet::interop
