// `instantnet train` and `eval`, as their user meets them: on generated images, for seconds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/run_program.h"
#include "core/helpers.h"
#include "instantnet/core/rng.h"

namespace instantnet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::slurp;
using test::spill;
using test::TempFolder;
using testing::HasSubstr;

constexpr const char* kNetwork = R"(name: tiny
input: [1, 8, 8]
classes: 3
nodes:
  - {name: stem, op: conv, channels: 4, kernel: 3, padding: 1, batch_norm: true, activation: relu, bits: 32}
  - {name: conv, op: conv, channels: 6, kernel: 3, padding: 1, stride: 2, batch_norm: true, activation: relu}
  - {name: pool, op: global_avg_pool}
  - {name: fc, op: linear, channels: 3, bias: true, bits: 32}
)";

/// A config that takes less than a second: 48 images, 3 minibatches an epoch.
std::string config(const TempFolder& folder, const std::string& more = {}) {
  spill(folder / "network.yaml", kNetwork);
  spill(folder / "train.yaml",
        "network: " + (folder / "network.yaml") +
            "\n"
            "bits: [2, 8, 32]\n"
            "float_epochs: 1\n"
            "epochs: 2\n"
            "threads: 1\n"
            "data: {path: 'synthetic:48x3x1x8x8', batch_size: 16, threads: 1}\n" +
            more);
  return folder / "train.yaml";
}

ProgramResult program(const std::vector<std::string>& words) {
  return run_program(INSTANTNET_PROGRAM, words);
}

ProgramResult train(const TempFolder& folder, std::vector<std::string> more = {},
                    const std::string& run = "run") {
  std::vector<std::string> words = {"train", "-c", config(folder), "-o", folder / run};
  words.insert(words.end(), more.begin(), more.end());
  return program(words);
}

std::string weights(const TempFolder& folder, const std::string& run) {
  return slurp(folder / (run + "/last/weights.safetensors"));
}

TEST(TrainVerb, TrainsAndPrintsATable) {
  TempFolder folder;
  const ProgramResult result = train(folder);
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("accuracy %"));
  EXPECT_THAT(result.out, HasSubstr("8 bits"));
  EXPECT_THAT(result.out, HasSubstr("48 test images"));
  for (const char* name : {"run/last/digests.txt", "run/best/digests.txt", "run/run.jsonl"})
    EXPECT_TRUE(fs::exists(folder / name)) << name;
}

