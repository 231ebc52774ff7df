// `instantnet import`, as its user meets it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/run_program.h"
#include "core/helpers.h"
#include "nn/torch_save.h"

namespace instantnet {
namespace {

using test::PlainState;
using test::spill;
using test::TempFolder;
using testing::HasSubstr;

void add(PlainState& state, const std::string& name, std::vector<int64_t> shape, float value) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = value * static_cast<float>(static_cast<int>(i * 37 % 11) - 5);
  state.push_back({name, {std::move(shape), std::move(values)}});
}

void add_norm(PlainState& state, const std::string& name, int64_t channels, int widths) {
  for (int i = -1; i < widths; ++i) {
    const std::string one = i < 0 ? name : name + ".bn." + std::to_string(i);
    for (const char* part : {".weight", ".bias", ".running_mean"})
      add(state, one + part, {channels}, 0.1F);
    state.push_back({one + ".running_var",
                     {{channels}, std::vector<float>(static_cast<size_t>(channels), 1.0F)}});
  }
}

void add_conv(PlainState& state, const std::string& prefix, const std::string& number,
              std::vector<int64_t> shape, int widths) {
  const std::string conv = prefix + "conv" + number;
  const int64_t channels = shape[0], range = shape[1] == 1 ? channels : 1;
  add(state, conv + ".weight", std::move(shape), 0.1F);
  add(state, conv + ".running_zero_point", {1, range, 1, 1}, 0.0F);
  state.push_back({conv + ".running_range",
                   {{1, range, 1, 1}, std::vector<float>(static_cast<size_t>(range), 4.0F)}});
  add_norm(state, prefix + "bn" + number, channels, widths);
}

/// Stem, one cell k3_e1 on 4 channels, header, classifier, for `widths` bit-widths and 3 classes.
PlainState small_state(int widths) {
  PlainState state;
  add_conv(state, "stem.", "", {4, 3, 3, 3}, 1);
  add_conv(state, "cells.0._op.", "1", {4, 4, 1, 1}, widths);
  add_conv(state, "cells.0._op.", "2", {4, 1, 3, 3}, widths);
  add_conv(state, "cells.0._op.", "3", {4, 4, 1, 1}, widths);
  add_conv(state, "header.", "", {8, 4, 1, 1}, 1);
  add(state, "fc.weight", {3, 8}, 0.1F);
  add(state, "fc.bias", {3}, 0.1F);
  return state;
}

ProgramResult import(const TempFolder& folder, std::vector<std::string> more) {
  std::vector<std::string> words = {"import",
                                    "--weights",
                                    folder / "w.pt",
                                    "--layers-per-stage",
                                    "1",
                                    "--strides",
                                    "1",
                                    "--image",
                                    "8x8",
                                    "-o",
                                    folder / "out"};
  words.insert(words.end(), more.begin(), more.end());
  return run_program(INSTANTNET_PROGRAM, words);
}

TEST(ImportVerb, MakesACheckpointThatEvalReads) {
  TempFolder folder;
  spill(folder / "w.pt", test::torch_save(small_state(4)));
  spill(folder / "arch.pt", test::torch_save({{"alpha", {{1, 9}, {1, 0, 0, 0, 0, 0, 0, 0, 0}}}}));
  const ProgramResult made = import(folder, {"--arch", folder / "arch.pt", "--classes", "3"});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr("operators: k3_e1\n"));
  EXPECT_THAT(made.out, HasSubstr("bit-widths: 4, 5, 6, 8\n"));
  const ProgramResult scores = run_program(
      INSTANTNET_PROGRAM, {"eval", folder / "out", "--data", "synthetic:30x3x3x8x8", "--json"});
  ASSERT_EQ(scores.code, 0) << scores.err;
  EXPECT_EQ(nlohmann::json::parse(scores.out).at("accuracy").size(), 4U);
  const ProgramResult alone = run_program(INSTANTNET_PROGRAM, {"eval", folder / "out"});
  EXPECT_EQ(alone.code, 2);
  EXPECT_THAT(alone.err, HasSubstr("give --data PATH"));
}

TEST(ImportVerb, MistakesAreOneSentenceAndLeaveNothing) {
  TempFolder folder;
  const auto refused = [&](const std::vector<std::string>& more, const std::string& sentence) {
    const ProgramResult result = import(folder, more);
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_THAT(result.err, HasSubstr(sentence));
    EXPECT_FALSE(std::filesystem::exists(folder / "out"));
  };
  refused({}, "w.pt");  // not there
  spill(folder / "w.pt", "junk");
  refused({}, "is not a file of torch.save");
  spill(folder / "w.pt", test::torch_save(small_state(3)));
  refused({}, "batch norms for 3 bit-widths");
  refused({"--bits", "4,8"}, "is unknown");
  refused({"--bits", "8,4,2"}, "must ascend");
  refused({"--bits", "2,4,8", "--classes", "10"}, "tells 3 classes apart, but --classes is 10");
  const ProgramResult image =
      run_program(INSTANTNET_PROGRAM,
                  {"import", "--weights", folder / "w.pt", "--image", "8", "-o", folder / "out"});
  EXPECT_EQ(image.code, 2);
  EXPECT_THAT(image.err, HasSubstr("'8' is no image size"));
  spill(folder / "arch.pt", test::torch_save({{"alpha", {{1, 9}, {0, 0, 1, 0, 0, 0, 0, 0, 0}}}}));
  refused({"--arch", folder / "arch.pt"}, "cell 0 is k3_e3 in the architecture");
}

TEST(ImportVerb, KeepsWhatIsInTheFolder) {
  TempFolder folder;
  spill(folder / "w.pt", test::torch_save(small_state(4)));
  ASSERT_EQ(import(folder, {}).code, 0);
  EXPECT_THAT(import(folder, {}).err, HasSubstr("replace it with --force"));
  EXPECT_EQ(import(folder, {"--force"}).code, 0);
  spill(folder / "out/mine.txt", "x");
  std::filesystem::remove(folder / "out/digests.txt");
  EXPECT_THAT(import(folder, {"--force"}).err, HasSubstr("is not empty"));
}

}  // namespace
}  // namespace instantnet
