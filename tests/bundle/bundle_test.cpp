#include "instantnet/bundle/bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "bundle/small_bundle.h"
#include "instantnet/core/error.h"

namespace instantnet::bundle {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

template <class Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was wrong";
}

/// Replaces a part and makes the manifest agree with its digest.
void replace_part(const std::string& folder, const std::string& file, const std::string& text) {
  const std::string path = folder + "/" + kManifestFile;
  Manifest manifest = parse_manifest(read_file(path), path);
  for (Part& part : manifest.parts)
    if (part.file == file) part = {file, text.size(), sha256(text)};
  write_text(folder + "/" + file, text);
  write_text(path, print_manifest(manifest));
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Bundle, HoldsWhatWasPutIn) {
  const std::string folder = small_bundle("whole");
  EXPECT_THAT(problems_of(folder), IsEmpty());
  const Bundle opened = open_bundle(folder);
  const mapper::MappingPlan plan = mapper::read_plan(good_plan());
  EXPECT_EQ(read_file(opened.model_path), read_file(model_file()));
  EXPECT_EQ(opened.manifest.network, "resnet8");
  ASSERT_THAT(opened.manifest.widths, SizeIs(2));
  const Width& four = opened.manifest.widths[0];
  EXPECT_EQ(four.energy_pj, plan.totals[0].energy_pj);
  EXPECT_EQ(four.edp_pj_cycles, plan.totals[0].edp());
  EXPECT_EQ(four.latency_ms, plan.totals[0].cycles / (plan.accelerator.clock_mhz * 1e3));
  EXPECT_EQ(four.accuracy, 0.5);
  EXPECT_EQ(parse_manifest(print_manifest(opened.manifest), "m"), opened.manifest);
}

TEST(Bundle, IsReplacedButNoOtherFolderIs) {
  const std::string folder = small_bundle("again");
  small_bundle("again");
  EXPECT_THAT(problems_of(folder), IsEmpty());
  fs::create_directories(own_folder() + "photos");
  write_text(own_folder() + "photos/a.png", "a");
  EXPECT_THAT(refusal([] { small_bundle("photos"); }), HasSubstr("is a folder but no bundle"));
  EXPECT_TRUE(fs::exists(own_folder() + "photos/a.png"));
}

TEST(Bundle, RefusesAPlanWithOtherWidthsAndSaysWhichAreMissingWhere) {
  const std::string few = plan_file("few.yaml", "resnet8", {4});
  const std::string many = plan_file("many.yaml", "resnet8", {4, 8, 16});
  const auto bundle_of = [](const std::string& plan) {
    return refusal([&] { make_bundle(model_file(), plan, own_folder() + "none", "test"); });
  };
  EXPECT_THAT(bundle_of(few),
              AllOf(StartsWith(few), HasSubstr("no mappings at 8 bits"), HasSubstr("--bits 4,8")));
  EXPECT_THAT(bundle_of(many), HasSubstr("the model does not run at 16 bits"));
  EXPECT_FALSE(fs::exists(own_folder() + "none"));
}

TEST(Bundle, RefusesAPlanOfAnotherNetworkOrOfABatch) {
  const std::string other = plan_file("other.yaml", "resnet20", {4, 8});
  const std::string batch = plan_file("batch.yaml", "resnet8", {4, 8}, 2);
  const auto bundle_of = [](const std::string& plan) {
    return refusal([&] { make_bundle(model_file(), plan, own_folder() + "none", "test"); });
  };
  EXPECT_THAT(bundle_of(other), HasSubstr("the plan is not of the network 'resnet8'"));
  EXPECT_THAT(bundle_of(batch), HasSubstr("batches of 2 images"));
}

TEST(Bundle, RefusesAccuraciesOfOtherWidths) {
  const auto with = [](const Accuracies& accuracies) {
    return refusal(
        [&] { make_bundle(model_file(), good_plan(), own_folder() + "none", "test", accuracies); });
  };
  EXPECT_THAT(with({{{2, 0.5}}, ""}), HasSubstr("at 2 bits, which the model does not have"));
  EXPECT_THAT(with({{{4, 0.5}}, ""}), HasSubstr("no accuracy at 8 bits"));
  const std::string file = own_folder() + "accuracy.json";
  write_text(file, R"({"images": 3, "accuracy": {"4": 0.25, "8": 0.5}, "loss": {"4": 1}})");
  EXPECT_EQ(read_accuracies(file).by_bits,
            (std::vector<std::pair<int, double>>{{4, 0.25}, {8, 0.5}}));
  write_text(file, R"({"accuracy": {"4": 25}})");
  EXPECT_THAT(refusal([&] { read_accuracies(file); }), HasSubstr("is 25; give a share 0 .. 1."));
  write_text(file, R"({"accuracy": {"mixed": 0.5}})");
  EXPECT_THAT(refusal([&] { read_accuracies(file); }), HasSubstr("'mixed' is no bit-width"));
}

