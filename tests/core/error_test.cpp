#include "instantnet/core/error.h"

#include <gtest/gtest.h>

#include "core/helpers.h"

namespace instantnet {
namespace {

using test::error_of;

TEST(Error, PutsThePlaceBeforeTheSentence) {
  EXPECT_EQ(error_of([] { fail("a.yaml:3", "is empty."); }), "a.yaml:3: is empty.");
  EXPECT_EQ(error_of([] { fail("", "is empty."); }), "is empty.");
}

TEST(Error, BugIsNotAUsersMistake) { EXPECT_THROW(bug("impossible."), Bug); }

TEST(Nearest, FindsTheWordWithTheFewestEdits) {
  const std::vector<std::string> known = {"epochs", "batch_size", "seed"};
  EXPECT_EQ(nearest("epocs", known), "epochs");          // delete
  EXPECT_EQ(nearest("batchsize", known), "batch_size");  // insert
  EXPECT_EQ(nearest("sead", known), "seed");             // replace
  EXPECT_EQ(nearest("eopchs", known), "epochs");         // swap
}

TEST(Nearest, FindsNothingFromHalfTheLengthOn) {
  EXPECT_EQ(nearest("ab", {"ax"}), "");       // 1 of 2
  EXPECT_EQ(nearest("abc", {"abx"}), "abx");  // 1 of 3
  EXPECT_EQ(nearest("zzz", {"epochs"}), "");
  EXPECT_EQ(nearest("", {"a"}), "");
  EXPECT_EQ(nearest("a", {}), "");
}

TEST(Nearest, PrefersTheFirstOfEquals) { EXPECT_EQ(nearest("cat", {"bat", "hat"}), "bat"); }

TEST(Suggestion, NamesTheNearestOrAll) {
  EXPECT_EQ(suggestion("epocs", {"epochs", "seed"}), ", did you mean 'epochs'?");
  EXPECT_EQ(suggestion("zzz", {"epochs", "seed"}), "; known are epochs, seed.");
  EXPECT_EQ(suggestion("zzz", {}), "; none are known here.");
}

}  // namespace
}  // namespace instantnet
