// From a checkpoint to a frozen network and what is done with it, as a user meets it: on generated
// images, for seconds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/run_program.h"
#include "core/helpers.h"

namespace instantnet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::slurp;
using test::spill;
using test::TempFolder;
using testing::HasSubstr;

ProgramResult program(const std::vector<std::string>& words) {
  return run_program(INSTANTNET_PROGRAM, words);
}

/// A run of three classes of 8x8 images, trained once for all tests.
class FrozenVerbs : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TempFolder>();
    spill(*folder_ / "network.yaml", R"(name: tiny
input: [1, 8, 8]
classes: 3
nodes:
  - {name: stem, op: conv, channels: 4, kernel: 3, padding: 1, batch_norm: true,
     activation: relu, bits: 32}
  - {name: conv, op: conv, channels: 6, kernel: 3, padding: 1, stride: 2,
     batch_norm: true, activation: relu}
  - {name: pool, op: global_avg_pool}
  - {name: fc, op: linear, channels: 3, bias: true, bits: 32}
)");
    train("run", {});
    train("lsq", {"--set", "model.quant.kind=lsq"});
    train("sbm", {"--set", "model.quant.kind=sbm", "--set", "bits=[4, 12]"});
    ASSERT_EQ(program({"freeze", run("run"), "-o", path("model.spnet")}).code, 0);
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string path(const std::string& name) { return *folder_ / name; }
  static std::string run(const std::string& name) { return *folder_ / name; }

  static void train(const std::string& name, std::vector<std::string> more) {
    std::vector<std::string> words = {"train", "-o", run(name)};
    for (const std::string& set :
         {"network=" + path("network.yaml"), std::string("bits=[2, 8, 32]"),
          std::string("float_epochs=2"), std::string("epochs=2"), std::string("threads=1"),
          std::string("data.path=synthetic:96x3x1x8x8"), std::string("data.batch_size=16"),
          std::string("data.threads=1")})
      words.insert(words.end(), {"--set", set});
    words.insert(words.end(), more.begin(), more.end());
    const ProgramResult result = program(words);
    ASSERT_EQ(result.code, 0) << result.err;
  }

  static void refused(const std::vector<std::string>& words, const std::string& sentence) {
    const ProgramResult result = program(words);
    EXPECT_EQ(result.code, 2) << sentence << ": " << result.err;
    EXPECT_THAT(result.err, HasSubstr(sentence));
  }

  static std::unique_ptr<TempFolder> folder_;
};
std::unique_ptr<TempFolder> FrozenVerbs::folder_;

TEST_F(FrozenVerbs, FreezeWritesOneFileAndSaysWhatItIs) {
  const ProgramResult result =
      program({"freeze", run("run"), "-o", path("a.spnet"), "--calibrate", "7"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("tiny at 2, 8, 32 bits, 270 weights in "));
  EXPECT_THAT(result.out, HasSubstr("all weight codes are those the network was trained with"));
  EXPECT_EQ(program({"freeze", run("run"), "-o", path("b.spnet"), "--calibrate", "7"}).code, 0);
  EXPECT_EQ(slurp(path("a.spnet")), slurp(path("b.spnet")));
  const ProgramResult small =
      program({"freeze", run("run"), "-o", path("a.spnet"), "--no-float", "--force", "--json"});
  ASSERT_EQ(small.code, 0) << small.err;
  const json told = json::parse(small.out);
  EXPECT_EQ(told.at("bits"), json({2, 8}));
  EXPECT_EQ(told.at("bytes"), fs::file_size(path("a.spnet")));
  EXPECT_EQ(told.at("codes").at(0).at("differ"), 0);
  EXPECT_LT(fs::file_size(path("a.spnet")), fs::file_size(path("b.spnet")));
}

TEST_F(FrozenVerbs, FreezeTellsOfCodesThatDiffer) {
  const ProgramResult result = program({"freeze", run("sbm"), "-o", path("sbm.spnet")});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("at 12 bits "));
  EXPECT_THAT(result.out, HasSubstr("quant.sbm_master_bits=16"));
}

