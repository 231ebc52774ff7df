#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "instantnet/core/file.h"
#include "instantnet/report/pick.h"
#include "instantnet/report/report.h"
#include "net/expect_error.h"
#include "own_folder.h"
#include "report/small_pipeline.h"

namespace instantnet::report {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

/// A fresh folder of this name.
std::string fresh(const std::string& name) {
  const std::string folder = own_folder() + name;
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

/// The small pipeline; made once, not to be changed.
const std::string& pipeline() {
  static const std::string folder = [] {
    write_pipeline(own_folder() + "pipeline");
    return own_folder() + "pipeline";
  }();
  return folder;
}

/// A copy of it that may be damaged.
std::string damaged(const std::string& name) {
  const std::string folder = own_folder() + name;
  fs::remove_all(folder);
  fs::copy(pipeline(), folder, fs::copy_options::recursive);
  return folder;
}

Tree report_on(const std::vector<std::string>& folders, const std::string& title = {}) {
  std::vector<Given> given;
  for (const std::string& one : folders) given.push_back({one, fs::path(one).filename().string()});
  return gather(given, {title, "instantnet test"});
}

std::string refusal(const std::vector<std::string>& folders) {
  return error_of([&] { report_on(folders); });
}

const Tree& only_run(const Tree& document) { return document.find("runs")->items.at(0); }

std::vector<std::string> keys_of(const Tree& map) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : map.entries) keys.push_back(key);
  return keys;
}

std::vector<std::string> texts_at(const Tree& list, const char* key) {
  std::vector<std::string> texts;
  for (const Tree& item : list.items) texts.push_back(text_at(item, {key}));
  return texts;
}

// ---- What is found

TEST(Gather, FindsEveryPartOfAPipeline) {
  const Tree document = report_on({pipeline()});
  EXPECT_EQ(text_at(document, {"title"}), "A small pipeline");
  EXPECT_THAT(keys_of(only_run(document)),
              ElementsAre("name", "network", "facts", "systems", "training", "search", "mapping",
                          "deployment", "budget", "provenance"));
}

TEST(Gather, HasOneSystemForUsOneForNetworksTrainedAloneAndOneForEachRival) {
  const Tree document = report_on({pipeline()});
  const Tree& systems = *only_run(document).find("systems");
  EXPECT_THAT(texts_at(systems, "name"), ElementsAre("ours", "independent", "sp"));
  EXPECT_THAT(texts_at(*systems.items[0].find("costs"), "device"),
              ElementsAre("simple3", "eyeriss"));
  EXPECT_EQ(text_at(systems.items[2].find("costs")->items[0], {"search", "template"}),
            "row-stationary");
}

TEST(Gather, SplitsTheWholeEnergyOfEachLayer) {
  const Tree document = report_on({pipeline()});
  for (const Tree& plan : only_run(document).find("mapping")->items)
    for (const Tree& layer : plan.find("layers")->items) {
      double sum = layer.find("mac_pj")->as_double() + layer.find("static_pj")->as_double();
      for (const Tree& level : layer.find("levels")->items)
        for (const Tree& part : level.items) sum += part.as_double();
      EXPECT_NEAR(sum, layer.find("energy_pj")->as_double(), 1e-9 * sum);
    }
}

TEST(Gather, NoLayerIsAboveTheRoof) {
  const Tree document = report_on({pipeline()});
  for (const Tree& plan : only_run(document).find("mapping")->items) {
    const double speed = find_at(plan, {"device", "bytes_a_cycle"})->as_double();
    for (const Tree& layer : plan.find("layers")->items) {
      const double cycles = layer.find("cycles")->as_double();
      EXPECT_LE(layer.find("macs")->as_double(), layer.find("peak")->as_double() * cycles);
      if (speed == 0) continue;
      EXPECT_LE(layer.find("bytes")->as_double(), speed * cycles * (1 + 1e-9));
    }
  }
}

TEST(Gather, TakesATrainingASearchOrABundleAlone) {
  EXPECT_THAT(keys_of(only_run(report_on({pipeline() + "/train"}))),
              ElementsAre("name", "network", "facts", "systems", "training", "provenance"));
  EXPECT_THAT(keys_of(only_run(report_on({pipeline() + "/search"}))),
              ElementsAre("name", "network", "systems", "search", "provenance"));
  EXPECT_THAT(keys_of(only_run(report_on({pipeline() + "/bundles/eyeriss"}))),
              ElementsAre("name", "network", "systems", "mapping", "deployment", "provenance"));
}

TEST(Gather, TakesRunsThatAreNotFinished) {
  const std::string folder = fresh("unfinished");
  write_text(folder + "/run.jsonl", start_record("cdt", "pictures") + epoch_record(1, 0.5));
  const Tree document = report_on({folder});
  const Tree& training = only_run(document).find("training")->items.at(0);
  EXPECT_EQ(training.find("result"), nullptr);
  EXPECT_EQ(training.find("epochs")->items.size(), 1u);
}