TEST(TrainVerb, ComparesWithIndependentNetworks) {
  TempFolder folder;
  const ProgramResult result = train(folder, {"--set", "independent_too=true", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const json scores = json::parse(result.out);
  EXPECT_EQ(scores.at("accuracy").size(), 3U);
  EXPECT_EQ(scores.at("independent").at("accuracy").size(), 3U);
}

TEST(TrainVerb, DryRunPrintsEveryOption) {
  TempFolder folder;
  const ProgramResult result = train(folder, {"--dry-run", "--set", "loss.kind=sp"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("kind: sp"));
  EXPECT_THAT(result.out, HasSubstr("bits: [2, 8, 32]"));
  EXPECT_FALSE(fs::exists(folder / "run"));
}

TEST(TrainVerb, HelpShowsKeysAndPresets) {
  const ProgramResult result = program({"train", "--help"});
  EXPECT_EQ(result.code, 0);
  for (const char* key :
       {"loss.weight", "optimizer.lr", "model.quant.kind", "  reference\n", "--resume"})
    EXPECT_THAT(result.out, HasSubstr(key));
  for (const char* verb : {"eval", "import", "data"}) EXPECT_EQ(program({verb, "--help"}).code, 0);
}

TEST(TrainVerb, RefusesToReplaceARunUnlessForced) {
  TempFolder folder;
  ASSERT_EQ(train(folder).code, 0);
  const std::string before = weights(folder, "run");
  const ProgramResult again = train(folder, {"--set", "seed=2"});
  EXPECT_EQ(again.code, 2);
  EXPECT_THAT(again.err, HasSubstr("holds a run already; continue it with --resume"));
  EXPECT_EQ(weights(folder, "run"), before);
  EXPECT_EQ(train(folder, {"--force", "--set", "data.path=/nowhere"}).code, 2);
  EXPECT_EQ(weights(folder, "run"), before);
  EXPECT_EQ(train(folder, {"--force", "--set", "seed=2"}).code, 0);
  EXPECT_NE(weights(folder, "run"), before);
}

TEST(TrainVerb, KilledAtAnyMomentAndResumedItIsTheSameRun) {
  TempFolder folder;
  const std::vector<std::string> saves = {"--set", "checkpoint_steps=1", "--set", "epochs=6"};
  const auto started = std::chrono::steady_clock::now();
  ASSERT_EQ(train(folder, saves, "whole").code, 0);
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(
                                std::chrono::steady_clock::now() - started)
                                .count();
  const uint64_t seed = 23;
  Rng rng(seed);
  std::vector<std::string> words = {"train", "-c",           config(folder),
                                    "-o",    folder / "cut", "--resume"};
  words.insert(words.end(), saves.begin(), saves.end());
  const KilledRuns runs =
      run_and_kill(INSTANTNET_PROGRAM, words, rng, 6, static_cast<uint64_t>(microseconds));
  ASSERT_EQ(runs.last.code, 0) << runs.last.err;
  EXPECT_EQ(weights(folder, "cut"), weights(folder, "whole"))
      << "seed " << seed << ", killed " << runs.killed << " times";
  EXPECT_EQ(slurp(folder / "cut/last/optimizer.safetensors"),
            slurp(folder / "whole/last/optimizer.safetensors"));
}

TEST(TrainVerb, InterruptedItSavesAndSaysHowToContinue) {
  TempFolder folder;
  StartedProgram run(INSTANTNET_PROGRAM, {"train", "-c", config(folder), "-o", folder / "run",
                                          "--set", "epochs=100000", "--set", "checkpoint_steps=1"});
  while (!fs::exists(folder / "run/last/digests.txt") && !run.ended()) ::usleep(20000);
  run.send(SIGINT);
  const ProgramResult result = run.result();
  EXPECT_EQ(result.code, 130) << result.err;
  EXPECT_THAT(result.err, HasSubstr("continue with: instantnet train -c"));
  EXPECT_THAT(result.err, HasSubstr("--resume"));
  EXPECT_EQ(program({"eval", folder / "run/last"}).code, 0);
}

TEST(TrainVerb, ResumeNeedsNoConfig) {
  TempFolder folder;
  ASSERT_EQ(train(folder).code, 0);
  const ProgramResult again = program({"train", "--resume", "-o", folder / "run"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("accuracy %"));
}

TEST(TrainVerb, MistakesAreOneSentenceAndLeaveNothing) {
  TempFolder folder;
  const auto refused = [&](const std::vector<std::string>& more, const std::string& sentence) {
    const ProgramResult result = train(folder, more);
    EXPECT_EQ(result.code, 2) << sentence << ": " << result.err;
    EXPECT_THAT(result.err, HasSubstr(sentence));
    EXPECT_FALSE(fs::exists(folder / "run")) << sentence;
  };
  refused({"--set", "los.kind=cdt"}, "did you mean 'loss'?");
  refused({"--set", "loss.kind=cdd"}, "did you mean 'cdt'?");
  refused({"--set", "epochs=many"}, "epochs");
  refused({"--set", "bits=8,4"}, "must ascend");
  refused({"--set", "bits=4,17"}, "17");
  refused({"--set", "bits=[]"}, "bits");
  refused({"--preset", "defualt"}, "did you mean 'default'?");
  refused({"--set", "data.path=synthetic:48x5x1x8x8"},
          "the network has 3 classes, but the data set");
  refused({"--set", "data.path=synthetic:48x3x1x9x9"}, "9");
  refused({"--set", "data.path=/nowhere"}, "/nowhere");
  refused({"--set", "network=resnet21"}, "resnet2");
  refused({"--nonsense"}, "--nonsense");
  refused({"--set", "start_from=/nowhere"}, "/nowhere: there is no such checkpoint folder");
  refused({"--set", "device=gpu"}, "device: there is no device 'gpu'; give cpu, cuda, or cuda:N.");
  refused({"--resmue"}, "train: unknown option '--resmue', did you mean '--resume'?");
  EXPECT_EQ(program({"train", "-c", folder / "none.yaml"}).code, 2);
}

TEST(TrainVerb, NoSpaceIsOneSentenceAndLeavesNothingHalfWritten) {
  TempFolder folder;
  const ProgramResult result = run_program(
      "/bin/sh", {"-c", "ulimit -f 128; exec \"$0\" \"$@\"", INSTANTNET_PROGRAM, "train", "-c",
                  config(folder), "-o", folder / "run", "--set", "network=resnet8"});
  EXPECT_EQ(result.code, 2) << result.err;
  EXPECT_THAT(result.err, HasSubstr("File too large"));
  for (const auto& entry : fs::directory_iterator(folder / "run"))
    EXPECT_TRUE(entry.is_regular_file()) << "half-written: " << entry.path();
}

TEST(TrainVerb, ALossThatIsNotFiniteStopsWithItsStep) {
  TempFolder folder;
  const ProgramResult result =
      train(folder, {"--set", "optimizer.lr=1e38", "--set", "optimizer.float_lr=1e38", "--set",
                     "optimizer.clip_norm=0", "--set", "lr.warmup_epochs=0"});
  EXPECT_EQ(result.code, 2) << result.err;
  EXPECT_THAT(result.err,
              testing::ContainsRegex("is not finite in the float phase, step [0-9]+ \\(epoch 1\\), "
                                     "at 32 bits; .* No checkpoint was written yet\\.\n$"));
}

TEST(TrainVerb, ResumingWithOtherOptionsIsRefused) {
  TempFolder folder;
  ASSERT_EQ(train(folder).code, 0);
  const ProgramResult result = train(folder, {"--resume", "--set", "seed=5"});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("seed"));
}

TEST(EvalVerb, PrintsTheJsonThatIsPromised) {
  TempFolder folder;
  ASSERT_EQ(train(folder).code, 0);
  const ProgramResult result = program({"eval", folder / "run", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const json scores = json::parse(result.out);
  EXPECT_EQ(scores.size(), 3U);
  EXPECT_EQ(scores.at("images"), 48);
  for (const char* bits : {"2", "8", "32"}) {
    EXPECT_TRUE(scores.at("accuracy").at(bits).is_number());
    EXPECT_TRUE(scores.at("loss").at(bits).is_number());
  }
  const json some =
      json::parse(program({"eval", folder / "run", "--bits", "8,2", "--limit", "7", "--json"}).out);
  EXPECT_EQ(some.at("images"), 7);
  EXPECT_EQ(some.at("accuracy").size(), 2U);
}

TEST(EvalVerb, WritesLogitsForNumpy) {
  TempFolder folder;
  ASSERT_EQ(train(folder).code, 0);
  ASSERT_EQ(program({"eval", folder / "run", "--dump-logits", folder / "l.npy"}).code, 0);
  const std::string bytes = slurp(folder / "l.npy");
  ASSERT_GT(bytes.size(), 10U);
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  const size_t header = static_cast<uint8_t>(bytes[8]) + 256 * static_cast<uint8_t>(bytes[9]);
  EXPECT_EQ((10 + header) % 64, 0U);
  EXPECT_THAT(bytes.substr(10, header),
              HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 48, 3), }"));
  EXPECT_EQ(bytes[9 + header], '\n');
  EXPECT_EQ(bytes.size(), 10 + header + 3 * 48 * 3 * sizeof(float));
}

TEST(EvalVerb, TakesAPrecisionForEachLayer) {
  TempFolder folder;
  ASSERT_EQ(train(folder).code, 0);
  const auto with = [&](const std::string& given) {
    return program({"eval", folder / "run", "--json", "--precisions", given});
  };
  const ProgramResult mixed = with("conv=2");
  ASSERT_EQ(mixed.code, 0) << mixed.err;
  const json two = json::parse(program({"eval", folder / "run", "--json", "--bits", "2"}).out);
  EXPECT_EQ(json::parse(mixed.out).at("loss").at("mixed"), two.at("loss").at("2"));
  spill(folder / "p.yaml", "conv: w8a2\n");
  EXPECT_EQ(with(folder / "p.yaml").code, 0);
  EXPECT_THAT(with("cnov=2").err, HasSubstr("did you mean 'conv'?"));
  EXPECT_THAT(with("conv=5").err, HasSubstr("5"));
  EXPECT_THAT(with("stem=8").err, HasSubstr("always runs at 32 bits"));
  EXPECT_THAT(with("=8").err, HasSubstr("is not LAYER=BITS"));
}

TEST(EvalVerb, ReadsOtherPartsAndRecalibrates) {
  TempFolder folder;
  ASSERT_EQ(train(folder, {"--set", "data.validation=0.25"}).code, 0);
  const auto with = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"eval", folder / "run", "--json"});
    return program(words);
  };
  EXPECT_EQ(json::parse(with({"--part", "validation"}).out).at("images"), 12);
  EXPECT_EQ(json::parse(with({"--part", "train"}).out).at("images"), 36);
  EXPECT_EQ(with({"--recalibrate", "32"}).code, 0);
  EXPECT_EQ(with({"--kernels", "plain"}).code, 0);
  EXPECT_THAT(with({"--part", "tset"}).err, HasSubstr("did you mean 'test'?"));
  EXPECT_THAT(with({"--kernels", "fsued"}).err, HasSubstr("did you mean 'fused'?"));
}

TEST(EvalVerb, MistakesAreOneSentence) {
  TempFolder folder;
  ASSERT_EQ(train(folder).code, 0);
  const auto refused = [&](std::vector<std::string> words, const std::string& sentence) {
    words.insert(words.begin(), "eval");
    const ProgramResult result = program(words);
    EXPECT_EQ(result.code, 2) << sentence << ": " << result.err;
    EXPECT_THAT(result.err, HasSubstr(sentence));
  };
  const std::string run = folder / "run";
  refused({run, "--bits", "4"}, "it has 2, 8, 32");
  refused({run, "--bits", "8;2"}, "is no list of bit-widths");
  refused({run, "--bits", "8,8"}, "twice");
  refused({run, "--data", "synthetic:8x4x1x8x8"}, "has 4 classes, but the network 'tiny' tells 3");
  refused({run, "--data", "synthetic:8x3x1x9x9"}, "has images of 1x9x9");
  refused({run, "--data", "/nowhere"}, "/nowhere");
  refused({run, "--device", "gpu"}, "--device: there is no device 'gpu'");
  refused({run, "--part", "validation"}, "kept no validation images");
  refused({run, "--dump-logits", folder / "none/l.npy"}, "make it first");
  refused({folder / "nothing"}, "there is no such checkpoint folder");
  refused({folder.path()}, "is no checkpoint");
  std::string bytes = weights(folder, "run");
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
  spill(folder / "run/last/weights.safetensors", bytes);
  refused({folder / "run/last"}, "weights.safetensors: is damaged");
}

TEST(Program, SaysItsVersion) {
  const ProgramResult result = program({"--version"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, HasSubstr("instantnet 0."));
}

}  // namespace
}  // namespace instantnet