TEST(Verify, NamesThePartOfWhichAnyByteChanged) {
  const std::string folder = small_bundle("flipped");
  for (const char* file : {kManifestFile, kModelFile, kPlanFile}) {
    const std::string path = folder + "/" + file, whole = read_file(path);
    for (size_t i = 0; i < 40; ++i) {
      std::string changed = whole;
      changed[i * (whole.size() - 1) / 39] ^= static_cast<char>(1 << (i % 8));
      write_text(path, changed);
      EXPECT_THAT(problems_of(folder), ElementsAre(StartsWith(path))) << i;
    }
    write_text(path, whole.substr(0, whole.size() - 1));
    EXPECT_THAT(problems_of(folder), ElementsAre(StartsWith(path)));
    fs::remove(path);
    EXPECT_THAT(problems_of(folder), SizeIs(1));
    EXPECT_THROW(open_bundle(folder), Error);
    write_text(path, whole);
  }
  EXPECT_THAT(problems_of(folder), IsEmpty());
}

TEST(Verify, SaysBothDigests) {
  const std::string folder = small_bundle("digests"), path = folder + "/" + kPlanFile;
  std::string text = read_file(path);
  const std::string before = sha256(text);
  text[10] ^= 1;
  write_text(path, text);
  EXPECT_THAT(problems_of(folder), ElementsAre(AllOf(HasSubstr(before), HasSubstr(sha256(text)))));
}

TEST(Verify, FindsFilesThatAreNoPart) {
  const std::string folder = small_bundle("more");
  write_text(folder + "/notes.txt", "mine");
  EXPECT_THAT(problems_of(folder), ElementsAre(HasSubstr("notes.txt: is no part")));
}

TEST(Verify, DerivesCostsAgainWhenTheDigestsAreRight) {
  const std::string folder = small_bundle("cheaper");
  const std::string plan = read_file(folder + "/" + kPlanFile);
  const size_t layers = plan.find("\nlayers:");
  std::string layer = plan;
  const size_t at = layer.find("energy_pj: ", layers) + 11;
  layer[at] = layer[at] == '9' ? '8' : '9';
  replace_part(folder, kPlanFile, layer);
  EXPECT_THAT(problems_of(folder), ElementsAre(HasSubstr("its mapping takes")));

  std::string total = plan;
  const size_t first = total.find("energy_pj: ", total.find("totals:")) + 11;
  total[first] = total[first] == '9' ? '8' : '9';
  replace_part(folder, kPlanFile, total);
  EXPECT_THAT(problems_of(folder),
              ElementsAre(HasSubstr("its mappings take"), HasSubstr("what it says of 4 bits")));
}

TEST(Verify, FindsAPlanOfOtherWidthsAndANetworkOfAnotherName) {
  const std::string folder = small_bundle("foreign");
  replace_part(folder, kPlanFile, read_file(plan_file("few.yaml", "resnet8", {4})));
  EXPECT_THAT(problems_of(folder),
              ElementsAre(HasSubstr("no mappings at 8 bits"), HasSubstr("has 2 bit-widths")));
  const std::string named = small_bundle("named"), path = named + "/" + kManifestFile;
  Manifest manifest = parse_manifest(read_file(path), path);
  manifest.network = "other";
  write_text(path, print_manifest(manifest));
  EXPECT_THAT(problems_of(named), ElementsAre(HasSubstr("network is 'other'")));
}

TEST(Verify, RefusesANewerManifest) {
  const std::string folder = small_bundle("newer"), path = folder + "/" + kManifestFile;
  const std::string text = read_file(path);
  const std::string head =
      replaced(text.substr(0, text.rfind("sha256: ")), "version: 1", "version: 2");
  write_text(path, head + "sha256: " + sha256(head) + "\n");
  EXPECT_THAT(problems_of(folder),
              ElementsAre(HasSubstr(
                  "is of version 2 of a bundle's manifest; this program reads versions up to 1")));
}

}  // namespace
}  // namespace instantnet::bundle