TEST(Gather, LeavesOutALastRecordThatWasCutShortAndSaysSo) {
  const std::string folder = fresh("cut");
  write_text(folder + "/run.jsonl",
             start_record("cdt", "pictures") + epoch_record(1, 0.5) + "{\"event\": \"ep");
  const Tree document = report_on({folder});
  EXPECT_EQ(find_at(only_run(document), {"provenance", "notes"})->items.at(0).scalar,
            "run.jsonl: line 3, the last, was cut short and is left out.");
}

TEST(Gather, TakesLossesThatAreNoNumbers) {
  const std::string folder = fresh("diverged");
  std::string epoch = epoch_record(1, 0.5);
  epoch.replace(epoch.find("1.000"), 5, ".nan ");
  write_text(folder + "/run.jsonl", start_record("cdt", "pictures") + epoch);
  const Tree document = report_on({folder});
  const Tree& read = only_run(document).find("training")->items.at(0).find("epochs")->items.at(0);
  EXPECT_EQ(find_at(read, {"loss", "4"})->kind, Tree::Kind::Null);
}

TEST(Gather, JoinsInferencesThatAreAlike) {
  const Tree document = report_on({pipeline()});
  const Tree& trace = *only_run(document).find("budget")->items.at(0).find("trace");
  EXPECT_EQ(print_json(*trace.find("shown")),
            "[[0, 2, 12, 4, 1, 10000000, 1], [2, 2, 30, 8, 1, 20000000, 2], "
            "[4, 2, 12, 4, 1, 10000000, 2]]");
}

TEST(Gather, ListsEveryFileWithItsDigest) {
  const Tree document = report_on({pipeline()});
  for (const Tree& file : find_at(only_run(document), {"provenance", "files"})->items)
    EXPECT_EQ(text_at(file, {"sha256"}), sha256_file(pipeline() + "/" + text_at(file, {"path"})));
}

TEST(Gather, GivesTheSameDocumentWhereverTheFolderLies) {
  fs::create_directories(own_folder() + "elsewhere");
  const std::string copy = damaged("elsewhere/pipeline");
  EXPECT_EQ(print_json(report_on({pipeline()})), print_json(report_on({copy})));
  EXPECT_EQ(print_json(report_on({pipeline()})).find(own_folder()), std::string::npos);
}

TEST(Gather, DoesNotDependOnWhetherAPipelineIsDoneWithTheReport) {
  const std::string folder = damaged("stages");
  const std::string before = print_json(report_on({folder}));
  std::string stages = stages_json();
  stages.insert(stages.rfind(']'), R"(, {"name": "report", "state": "started"})");
  write_text(folder + "/stages.json", stages);
  EXPECT_EQ(print_json(report_on({folder})), before);
}

TEST(FolderNames, AreTheLastPartsAsLongAsTheyDiffer) {
  EXPECT_THAT(folder_names({"/a/x", "/b/y"}), ElementsAre("x", "y"));
  EXPECT_THAT(folder_names({"/a/x", "/b/x", "/b/y"}), ElementsAre("a/x", "b/x", "y"));
  EXPECT_THAT(folder_names({"/a/x", "/a/x"}), ElementsAre("a/x (1)", "a/x (2)"));
}

// ---- Mistakes

TEST(GatherRefuses, AFolderThatIsNotThereOrHoldsNothing) {
  EXPECT_THAT(refusal({own_folder() + "nowhere"}),
              EndsWith("nowhere: there is no such folder; give one that InstantNet wrote."));
  const std::string folder = fresh("nothing");
  write_text(folder + "/notes.txt", "hello");
  EXPECT_EQ(refusal({folder}),
            folder +
                ": holds nothing to report; give a folder that 'instantnet pipeline', 'train', "
                "'search' or 'bundle' wrote.");
  EXPECT_EQ(refusal({folder + "/notes.txt"}),
            folder + "/notes.txt: is a file; give the folder that it lies in.");
}

TEST(GatherRefuses, ADamagedRecordWithItsLine) {
  const std::string folder = damaged("record");
  const std::string path = folder + "/train/run.jsonl", text = read_file(path);
  for (const char* bad : {"{\"event\": \"epoch\", \"pha\n", "garbage\n", "[1, 2]\n", "\n"}) {
    write_text(path, text + bad + result_record(0.8));
    EXPECT_EQ(refusal({folder}),
              path + ":6: is no record of a run (one JSON map a line); the file is damaged here.");
  }
}

