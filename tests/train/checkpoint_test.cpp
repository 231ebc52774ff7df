// Checkpoints: whole or a sentence, whatever happens to the disk.
#include "instantnet/train/checkpoint.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <torch/types.h>
#include <unistd.h>

#include <filesystem>

#include "core/helpers.h"
#include "instantnet/core/file.h"
#include "instantnet/core/rng.h"
#include "instantnet/net/zoo.h"

namespace instantnet::train {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::slurp;
using test::spill;
using test::TempFolder;
using testing::HasSubstr;

const std::vector<std::string> kFiles = {"checkpoint.yaml", "network.yaml", "weights.safetensors",
                                         "optimizer.safetensors", "digests.txt"};

/// One 1x1 convolution and a classifier.
NetworkSpec tiny_network(int64_t channels = 4) {
  NetworkSpec spec;
  spec.name = "tiny";
  spec.channels = 1;
  spec.height = spec.width = 4;
  spec.classes = 2;
  Node conv{.name = "conv", .op = Op::Conv, .inputs = {"input"}, .channels = channels};
  conv.batch_norm = true;
  Node pool{.name = "pool", .op = Op::GlobalAvgPool, .inputs = {"conv"}};
  Node fc{.name = "fc", .op = Op::Linear, .inputs = {"pool"}, .channels = 2};
  fc.bias = true;
  spec.nodes = {conv, pool, fc};
  return spec;
}

Checkpoint example(int64_t step = 3) {
  Checkpoint checkpoint;
  checkpoint.spec = tiny_network();
  checkpoint.bits = {2, 8, 32};
  checkpoint.model_options.norm_momentum = 0.25;
  const nn::SwitchableModel model(checkpoint.spec, checkpoint.bits, checkpoint.model_options,
                                  static_cast<uint64_t>(step));
  for (const nn::Named& one : model.tensors())
    checkpoint.weights[one.name] = one.tensor.detach().clone();
  checkpoint.optimizer = {{"conv.weight.momentum", at::full({4, 1, 1, 1}, 0.5)}};
  checkpoint.run_options = Tree::map().set("seed", Tree::of(7)).set("note", Tree::of("a: b"));
  checkpoint.state = {"joint", 2, step, 40, 0.1 + 0.2, 1, 1234, 99};
  return checkpoint;
}

/// Makes digests.txt right again after a file was changed on purpose.
void renew_digests(const std::string& folder) {
  std::string text;
  for (const std::string& name : kFiles)
    if (name != "digests.txt") text += sha256_file(folder + "/" + name) + "  " + name + "\n";
  spill(folder + "/digests.txt", text + sha256(text) + "  digests.txt\n");
}

std::string load_error(const std::string& folder) {
  return error_of([&] { load_checkpoint(folder); });
}

TEST(Checkpoint, GivesBackEverything) {
  TempFolder folder;
  const Checkpoint before = example();
  save_checkpoint(before, folder / "last");
  const Checkpoint after = load_checkpoint(folder / "last");
  EXPECT_EQ(after.spec, before.spec);
  EXPECT_EQ(after.bits, before.bits);
  EXPECT_EQ(after.model_options.norm_momentum, 0.25);
  EXPECT_EQ(after.run_options, before.run_options);
  EXPECT_EQ(after.state, before.state);
  ASSERT_EQ(after.weights.size(), before.weights.size());
  for (const auto& [name, tensor] : before.weights)
    EXPECT_TRUE(at::equal(after.weights.at(name), tensor)) << name;
  EXPECT_EQ(after.optimizer.size(), 1U);
}

TEST(Checkpoint, MakesTheModelAgain) {
  TempFolder folder;
  const Checkpoint before = example();
  save_checkpoint(before, folder / "last");
  const nn::SwitchableModel model = make_model(load_checkpoint(folder / "last"));
  for (const nn::Named& one : model.tensors())
    EXPECT_TRUE(at::equal(one.tensor, before.weights.at(one.name))) << one.name;
}

TEST(Checkpoint, SameCheckpointIsSameBytes) {
  TempFolder folder;
  save_checkpoint(example(), folder / "a");
  save_checkpoint(example(), folder / "b");
  for (const std::string& name : kFiles)
    EXPECT_EQ(slurp(folder / "a/" + name), slurp(folder / "b/" + name)) << name;
}

TEST(Checkpoint, DigestsAreThoseOfSha256sum) {
  TempFolder folder;
  save_checkpoint(example(), folder / "a");
  EXPECT_THAT(slurp(folder / "a/digests.txt"),
              HasSubstr(sha256_file(folder / "a/weights.safetensors") + "  weights.safetensors\n"));
}

TEST(Checkpoint, WithoutOptimizerHasNoSuchFile) {
  TempFolder folder;
  Checkpoint checkpoint = example();
  checkpoint.optimizer.clear();
  save_checkpoint(checkpoint, folder / "best");
  EXPECT_FALSE(fs::exists(folder / "best/optimizer.safetensors"));
  EXPECT_TRUE(load_checkpoint(folder / "best").optimizer.empty());
}

TEST(Checkpoint, AnyFlippedByteNamesItsFile) {
  TempFolder folder;
  save_checkpoint(example(), folder / "a");
  for (const std::string& name : kFiles) {
    const std::string path = folder / "a/" + name, whole = slurp(path);
    for (size_t at = 0; at < whole.size(); at += 1 + whole.size() / 40) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ 1);
      spill(path, bytes);
      EXPECT_THAT(load_error(folder / "a"), HasSubstr("a/" + name + ": is damaged")) << at;
    }
    spill(path, whole);
  }
  load_checkpoint(folder / "a");
}