TEST_F(FrozenVerbs, FreezeMistakesAreOneSentence) {
  const std::string good = run("run");
  refused({"freeze", good, "-o", path("model.spnet")}, "is there already; give --force");
  refused({"freeze", good, "-o", folder_->path()}, "is a folder; give -o the path of a file");
  refused({"freeze", good, "-o", path("none/x.spnet")}, "make it first");
  refused({"freeze", good, "-o", path("x.spnet"), "--calibrate", "0"}, "--calibrate");
  refused({"freeze", good, "-o", path("x.spnet"), "--data", "synthetic:8x4x1x8x8"},
          "has 4 classes, but the network 'tiny' tells 3");
  refused({"freeze", path("nothing"), "-o", path("x.spnet")}, "there is no such checkpoint");
  refused({"freeze", run("lsq"), "-o", path("x.spnet")}, "lsq rounds half to even");
  EXPECT_FALSE(fs::exists(path("x.spnet")));
}

TEST_F(FrozenVerbs, InspectShowsLayersSectionsAndSizes) {
  const ProgramResult result = program({"inspect", path("model.spnet")});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("tiny, image 1x8x8, 3 classes, bit-widths 2, 8, 32"));
  EXPECT_THAT(result.out, HasSubstr("one file for each bit-width would be"));
  EXPECT_THAT(result.out, testing::ContainsRegex("stem +4 +1x3x3 +1 +36 +32 +nested +16 +pixels"));
  const ProgramResult printed = program({"inspect", path("model.spnet"), "--json"});
  const json told = json::parse(printed.out);
  EXPECT_EQ(told.at("weights"), 270);
  EXPECT_EQ(told.at("layers").size(), 3U);
  EXPECT_EQ(told.at("layers").at(1).at("stored_bits"), 8);
  EXPECT_EQ(told.at("bytes"), fs::file_size(path("model.spnet")));
  EXPECT_EQ(told.at("sections").at(0).at("sha256").get<std::string>().size(), 64U);
  EXPECT_EQ(told.at("bytes_of_separate_files").size(), 3U);
}

TEST_F(FrozenVerbs, InspectMistakesAreOneSentence) {
  refused({"inspect", path("nothing.spnet")}, "nothing.spnet");
  refused({"inspect", path("network.yaml")}, "network.yaml");
  std::string bytes = slurp(path("model.spnet"));
  bytes[bytes.size() - 70] = static_cast<char>(bytes[bytes.size() - 70] ^ 1);
  spill(path("broken.spnet"), bytes);
  refused({"inspect", path("broken.spnet")}, "broken.spnet");
}

// ---- infer, bench, and evaluation in integers

constexpr const char* kData = "synthetic:96x3x1x8x8";