TEST(GatherRefuses, ARecordWithoutItsNumbers) {
  const std::string folder = damaged("numbers");
  const std::string path = folder + "/train/run.jsonl", text = read_file(path);
  write_text(path, text + "{\"event\": \"epoch\", \"phase\": \"joint\", \"epoch\": 4}\n");
  EXPECT_EQ(refusal({folder}),
            path + ":6: has no 'total_steps'; it is no record of 'instantnet train'.");
  std::string wrong = epoch_record(4, 0.5);
  wrong.replace(wrong.find("0.01"), 4, "\"no\"");
  write_text(path, text + wrong);
  EXPECT_EQ(refusal({folder}), path + ":6: the value is 'no'; give a finite number.");
}

TEST(GatherRefuses, ALogWithoutItsBeginning) {
  const std::string folder = fresh("headless");
  write_text(folder + "/run.jsonl", epoch_record(1, 0.5));
  EXPECT_EQ(refusal({folder}),
            folder + "/run.jsonl: has no record 'start'; the file's beginning is missing.");
}

TEST(GatherRefuses, FilesThatAreNotWhatTheirNamesSay) {
  const std::string folder = damaged("files");
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"/search/search.json", "has no 'method'; it is no search.json of this program."},
      {"/model.json", "has no 'network'; it is not what 'instantnet inspect --json' prints."},
      {"/bench.json", "has no 'bits'; it is not what 'instantnet bench --json' prints."},
      {"/stages.json", "has no 'stages'; it is no stages.json of this program."},
      {"/budget/eyeriss.json",
       "has no 'fixed'; it is not what 'instantnet run --policy --json' prints."}};
  for (const auto& [file, sentence] : wrong) {
    const std::string before = read_file(folder + file);
    write_text(folder + file, "{\"x\": 1}\n");
    EXPECT_EQ(refusal({folder}), folder + file + ":1: " + sentence);
    write_text(folder + file, before);
  }
}

TEST(GatherRefuses, JsonThatIsCutShort) {
  const std::string folder = damaged("short");
  const std::string path = folder + "/bench.json";
  write_text(path, read_file(path).substr(0, 100));
  EXPECT_THAT(refusal({folder}), StartsWith(path + ":"));
}

TEST(GatherRefuses, ATraceWithADamagedLine) {
  const std::string folder = damaged("trace");
  const std::string path = folder + "/budget/simple3.csv";
  write_text(path, read_file(path) + "6,12,x,1,1e7,1\n");
  EXPECT_EQ(refusal({folder}), path +
                                   ":8: is no line 'inference,budget,bits,fits,energy_pj,right' "
                                   "of numbers; the file is damaged here.");
  write_text(path, "bits,budget\n");
  EXPECT_EQ(refusal({folder}),
            path + ":1: the header should be 'inference,budget,bits,fits,energy_pj,right'.");
}

TEST(GatherRefuses, ABundleThatWasChanged) {
  const std::string folder = damaged("changed");
  write_text(folder + "/bundles/eyeriss/plan.yaml", "x: 1\n");
  EXPECT_THAT(refusal({folder}), HasSubstr("bundles/eyeriss"));
}

TEST(GatherRefuses, APlanOfAnotherNetworkOrOtherBitWidths) {
  const std::string folder = damaged("plans");
  const std::string path = folder + "/plans/simple3.yaml";
  write_plan_file(path, "simple3", "", {4, 16});
  EXPECT_EQ(refusal({folder}), path + ": maps 4, 16 bits, but " + folder +
                                   "/accuracy.json has 4, 8; map the bit-widths of the network.");
  write_text(folder + "/model.json", [&] {
    std::string text = read_file(folder + "/model.json");
    return text.replace(text.find(kNetwork), std::string(kNetwork).size(), "other");
  }());
  EXPECT_EQ(refusal({folder}), path +
                                   ": maps the network 'resnet8-s2', but 'other' was trained; "
                                   "map that one.");
}

TEST(GatherRefuses, RunsOnDifferentDataSetsOrImages) {
  const std::string a = fresh("a"), b = fresh("b"), c = fresh("c");
  write_training(a);
  write_training(b, "cdt", "letters");
  write_training(c, "cdt", "pictures", 0.8, 50);
  EXPECT_EQ(refusal({a, b}), b + "/run.jsonl: was trained on letters, but " + a +
                                 "/run.jsonl was trained on pictures (ours and ours); report them "
                                 "separately.");
  EXPECT_EQ(refusal({a, c}), c + "/run.jsonl: was measured on 50 images, but " + a +
                                 "/run.jsonl was measured on 100 images (ours and ours); report "
                                 "them separately.");
  const std::string folder = damaged("rival");
  write_text(folder + "/rivals/sp/accuracy.json", accuracy_json(0.75, 10));
  EXPECT_THAT(refusal({folder}),
              HasSubstr("rivals/sp/accuracy.json: was measured on 10 images, but"));
}

}  // namespace
}  // namespace instantnet::report