TEST(Checkpoint, AnyTruncationNamesItsFile) {
  TempFolder folder;
  save_checkpoint(example(), folder / "a");
  for (const std::string& name : kFiles) {
    const std::string path = folder / "a/" + name, whole = slurp(path);
    for (const size_t keep : {size_t{0}, size_t{1}, whole.size() / 2, whole.size() - 1}) {
      spill(path, whole.substr(0, keep));
      EXPECT_THAT(load_error(folder / "a"), HasSubstr("a/" + name)) << keep;
    }
    spill(path, whole);
  }
}

TEST(Checkpoint, AMissingFileIsNamed) {
  TempFolder folder;
  for (const std::string& name : kFiles) {
    save_checkpoint(example(), folder / "a");
    fs::remove(folder / "a/" + name);
    EXPECT_THAT(load_error(folder / "a"), HasSubstr(name));
  }
}

TEST(Checkpoint, OtherPathsAreNoCheckpoints) {
  TempFolder folder;
  spill(folder / "file", "x");
  fs::create_directory(folder / "empty");
  EXPECT_THAT(load_error(folder / "none"), HasSubstr("there is no such checkpoint folder"));
  EXPECT_THAT(load_error(folder / "file"), HasSubstr("is a file; give the folder"));
  EXPECT_THAT(load_error(folder / "empty"), HasSubstr("is no checkpoint"));
  fs::create_directory(folder / "run");
  save_checkpoint(example(), folder / "run/best");
  EXPECT_EQ(load_error(folder / "run"),
            (folder / "run") + ": is a run and no checkpoint; give " + (folder / "run/best") + ".");
}

TEST(Checkpoint, ANewerVersionSaysSo) {
  TempFolder folder;
  save_checkpoint(example(), folder / "a");
  const std::string path = folder / "a/checkpoint.yaml";
  std::string text = slurp(path);
  text.replace(text.find("version: 1"), 10, "version: 2");
  spill(path, text);
  renew_digests(folder / "a");
  EXPECT_THAT(load_error(folder / "a"), HasSubstr("is of version 2 of a checkpoint; this program reads versions up to 1"));
}

TEST(Checkpoint, WeightsOfAnotherNetworkAreRefused) {
  TempFolder folder;
  Checkpoint checkpoint = example();
  checkpoint.spec = tiny_network(/*channels=*/5);
  save_checkpoint(checkpoint, folder / "a");
  EXPECT_THAT(error_of([&] { make_model(load_checkpoint(folder / "a")); }),
              HasSubstr("tensor 'conv.weight' has shape [4, 1, 1, 1]"));
  checkpoint = example();
  checkpoint.bits = {2, 4, 8, 32};
  save_checkpoint(checkpoint, folder / "a");
  EXPECT_THAT(error_of([&] { make_model(load_checkpoint(folder / "a")); }),
              HasSubstr("is missing"));
}

TEST(Checkpoint, NetworkAndClassesMustAgree) {
  TempFolder folder;
  save_checkpoint(example(), folder / "a");
  const std::string path = folder / "a/checkpoint.yaml";
  std::string text = slurp(path);
  text.replace(text.find("classes: 2"), 10, "classes: 3");
  spill(path, text);
  renew_digests(folder / "a");
  EXPECT_THAT(load_error(folder / "a"), HasSubstr("classes is 3, but network.yaml has 2"));
}

/// Runs `work` in a child and returns its exit code, or -1 when a signal ended it.
template <class F>
int in_child(const F& work) {
  const pid_t child = fork();
  if (child == 0) _exit(work());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Checkpoint, AFullDiskLeavesTheOldOne) {
  TempFolder folder;
  save_checkpoint(example(1), folder / "last");
  for (const rlim_t most : {rlim_t{0}, rlim_t{100}, rlim_t{700}}) {
    const int code = in_child([&] {
      ::signal(SIGXFSZ, SIG_IGN);  // writing fails with EFBIG instead
      const rlimit limit{most, most};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      return error_of([&] { save_checkpoint(example(2), folder / "last"); }) == "no error" ? 0 : 3;
    });
    EXPECT_EQ(code, 3) << most;
    EXPECT_EQ(load_checkpoint(folder / "last").state.step, 1);
    EXPECT_EQ(folder.names().size(), 1U) << "leftovers";
  }
}

TEST(Checkpoint, KilledWhileSavingItIsOldOrNew) {
  TempFolder folder;
  const uint64_t seed = 17;
  Rng rng(seed);
  save_checkpoint(example(0), folder / "last");
  const std::vector<Checkpoint> two = {example(1), example(2)};
  for (int round = 0; round < 20; ++round) {
    const pid_t child = fork();
    if (child == 0)
      for (size_t i = 0;; ++i) save_checkpoint(two[i % 2], folder / "last");
    ::usleep(static_cast<useconds_t>(5000 + rng.below(40000)));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const Checkpoint found = load_checkpoint(folder / "last");
    EXPECT_LE(found.state.step, 2) << "seed " << seed << ", round " << round;
    EXPECT_EQ(folder.names(), std::vector<std::string>{"last"}) << "leftovers";
  }
}

}  // namespace
}  // namespace instantnet::train
