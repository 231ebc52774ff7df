#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "instantnet/core/file.h"
#include "instantnet/net/zoo.h"
#include "instantnet/runtime/instantnet.h"
#include "instantnet/runtime/model_file.h"
#include "instantnet/runtime/reference.h"
#include "own_folder.h"
#include "runtime/random_model.h"

namespace instantnet::runtime {
namespace {

class CApi : public testing::Test {
 protected:
  CApi() : integers_(random_model(zoo_network("resnet8"), 1, {{4, 8}, true})) {
    integers_.classes.assign(10, "");
    for (int i = 0; i < 10; ++i) integers_.classes[i] = "class " + std::to_string(i);
    bytes_ = print_model(integers_);
    EXPECT_EQ(instantnet_model_load_bytes(bytes_.data(), bytes_.size(), nullptr,
                                          INSTANTNET_RESIDENT, &model_),
              INSTANTNET_OK)
        << instantnet_last_error();
    EXPECT_EQ(instantnet_session_create(model_, 1, &session_), INSTANTNET_OK);
  }
  ~CApi() override {
    instantnet_session_free(session_);
    instantnet_model_free(model_);
  }

  static std::string said() { return instantnet_last_error(); }

  IntModel integers_;
  std::string bytes_;
  instantnet_model* model_ = nullptr;
  instantnet_session* session_ = nullptr;
};

TEST_F(CApi, RunsAsTheReference) {
  const std::vector<uint8_t> image = random_image(integers_.spec, 2);
  for (const int bits : {4, 8}) {
    ASSERT_EQ(instantnet_session_set_bits(session_, bits), INSTANTNET_OK);
    ASSERT_EQ(instantnet_session_run(session_, image.data(), image.size()), INSTANTNET_OK);
    const float* logits = nullptr;
    size_t count = 0, best = 0;
    ASSERT_EQ(instantnet_session_logits(session_, &logits, &count), INSTANTNET_OK);
    ASSERT_EQ(instantnet_session_predicted(session_, &best), INSTANTNET_OK);
    const Trace trace = run_reference(integers_, {{bits, bits}}, image);
    EXPECT_EQ(std::vector<float>(logits, logits + count), trace.logits);
    EXPECT_EQ(static_cast<int>(best), trace.predicted);
  }
}

TEST_F(CApi, TellsWhatTheModelIs) {
  size_t height = 0, width = 0, channels = 0, count = 0;
  EXPECT_EQ(instantnet_model_input(model_, &height, &width, &channels), INSTANTNET_OK);
  EXPECT_EQ(height * width * channels, 32U * 32 * 3);
  EXPECT_EQ(instantnet_model_input(model_, nullptr, nullptr, nullptr), INSTANTNET_OK);
  EXPECT_EQ(instantnet_model_classes(model_, &count), INSTANTNET_OK);
  EXPECT_EQ(count, 10U);
  const int* bits = nullptr;
  EXPECT_EQ(instantnet_model_bits(model_, &bits, &count), INSTANTNET_OK);
  EXPECT_EQ(std::vector<int>(bits, bits + count), (std::vector<int>{4, 8, 32}));
  EXPECT_EQ(instantnet_model_layers(model_, &count), INSTANTNET_OK);
  EXPECT_EQ(count, integers_.layers.size());
  const char* name = nullptr;
  EXPECT_EQ(instantnet_model_layer_name(model_, 0, &name), INSTANTNET_OK);
  EXPECT_EQ(name, integers_.layers[0].node);
  EXPECT_EQ(instantnet_model_class_name(model_, 3, &name), INSTANTNET_OK);
  EXPECT_STREQ(name, "class 3");
  EXPECT_EQ(instantnet_model_class_name(model_, 10, &name), INSTANTNET_BAD_ARGUMENT);
  EXPECT_EQ(said(), "class 10 does not exist; there are 10.");
  EXPECT_EQ(instantnet_model_kernels(model_, &name), INSTANTNET_OK);
  EXPECT_STREQ(instantnet_version(), INSTANTNET_VERSION);
}

TEST_F(CApi, RefusesNullAndStaysUsable) {
  const unsigned char pixel = 0;
  const float* logits = nullptr;
  size_t count = 0;
  EXPECT_EQ(instantnet_session_run(nullptr, &pixel, 1), INSTANTNET_NULL);
  EXPECT_EQ(said(), "the session is null; give one.");
  EXPECT_EQ(instantnet_session_run(session_, nullptr, 1), INSTANTNET_NULL);
  EXPECT_EQ(said(), "the image is null; give one.");
  EXPECT_EQ(instantnet_session_run_float(session_, nullptr, 1), INSTANTNET_NULL);
  EXPECT_EQ(instantnet_session_set_bits(nullptr, 8), INSTANTNET_NULL);
  EXPECT_EQ(instantnet_session_set_precisions(session_, nullptr, nullptr, 1), INSTANTNET_NULL);
  EXPECT_EQ(instantnet_session_logits(nullptr, &logits, &count), INSTANTNET_NULL);
  EXPECT_EQ(instantnet_session_logits(session_, nullptr, &count), INSTANTNET_NULL);
  EXPECT_EQ(instantnet_session_predicted(session_, nullptr), INSTANTNET_NULL);
  EXPECT_EQ(instantnet_session_create(model_, 1, nullptr), INSTANTNET_NULL);
  EXPECT_EQ(instantnet_model_classes(nullptr, &count), INSTANTNET_NULL);
  EXPECT_EQ(instantnet_model_load("x", nullptr, INSTANTNET_RESIDENT, nullptr), INSTANTNET_NULL);
  instantnet_model* model = nullptr;
  EXPECT_EQ(instantnet_model_load(nullptr, nullptr, INSTANTNET_RESIDENT, &model), INSTANTNET_NULL);
  instantnet_session* session = nullptr;
  EXPECT_EQ(instantnet_session_create(nullptr, 1, &session), INSTANTNET_NULL);
  instantnet_model_free(nullptr);
  instantnet_session_free(nullptr);
  const std::vector<uint8_t> image = random_image(integers_.spec, 2);
  EXPECT_EQ(instantnet_session_run(session_, image.data(), image.size()), INSTANTNET_OK);
}

TEST_F(CApi, SaysWhatWasWrongAndStaysUsable) {
  EXPECT_EQ(instantnet_session_set_bits(session_, 5), INSTANTNET_BAD_ARGUMENT);
  EXPECT_EQ(said(), "set precision: the model was not made for 5 bits; it has 4, 8, 32.");
  const unsigned char pixel = 0;
  EXPECT_EQ(instantnet_session_run(session_, &pixel, 1), INSTANTNET_BAD_ARGUMENT);
  EXPECT_EQ(said(),
            "image: it has 1 values; the network takes 32 x 32 pixels of 3 channels, 3072 values.");
  const int four = 4;
  EXPECT_EQ(instantnet_session_set_precisions(session_, &four, &four, size_t{1} << 60),
            INSTANTNET_BAD_ARGUMENT);
  EXPECT_EQ(instantnet_session_set_precisions(session_, &four, &four, 1), INSTANTNET_OK);
  instantnet_session* session = nullptr;
  EXPECT_EQ(instantnet_session_create(model_, 0, &session), INSTANTNET_BAD_ARGUMENT);
  EXPECT_EQ(session, nullptr);
  const std::vector<uint8_t> image = random_image(integers_.spec, 2);
  EXPECT_EQ(instantnet_session_run(session_, image.data(), image.size()), INSTANTNET_OK);
}

TEST_F(CApi, TellsFilesFromOptions) {
  instantnet_model* model = nullptr;
  EXPECT_EQ(instantnet_model_load("/nowhere/x.spnet", nullptr, INSTANTNET_RESIDENT, &model),
            INSTANTNET_BAD_FILE);
  EXPECT_EQ(instantnet_model_load_bytes(bytes_.data(), 100, nullptr, INSTANTNET_RESIDENT, &model),
            INSTANTNET_BAD_FILE);
  EXPECT_EQ(instantnet_model_load_bytes(bytes_.data(), bytes_.size(), "quick", INSTANTNET_RESIDENT,
                                        &model),
            INSTANTNET_BAD_ARGUMENT);
  EXPECT_EQ(said().substr(0, 37), "kernels: there are none called 'quick");
  EXPECT_EQ(instantnet_model_load_bytes(bytes_.data(), bytes_.size(), "portable", 7, &model),
            INSTANTNET_BAD_ARGUMENT);
  EXPECT_EQ(said(),
            "residency: it is 7; give INSTANTNET_RESIDENT, INSTANTNET_ON_DEMAND or "
            "INSTANTNET_FIRST_USE.");
  EXPECT_EQ(model, nullptr);
}

TEST_F(CApi, LoadsAFileForAnyResidency) {
  const std::string path = own_folder() + "c_api.spnet";
  write_file_atomic(path, bytes_);
  const std::vector<uint8_t> image = random_image(integers_.spec, 2);
  const Trace trace = run_reference(integers_, {{8, 8}}, image);
  for (const int residency : {INSTANTNET_RESIDENT, INSTANTNET_ON_DEMAND, INSTANTNET_FIRST_USE}) {
    instantnet_model* model = nullptr;
    instantnet_session* session = nullptr;
    ASSERT_EQ(instantnet_model_load(path.c_str(), nullptr, residency, &model), INSTANTNET_OK);
    ASSERT_EQ(instantnet_session_create(model, 1, &session), INSTANTNET_OK);
    instantnet_model_free(model);
    ASSERT_EQ(instantnet_session_run(session, image.data(), image.size()), INSTANTNET_OK);
    const float* logits = nullptr;
    size_t count = 0;
    ASSERT_EQ(instantnet_session_logits(session, &logits, &count), INSTANTNET_OK);
    EXPECT_EQ(std::vector<float>(logits, logits + count), trace.logits);
    instantnet_session_free(session);
  }
}

TEST_F(CApi, KeepsTheLastSentenceOfEachThread) {
  EXPECT_EQ(instantnet_session_set_bits(session_, 5), INSTANTNET_BAD_ARGUMENT);
  std::thread([] { EXPECT_STREQ(instantnet_last_error(), ""); }).join();
  EXPECT_NE(said(), "");
}

TEST_F(CApi, LetsSessionsOutliveTheModel) {
  instantnet_model_free(model_);
  model_ = nullptr;
  const std::vector<uint8_t> image = random_image(integers_.spec, 2);
  EXPECT_EQ(instantnet_session_run(session_, image.data(), image.size()), INSTANTNET_OK);
}

TEST(CApiPolicy, ChoosesWithinTheBudget) {
  const int bits[] = {4, 8};
  const double costs[] = {1, 2};
  instantnet_policy* policy = nullptr;
  ASSERT_EQ(instantnet_policy_create(bits, costs, nullptr, 2, 2, 0, 0, &policy), INSTANTNET_OK);
  std::vector<int> chosen;
  for (const double budget : {1.0, 2.0, 2.0, 1.5, 0.5}) {
    int now = 0, fits = -1;
    ASSERT_EQ(instantnet_policy_next(policy, budget, &now, &fits), INSTANTNET_OK);
    EXPECT_EQ(fits, budget >= 1 ? 1 : 0);
    chosen.push_back(now);
  }
  EXPECT_EQ(chosen, (std::vector<int>{4, 4, 8, 4, 4}));
  int now = 7;
  EXPECT_EQ(instantnet_policy_next(policy, -1, &now, nullptr), INSTANTNET_BAD_ARGUMENT);
  EXPECT_STREQ(instantnet_last_error(), "policy: the budget is -1; give a finite number >= 0.");
  EXPECT_EQ(now, 7);
  instantnet_policy_free(policy);
}

TEST(CApiPolicy, RefusesNullAndNonsense) {
  const int bits[] = {4, 4};
  const double costs[] = {1, 2};
  instantnet_policy* policy = nullptr;
  int now = 0;
  EXPECT_EQ(instantnet_policy_create(bits, costs, nullptr, 2, 1, 0, 0, nullptr), INSTANTNET_NULL);
  EXPECT_EQ(instantnet_policy_create(nullptr, costs, nullptr, 2, 1, 0, 0, &policy),
            INSTANTNET_NULL);
  EXPECT_EQ(instantnet_policy_create(bits, nullptr, nullptr, 2, 1, 0, 0, &policy), INSTANTNET_NULL);
  EXPECT_EQ(instantnet_policy_create(bits, costs, nullptr, 2, 1, 0, 0, &policy),
            INSTANTNET_BAD_ARGUMENT);
  EXPECT_EQ(policy, nullptr);
  EXPECT_EQ(instantnet_policy_create(bits, costs, nullptr, 0, 1, 0, 0, &policy),
            INSTANTNET_BAD_ARGUMENT);
  EXPECT_EQ(instantnet_policy_next(nullptr, 1, &now, nullptr), INSTANTNET_NULL);
  instantnet_policy_free(nullptr);
}

}  // namespace
}  // namespace instantnet::runtime
