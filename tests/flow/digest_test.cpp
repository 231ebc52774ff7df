#include "instantnet/flow/digest.h"

#include <gtest/gtest.h>

#include "core/helpers.h"
#include "instantnet/core/file.h"

namespace instantnet::flow {
namespace {

using test::TempFolder;

TEST(Digest, OfAFileIsThatOfItsBytes) {
  const TempFolder folder;
  write_file_atomic(folder / "a", "abc");
  EXPECT_EQ(digest_of(folder / "a"), sha256("abc"));
  EXPECT_EQ(digest_of(folder / "b"), "");
}

TEST(Digest, OfAFolderKnowsNamesAndBytes) {
  const TempFolder folder, other;
  for (const TempFolder* one : {&folder, &other}) {
    make_folders(*one / "deep");
    write_file_atomic(*one / "deep/a", "abc");
  }
  EXPECT_EQ(digest_of(folder.path()), digest_of(other.path()));
  write_file_atomic(other / "deep/a", "abd");
  EXPECT_NE(digest_of(folder.path()), digest_of(other.path()));
  write_file_atomic(other / "deep/a", "abc");
  std::filesystem::rename(other / "deep/a", other / "deep/b");
  EXPECT_NE(digest_of(folder.path()), digest_of(other.path()));
}

TEST(Digest, OfMuchGoesByNamesSizesAndTimes) {
  const TempFolder folder;
  write_file_atomic(folder / "a", "abc");
  const std::string before = digest_of(folder.path(), /*most_content=*/2);
  EXPECT_NE(before, digest_of(folder.path()));
  EXPECT_EQ(before, digest_of(folder.path(), 2));
  write_file_atomic(folder / "a", "abcd");
  EXPECT_NE(before, digest_of(folder.path(), 2));
}

TEST(Digest, IsReadOnceUntilForgotten) {
  const TempFolder folder;
  write_file_atomic(folder / "a", "abc");
  Digests digests;
  const std::string all = digests.of(folder.path());
  write_file_atomic(folder / "a", "abd");
  EXPECT_EQ(digests.of(folder.path()), all);
  digests.forget(folder / "a");
  EXPECT_NE(digests.of(folder.path()), all);
}

}  // namespace
}  // namespace instantnet::flow