TEST_F(FrozenVerbs, InferMeasuresADataSetAndEqualsTheReference) {
  const ProgramResult result = program(
      {"infer", path("model.spnet"), "--data", kData, "--check", "20", "--threads", "2", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const json told = json::parse(result.out);
  EXPECT_EQ(told.at("accuracy").size(), 3U);
  EXPECT_EQ(told.at("runs_equal_to_reference"),
            2 * std::min<int64_t>(20, told.at("images").get<int64_t>()));
  const ProgramResult portable = program({"infer", path("model.spnet"), "--data", kData,
                                          "--kernels", "portable", "--bits", "2,8", "--json"});
  ASSERT_EQ(portable.code, 0) << portable.err;
  const json slow = json::parse(portable.out);
  EXPECT_EQ(slow.at("kernels"), "portable");
  for (const char* bits : {"2", "8"}) EXPECT_EQ(slow.at("loss").at(bits), told.at("loss").at(bits));
}

TEST_F(FrozenVerbs, EvalInIntegersIsWhatInferGives) {
  const ProgramResult integers = program({"eval", run("run"), "--semantics", "integer", "--json"});
  ASSERT_EQ(integers.code, 0) << integers.err;
  const ProgramResult frozen = program({"infer", path("model.spnet"), "--data", kData, "--json"});
  EXPECT_EQ(json::parse(integers.out).at("loss"), json::parse(frozen.out).at("loss"));
  EXPECT_EQ(json::parse(integers.out).at("accuracy"), json::parse(frozen.out).at("accuracy"));
}

TEST_F(FrozenVerbs, EvalInIntegersIsCloseToFloat) {
  const json integers =
      json::parse(program({"eval", run("run"), "--semantics", "integer", "--json"}).out);
  const json floats = json::parse(program({"eval", run("run"), "--json"}).out);
  for (const char* bits : {"2", "8", "32"})
    EXPECT_NEAR(integers.at("loss").at(bits).get<double>(),
                floats.at("loss").at(bits).get<double>(), bits[0] == '3' ? 1e-5 : 0.02)
        << bits;
}

TEST_F(FrozenVerbs, InferMixesPrecisions) {
  const ProgramResult result = program({"infer", path("model.spnet"), "--data", kData,
                                        "--precisions", "conv=2", "--bits", "8", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(json::parse(result.out).at("accuracy").contains("mixed"));
}

TEST_F(FrozenVerbs, BenchMeasuresEachWidth) {
  const ProgramResult result =
      program({"bench", path("model.spnet"), "--seconds", "0.01", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const json told = json::parse(result.out);
  for (const char* bits : {"2", "8", "32"}) {
    const json& row = told.at("bits").at(bits);
    EXPECT_LE(row.at("least_us"), row.at("median_us"));
    EXPECT_LE(row.at("median_us"), row.at("p99_us"));
    EXPECT_GE(row.at("runs"), 20);
  }
}

TEST_F(FrozenVerbs, ExportWritesOnnxInThreeForms) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"qdq", "--bits", "8"},
                                                std::vector<std::string>{"qonnx", "--bits", "2"},
                                                std::vector<std::string>{"switchable-onnx"}}) {
    std::vector<std::string> all = {"export", path("model.spnet"), "-o", path("out.onnx"),
                                    "--format"};
    all.insert(all.end(), words.begin(), words.end());
    fs::remove(path("out.onnx"));
    const ProgramResult result = program(all);
    ASSERT_EQ(result.code, 0) << words[0] << ": " << result.err;
    EXPECT_GT(fs::file_size(path("out.onnx")), 500U) << words[0];
  }
}

TEST_F(FrozenVerbs, ExportMistakesAreOneSentence) {
  const auto asked = [](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"export", path("model.spnet"), "-o", path("none.onnx")};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  refused(asked({"--format", "qdq"}), "qdq holds one width; give it, for example --bits 8");
  refused(asked({"--format", "qdq", "--bits", "32"}), "qdq holds 8-bit codes");
  refused(asked({"--format", "qonnx", "--bits", "5"}), "it has 2, 8");
  refused(asked({"--format", "switchable-onnx", "--bits", "8"}), "holds all widths");
  refused(asked({"--format", "qdp"}), "did you mean 'qdq'");
  EXPECT_FALSE(fs::exists(path("none.onnx")));
}

TEST_F(FrozenVerbs, InferAndBenchMistakesAreOneSentence) {
  const std::string model = path("model.spnet");
  refused({"infer", model}, "give one of --image FILE and --data DIR");
  refused({"infer", model, "--image", "a.png", "--data", kData}, "give one of --image");
  refused({"infer", model, "--data", kData, "--bits", "12"},
          "the network was not made for 12 bits; it has 2, 8, 32.");
  refused({"bench", model, "--bits", "5"}, "the network was not made for 5 bits");
  refused({"infer", model, "--data", "synthetic:8x4x1x8x8"}, "has 4 classes");
  refused({"infer", model, "--data", "synthetic:8x3x3x8x8"}, "has images of 3 channels");
  refused({"infer", model, "--image", path("none.png")}, "none.png");
  refused({"infer", model, "--data", kData, "--kernels", "fast"}, "'fast'");
  refused({"infer", model, "--data", kData, "--part", "tets"}, "did you mean 'test'");
  refused({"eval", run("run"), "--semantics", "integers"}, "did you mean 'integer'");
  refused({"infer", path("network.yaml"), "--data", kData}, "network.yaml");
}

}  // namespace
}  // namespace instantnet
