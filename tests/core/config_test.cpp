#include "instantnet/core/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "core/helpers.h"
#include "instantnet/core/rng.h"

namespace instantnet {
namespace {

using test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

enum class Loss { Cdt, Sp, Joint };

const EnumNames<Loss>& names_of(Loss) {
  static const EnumNames<Loss> names = {
      {Loss::Cdt, "cdt"}, {Loss::Sp, "sp"}, {Loss::Joint, "joint"}};
  return names;
}

struct LossOptions {
  Loss kind = Loss::Cdt;
  double weight = 0.1;
};

Fields fields(LossOptions& options) {
  Fields f;
  f.add("kind", options.kind, "Which widths teach (InstantNet, DAC 2021).");
  f.add("weight", options.weight, "Weight of the distillation term.", {0, 1, ""});
  return f;
}

struct Options {
  bool verify = false;
  int epochs = 3;
  int64_t images = 20000;
  uint64_t seed = 1;
  double lr = 0.1;
  std::string path = "data";
  std::vector<int> bits = {4, 8};
  std::vector<int64_t> sizes;
  std::vector<double> mean;
  std::vector<std::string> tags = {"a"};
  LossOptions loss;
};

Fields fields(Options& options) {
  Fields f;
  f.add("verify", options.verify, "Check digests.");
  f.add("epochs", options.epochs, "Passes over the training set.", {1, 1000, "epochs"});
  f.add("images", options.images, "Images used.", {.least = 1, .unit = "images"});
  f.add("seed", options.seed, "Everything random comes from this.");
  f.add("lr", options.lr, "Learning rate.", {.least = 0});
  f.add("path", options.path, "Folder of the data set.");
  f.add("bits", options.bits, "Bit-widths, ascending.", {1, 32, "bits"});
  f.add("sizes", options.sizes, "Sizes.");
  f.add("mean", options.mean, "Mean per channel.", {.least = 0, .most = 1});
  f.add("tags", options.tags, "Labels of the run.");
  f.add_group("loss", fields(options.loss), "What is minimised.");
  return f;
}

/// Reads a train.yaml of this text and gives what was said.
std::string error_of_reading(const std::string& text) {
  Options options;
  return error_of([&] { read_fields(fields(options), parse_yaml(text, "train.yaml")); });
}

Options read(const std::string& text) {
  Options options;
  read_fields(fields(options), parse_yaml(text, "train.yaml"));
  return options;
}

Options assigned(const std::string& assignment) {
  Options options;
  set_field(fields(options), assignment);
  return options;
}

std::string error_of_setting(const std::string& assignment) {
  return error_of([&] { assigned(assignment); });
}

// ---- Files.

TEST(ReadFields, FillsEveryKind) {
  const Options options = read(
      "verify: true\nepochs: 30\nimages: 5000000000\nseed: 18446744073709551615\nlr: 1e-3\n"
      "path: /data\nbits: [2, 4, 8]\nsizes: [1, 2]\nmean: [0.5, 1]\ntags: [x, 8]\n"
      "loss: {kind: joint, weight: 0}\n");
  EXPECT_TRUE(options.verify);
  EXPECT_EQ(options.epochs, 30);
  EXPECT_EQ(options.images, 5000000000);
  EXPECT_EQ(options.seed, 18446744073709551615u);
  EXPECT_EQ(options.lr, 1e-3);
  EXPECT_EQ(options.path, "/data");
  EXPECT_THAT(options.bits, ElementsAre(2, 4, 8));
  EXPECT_THAT(options.sizes, ElementsAre(1, 2));
  EXPECT_THAT(options.mean, ElementsAre(0.5, 1.0));
  EXPECT_THAT(options.tags, ElementsAre("x", "8"));
  EXPECT_EQ(options.loss.kind, Loss::Joint);
  EXPECT_EQ(options.loss.weight, 0);
}

TEST(ReadFields, KeepsWhatTheFileDoesNotName) {
  for (const char* text : {"", "lr: 0.1", "loss:", "loss: {}", "{}"}) {
    const Options options = read(text);
    EXPECT_EQ(options.epochs, 3);
    EXPECT_EQ(options.loss.kind, Loss::Cdt);
  }
}

TEST(ReadFields, TakesAScalarForAListOfOne) {
  EXPECT_THAT(read("bits: 8").bits, ElementsAre(8));
  EXPECT_THAT(read("tags: one").tags, ElementsAre("one"));
  EXPECT_THAT(read("bits: []").bits, IsEmpty());
}

TEST(ReadFields, NamesTheNearestKey) {
  EXPECT_EQ(error_of_reading("\nepocs: 3\n"),
            "train.yaml:2: unknown key 'epocs', did you mean 'epochs'?");
  EXPECT_EQ(error_of_reading("loss:\n  kind: sp\n  wieght: 3\n"),
            "train.yaml:3: unknown key 'wieght' in 'loss', did you mean 'weight'?");
  EXPECT_EQ(error_of_reading("loss: {zzz: 3}\n"),
            "train.yaml:1: unknown key 'zzz' in 'loss'; known are kind, weight.");
}

TEST(ReadFields, NamesAValueOutOfRange) {
  EXPECT_EQ(error_of_reading("lr: 1\nimages: 0\n"),
            "train.yaml:2: images is 0; give an integer >= 1 (images).");
  EXPECT_EQ(error_of_reading("epochs: 1001"),
            "train.yaml:1: epochs is 1001; give an integer from 1 to 1000 (epochs).");
  EXPECT_EQ(error_of_reading("lr: -0.5"), "train.yaml:1: lr is -0.5; give a number >= 0.");
  EXPECT_EQ(error_of_reading("loss:\n  weight: 2\n"),
            "train.yaml:2: loss.weight is 2; give a number from 0 to 1.");
  EXPECT_EQ(error_of_reading("seed: -1"), "train.yaml:1: seed is -1; give an integer >= 0.");
  EXPECT_EQ(error_of_reading("bits: [4, 33]"),
            "train.yaml:1: bits has an item 2 that is 33; give an integer from 1 to 32 (bits).");
  EXPECT_EQ(error_of_reading("bits: 0"),
            "train.yaml:1: bits is 0; give an integer from 1 to 32 (bits).");
}

TEST(ReadFields, NamesAnIntegerThatDoesNotFit) {
  int value = 0;
  Fields f;
  f.add("n", value, "A number.", {.least = 1});
  EXPECT_EQ(error_of([&] { read_fields(f, parse_yaml("n: 3000000000", "a.yaml")); }),
            "a.yaml:1: n is 3000000000; give an integer from 1 to 2147483647.");
}

TEST(ReadFields, NamesAValueOfTheWrongType) {
  EXPECT_EQ(error_of_reading("epochs: 1.5"),
            "train.yaml:1: epochs is 1.5; give an integer from 1 to 1000 (epochs).");
  EXPECT_EQ(error_of_reading("epochs: '3'"),
            "train.yaml:1: epochs is the text '3'; give an integer from 1 to 1000 (epochs).");
  EXPECT_EQ(error_of_reading("epochs:"),
            "train.yaml:1: epochs is empty; give an integer from 1 to 1000 (epochs).");
  EXPECT_EQ(error_of_reading("lr: fast"), "train.yaml:1: lr is 'fast'; give a number >= 0.");
  EXPECT_EQ(error_of_reading("lr: .inf"), "train.yaml:1: lr is .inf; give a number >= 0.");
  EXPECT_EQ(error_of_reading("verify: 1"), "train.yaml:1: verify is 1; give true or false.");
  EXPECT_EQ(error_of_reading("path: [a]"), "train.yaml:1: path is a list; give a text.");
  EXPECT_EQ(error_of_reading("bits: {a: 1}"),
            "train.yaml:1: bits is a map; give a list of integers from 1 to 32 (bits).");
  EXPECT_EQ(error_of_reading("tags: {a: 1}"), "train.yaml:1: tags is a map; give a list of texts.");
  EXPECT_EQ(error_of_reading("loss: cdt"),
            "train.yaml:1: loss is 'cdt'; give a map with the keys kind, weight.");
  EXPECT_THAT(error_of_reading("[1, 2]"),
              HasSubstr("train.yaml:1: the file is a list; give a map with the keys verify, "));
}

TEST(ReadFields, NamesTheNearestChoiceAndAllOfThem) {
  EXPECT_EQ(error_of_reading("loss:\n  kind: ctd\n"),
            "train.yaml:2: loss.kind is 'ctd', did you mean 'cdt'? Known are cdt, sp, joint.");
  EXPECT_EQ(error_of_reading("loss: {kind: zzz}"),
            "train.yaml:1: loss.kind is 'zzz'; give one of cdt, sp, joint.");
  EXPECT_EQ(error_of_reading("loss: {kind: [cdt]}"),
            "train.yaml:1: loss.kind is a list; give one of cdt, sp, joint.");
}

// ---- Assignments.

TEST(SetField, ReadsAPathAndAYamlValue) {
  EXPECT_EQ(assigned("epochs=30").epochs, 30);
  EXPECT_EQ(assigned("loss.kind=sp").loss.kind, Loss::Sp);
  EXPECT_EQ(assigned("loss={kind: sp, weight: 1}").loss.weight, 1);
  EXPECT_TRUE(assigned("verify=true").verify);
}

TEST(SetField, ReadsListsWithAndWithoutBrackets) {
  EXPECT_THAT(assigned("bits=[4, 8]").bits, ElementsAre(4, 8));
  EXPECT_THAT(assigned("bits=4,8,16").bits, ElementsAre(4, 8, 16));
  EXPECT_THAT(assigned("bits=4").bits, ElementsAre(4));
  EXPECT_THAT(assigned("bits=[]").bits, IsEmpty());
  EXPECT_THAT(assigned("mean=0.5, 1").mean, ElementsAre(0.5, 1.0));
  EXPECT_THAT(assigned("tags=x,y z").tags, ElementsAre("x", "y z"));
  EXPECT_THAT(assigned("tags='x,y'").tags, ElementsAre("x,y"));
}

TEST(SetField, TakesTextAsItStands) {
  for (const char* text : {"a: b", "[x]", "#1", "8", "true", "", "a=b", "C:\\x", " x ", "- a"})
    EXPECT_EQ(assigned(std::string("path=") + text).path, text);
  EXPECT_EQ(assigned("path='it''s'").path, "it's");
  EXPECT_EQ(assigned("path=\"a\\tb\"").path, "a\tb");
}

TEST(SetField, NamesTheAssignment) {
  EXPECT_EQ(error_of_setting("los.kind=cdt"),
            "--set los.kind=cdt: unknown key 'los', did you mean 'loss'?");
  EXPECT_EQ(error_of_setting("loss.knd=cdt"),
            "--set loss.knd=cdt: unknown key 'knd' in 'loss', did you mean 'kind'?");
  EXPECT_EQ(error_of_setting("loss.kind=ctd"),
            "--set loss.kind=ctd: loss.kind is 'ctd', did you mean 'cdt'? Known are cdt, sp, "
            "joint.");
  EXPECT_EQ(error_of_setting("epochs=0"),
            "--set epochs=0: epochs is 0; give an integer from 1 to 1000 (epochs).");
  EXPECT_EQ(error_of_setting("bits=4,99"),
            "--set bits=4,99: bits has an item 2 that is 99; give an integer from 1 to 32 (bits).");
  EXPECT_EQ(error_of_setting("bits="),
            "--set bits=: bits is empty; give a list of integers from 1 to 32 (bits).");
  EXPECT_EQ(error_of_setting("loss=cdt"),
            "--set loss=cdt: loss is 'cdt'; give a map with the keys kind, weight.");
  EXPECT_EQ(error_of_setting("loss={knd: cdt}"),
            "--set loss={knd: cdt}: unknown key 'knd' in 'loss', did you mean 'kind'?");
  EXPECT_EQ(error_of_setting("epochs.x=1"),
            "--set epochs.x=1: 'epochs' is one value and has no keys below it.");
}

TEST(SetField, NamesAnAssignmentThatIsNone) {
  for (const char* text : {"epochs", "=3", ""})
    EXPECT_EQ(error_of_setting(text), std::string("--set ") + text +
                                          ": has no 'key=' in front of the value; give --set "
                                          "key=value.");
  EXPECT_THAT(error_of_setting("epochs=[1"),
              HasSubstr("--set epochs=[1: the value '[1' cannot be read (line"));
}

// ---- Writing and help.

TEST(ToTree, WritesEveryKeyInOrder) {
  Options options;
  EXPECT_EQ(print_yaml(to_tree(fields(options))),
            "verify: false\nepochs: 3\nimages: 20000\nseed: 1\nlr: 0.1\npath: data\n"
            "bits: [4, 8]\nsizes: []\nmean: []\ntags: [a]\nloss:\n  kind: cdt\n  weight: 0.1\n");
}

TEST(ToTree, ReadsBackAsTheSameForRandomOptions) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed);
    Options options;
    options.epochs = 1 + static_cast<int>(rng.below(1000));
    options.seed = rng.next();
    options.lr = std::exp(rng.normal() * 10);
    options.path = std::string(rng.below(4), static_cast<char>(rng.below(128)));
    options.bits.assign(rng.below(4), 1 + static_cast<int>(rng.below(32)));
    options.tags.assign(rng.below(3), rng.flip() ? "8" : "x: #");
    options.loss.kind = names_of(Loss{})[rng.below(3)].first;
    const std::string printed = print_yaml(to_tree(fields(options)));
    Options back = read(printed);
    EXPECT_EQ(print_yaml(to_tree(fields(back))), printed) << "seed " << seed;
    EXPECT_EQ(back.path, options.path) << "seed " << seed;
    EXPECT_EQ(back.lr, options.lr) << "seed " << seed;
  }
}

TEST(Fields, TwoOfOneNameAreABug) {
  int value = 0;
  Fields f;
  f.add("a", value, "One.");
  EXPECT_THROW(f.add("a", value, "Two."), Bug);
}

TEST(Explain, PutsASentenceBelowEachKeyAndValue) {
  Options options;
  Fields f;
  f.add("epochs", options.epochs, "Passes over the training set.", {1, 1000, "epochs"});
  f.add("bits", options.bits, "Bit-widths, ascending.");
  f.add_group("loss", fields(options.loss), "What is minimised.");
  f.add("seed", options.seed, "Everything random.");
  EXPECT_EQ(explain(f, "train."),
            "  train.epochs = 3\n"
            "      Passes over the training set. (integer from 1 to 1000 epochs)\n"
            "  train.bits = [4, 8]\n"
            "      Bit-widths, ascending. (list of integers)\n"
            "\n"
            "  train.loss: What is minimised.\n"
            "  train.loss.kind = cdt\n"
            "      Which widths teach (InstantNet, DAC 2021). (cdt|sp|joint)\n"
            "  train.loss.weight = 0.1\n"
            "      Weight of the distillation term. (number from 0 to 1)\n"
            "\n"
            "  train.seed = 1\n"
            "      Everything random. (integer)\n");
}

TEST(Explain, WrapsAtEightyColumns) {
  std::string path(60, 'p');
  int value = 0;
  Fields f;
  f.add("a_key_that_is_quite_a_bit_longer_than_others", value, "Short.");
  f.add("path", path,
        "Long: " + std::string(10, 'w') +
            " and so on, word after word after word "
            "until the sentence does not fit any more on one line of the terminal.");
  std::istringstream lines(explain(f));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_LE(line.size(), 80u) << line;
  EXPECT_GE(count, 5);
}

}  // namespace
}  // namespace instantnet
