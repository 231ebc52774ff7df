#include "instantnet/core/file.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <thread>

#include "core/helpers.h"
#include "instantnet/core/rng.h"

namespace instantnet {
namespace {

using test::error_of;
using test::slurp;
using test::spill;
using test::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int kCrashed = 42;

/// Runs `f` in a child process; its exit status. `f` may leave by _exit.
template <class F>
int status_of_child(const F& f) {
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 0;
    try {
      f();
    } catch (...) {
      status = 1;
    }
    ::_exit(status);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// ---- Reading.

TEST(ReadFile, GivesEveryByte) {
  const TempFolder folder;
  const std::string bytes("a\0b\r\n\xff", 6);
  spill(folder / "x", bytes);
  EXPECT_EQ(read_file(folder / "x"), bytes);
  spill(folder / "empty", "");
  EXPECT_EQ(read_file(folder / "empty"), "");
}

TEST(MapFile, GivesEveryByteAndKeepsItWhenTheFileIsReplaced) {
  const TempFolder folder;
  const std::string bytes("a\0b\r\n\xff", 6);
  write_file_atomic(folder / "x", bytes);
  const FileBytes file = map_file(folder / "x");
  write_file_atomic(folder / "x", "other");
  EXPECT_EQ(file.bytes, bytes);
  EXPECT_EQ(map_file(folder / "x").bytes, "other");
  spill(folder / "empty", "");
  EXPECT_EQ(map_file(folder / "empty").bytes, "");
  EXPECT_THAT(map_file("/proc/self/status").bytes, HasSubstr("Name:"));
  EXPECT_THAT(error_of([&] { map_file(folder / "no"); }),
              HasSubstr("cannot be read: No such file"));
  EXPECT_THAT(error_of([&] { map_file(folder.path()); }), HasSubstr("is a folder; give a file."));
}

TEST(ReadFile, ReadsFilesThatDoNotTellTheirLength) {
  EXPECT_THAT(read_file("/proc/self/status"), HasSubstr("Name:"));
}

TEST(ReadFile, NamesWhatItCannotRead) {
  const TempFolder folder;
  EXPECT_EQ(error_of([&] { read_file(folder / "no"); }),
            folder / "no" + ": cannot be read: No such file or directory.");
  EXPECT_EQ(error_of([&] { read_file(folder.path()); }),
            folder.path() + ": is a folder; give a file.");
}

TEST(ReadFile, RefusesMoreThanAllowed) {
  const TempFolder folder;
  spill(folder / "x", "12345");
  EXPECT_EQ(read_file(folder / "x", 5), "12345");
  EXPECT_EQ(error_of([&] { read_file(folder / "x", 4); }),
            folder / "x" + ": has 5 bytes; at most 4 are read.");
}

// ---- Writing a file.

TEST(WriteFileAtomic, WritesAndReplaces) {
  const TempFolder folder;
  write_file_atomic(folder / "x", "one");
  write_file_atomic(folder / "x", std::string("t\0o", 3));
  EXPECT_EQ(slurp(folder / "x"), std::string("t\0o", 3));
  EXPECT_THAT(folder.names(), ElementsAre("x"));
}

TEST(WriteFileAtomic, TakesTheLongestNameThereIs) {
  const TempFolder folder;
  const std::string name(255, 'n');
  write_file_atomic(folder / name, "one");
  EXPECT_EQ(slurp(folder / name), "one");
}

TEST(WriteFileAtomic, NamesAMissingFolder) {
  const TempFolder folder;
  EXPECT_EQ(error_of([&] { write_file_atomic(folder / "no/x", ""); }),
            fmt::format("{0}/no/x: cannot be written: there is no folder '{0}/no'; make it first.",
                        folder.path()));
}

TEST(WriteFileAtomic, RefusesPathsThatAreNoFile) {
  const TempFolder folder;
  EXPECT_EQ(error_of([&] { write_file_atomic(folder.path(), ""); }),
            folder.path() + ": is a folder; give the path of a file.");
  for (const char* path : {"", "/", ".", "..", "a/.."})
    EXPECT_EQ(
        error_of([&] { write_file_atomic(path, ""); }),
        fmt::format("'{}': has no name to write to; give the path of a file or folder.", path));
}

TEST(WriteFileAtomic, KeepsTheOldFileWhenThereIsNoSpace) {
  const TempFolder folder;
  write_file_atomic(folder / "x", "old");
  const int status = status_of_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit = {1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string said =
        error_of([&] { write_file_atomic(folder / "x", std::string(5000, 'n')); });
    ::_exit(said == folder / "x" + ": cannot be written (5000 bytes): File too large." ? kCrashed
                                                                                       : 1);
  });
  EXPECT_EQ(status, kCrashed);
  EXPECT_EQ(slurp(folder / "x"), "old");
  EXPECT_THAT(folder.names(), ElementsAre("x"));
}

TEST(WriteFileAtomic, NamesAFolderThatMayNotBeWritten) {
  const TempFolder folder;
  ::chmod(folder.path().c_str(), 0500);
  const int status = status_of_child([&] {
    constexpr uid_t kNobody = 65534;
    if (::geteuid() == 0 && ::seteuid(kNobody) != 0) ::_exit(1);  // root may write everywhere
    const std::string said = error_of([&] { write_file_atomic(folder / "x", ""); });
    ::_exit(said == folder / "x" + ": cannot be written: Permission denied." ? kCrashed : 2);
  });
  ::chmod(folder.path().c_str(), 0700);
  EXPECT_EQ(status, kCrashed);
  EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(WriteFileAtomic, ManyWritersLeaveOneWholeFile) {
  const TempFolder folder;
  std::vector<std::thread> writers;
  for (char c = 'a'; c < 'e'; ++c)
    writers.emplace_back([&folder, c] {
      for (int i = 0; i < 10; ++i) write_file_atomic(folder / "x", std::string(10000, c));
    });
  for (std::thread& writer : writers) writer.join();
  const std::string bytes = slurp(folder / "x");
  EXPECT_EQ(bytes, std::string(10000, bytes.at(0)));
  EXPECT_THAT(folder.names(), ElementsAre("x"));
}

// ---- Writing a folder.

/// Fills a folder with two files and a folder, all holding `text`.
std::function<void(const std::string&)> filler(const std::string& text) {
  return [text](const std::string& folder) {
    spill(folder + "/a", text);
    std::filesystem::create_directory(folder + "/sub");
    spill(folder + "/sub/b", text);
  };
}

/// "x" when every file of the folder holds x, else what is wrong.
std::string content_of(const std::string& folder) {
  if (!std::filesystem::exists(folder)) return "absent";
  const std::string a = slurp(folder + "/a"), b = slurp(folder + "/sub/b");
  return a == b ? a : "mixed";
}

const std::vector<std::string>& steps() {
  static const std::vector<std::string> names = {"new made",       "new filled",   "new flushed",
                                                 "old moved away", "new in place", "old removed"};
  return names;
}

/// Writes in a child that dies after `step`.
void write_and_crash(const std::string& path, const std::string& text, const std::string& step) {
  const int status = status_of_child([&] {
    write_folder_atomic(path, filler(text), [&](std::string_view done) {
      if (done == step) ::_exit(kCrashed);
    });
  });
  ASSERT_EQ(status, kCrashed) << step;
}

TEST(WriteFolderAtomic, WritesAndReplaces) {
  const TempFolder folder;
  write_folder_atomic(folder / "x", filler("one"));
  EXPECT_EQ(content_of(folder / "x"), "one");
  write_folder_atomic(folder / "x/", [](const std::string& fresh) { spill(fresh + "/a", "two"); });
  EXPECT_EQ(slurp(folder / "x/a"), "two");
  EXPECT_FALSE(std::filesystem::exists(folder / "x/sub"));
  EXPECT_THAT(folder.names(), ElementsAre("x"));
}

TEST(WriteFolderAtomic, TellsItsStepsInOrder) {
  const TempFolder folder;
  std::vector<std::string> told;
  write_folder_atomic(folder / "x", filler("one"),
                      [&](std::string_view step) { told.emplace_back(step); });
  EXPECT_EQ(told, steps());
}

TEST(WriteFolderAtomic, IsWholeAfterACrashAtAnyStep) {
  for (size_t i = 0; i < steps().size(); ++i) {
    SCOPED_TRACE(steps()[i]);
    const TempFolder folder;
    write_folder_atomic(folder / "x", filler("old"));
    write_and_crash(folder / "x", "new", steps()[i]);
    recover_folder(folder / "x");
    EXPECT_EQ(content_of(folder / "x"), i < 4 ? "old" : "new");
    EXPECT_THAT(folder.names(), ElementsAre("x"));
  }
}

TEST(WriteFolderAtomic, FirstWriteIsWholeOrAbsentAfterACrashAtAnyStep) {
  for (size_t i = 0; i < steps().size(); ++i) {
    SCOPED_TRACE(steps()[i]);
    const TempFolder folder;
    write_and_crash(folder / "x", "new", steps()[i]);
    recover_folder(folder / "x");
    EXPECT_EQ(content_of(folder / "x"), i < 4 ? "absent" : "new");
    EXPECT_LE(folder.names().size(), 1u);
  }
}

TEST(WriteFolderAtomic, GoesOnAfterACrashWithoutRecovery) {
  for (const std::string& step : steps()) {
    const TempFolder folder;
    write_folder_atomic(folder / "x", filler("old"));
    write_and_crash(folder / "x", "new", step);
    write_folder_atomic(folder / "x", filler("newer"));
    EXPECT_EQ(content_of(folder / "x"), "newer") << step;
    EXPECT_THAT(folder.names(), ElementsAre("x")) << step;
  }
}

TEST(WriteFolderAtomic, KilledInTheMiddleOfFillingLeavesTheOld) {
  const TempFolder folder;
  write_folder_atomic(folder / "x", filler("old"));
  const int status = status_of_child([&] {
    write_folder_atomic(folder / "x", [](const std::string& fresh) {
      spill(fresh + "/a", "half");
      ::raise(SIGKILL);
    });
  });
  EXPECT_EQ(status, -SIGKILL);
  recover_folder(folder / "x");
  EXPECT_EQ(content_of(folder / "x"), "old");
  EXPECT_THAT(folder.names(), ElementsAre("x"));
}

TEST(WriteFolderAtomic, LeavesTheOldWhenFillingFails) {
  const TempFolder folder;
  write_folder_atomic(folder / "x", filler("old"));
  EXPECT_EQ(error_of([&] {
              write_folder_atomic(folder / "x", [](const std::string&) { fail("x", "no."); });
            }),
            "x: no.");
  EXPECT_EQ(content_of(folder / "x"), "old");
  EXPECT_THAT(folder.names(), ElementsAre("x"));
}

TEST(WriteFolderAtomic, RefusesToReplaceAFile) {
  const TempFolder folder;
  spill(folder / "x", "precious");
  EXPECT_EQ(error_of([&] { write_folder_atomic(folder / "x", filler("new")); }),
            folder / "x" + ": is a file; give the path of a folder.");
  EXPECT_EQ(slurp(folder / "x"), "precious");
}

TEST(WriteFolderAtomic, NamesAMissingParent) {
  const TempFolder folder;
  EXPECT_EQ(error_of([&] { write_folder_atomic(folder / "no/x", filler("new")); }),
            fmt::format("{0}/no/x: cannot be written: there is no folder '{0}/no'; make it first.",
                        folder.path()));
}

TEST(WriteFolderAtomic, TakesLongNamesApart) {
  const TempFolder folder;
  const std::string a = folder / (std::string(250, 'n') + "a"),
                    b = folder / (std::string(250, 'n') + "b");
  write_folder_atomic(a, filler("a"));
  write_and_crash(a, "new", "old moved away");
  recover_folder(b);
  EXPECT_EQ(content_of(b), "absent");
  recover_folder(a);
  EXPECT_EQ(content_of(a), "a");
}

TEST(RecoverFolder, LeavesAWriterAtWorkAlone) {
  const TempFolder folder;
  write_folder_atomic(folder / "x", filler("old"));
  write_folder_atomic(folder / "x", [&](const std::string& fresh) {
    filler("new")(fresh);
    recover_folder(folder / "x");
    EXPECT_EQ(content_of(folder / "x"), "old");
    EXPECT_TRUE(std::filesystem::exists(fresh));
  });
  EXPECT_EQ(content_of(folder / "x"), "new");
}

TEST(RecoverFolder, MeetsAWriterAtWorkWithoutHarm) {
  const TempFolder folder;
  write_folder_atomic(folder / "x", filler("0"));
  std::thread writer([&] {
    for (int i = 1; i <= 15; ++i) write_folder_atomic(folder / "x", filler(std::to_string(i)));
  });
  for (int i = 0; i < 200; ++i)
    EXPECT_EQ(error_of([&] { recover_folder(folder / "x"); }), "no error");
  writer.join();
  EXPECT_EQ(content_of(folder / "x"), "15");
  EXPECT_THAT(folder.names(), ElementsAre("x"));
}

TEST(RecoverFolder, TouchesNothingElse) {
  const TempFolder folder;
  for (const char* name : {".x.notes.new.tmp", ".y.1.0.new.tmp", ".x.1.0.tmp", "x.1.0.new.tmp"})
    std::filesystem::create_directory(folder / name);
  std::filesystem::create_directory(folder / ".x.999999.0.new.tmp");
  recover_folder(folder / "x");
  EXPECT_THAT(folder.names(),
              ElementsAre(".x.1.0.tmp", ".x.notes.new.tmp", ".y.1.0.new.tmp", "x.1.0.new.tmp"));
}

TEST(RecoverFolder, DoesNothingWhereThereIsNothing) {
  const TempFolder folder;
  recover_folder(folder / "x");
  recover_folder(folder / "no/x");
  EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(MakeFolders, MakesParents) {
  const TempFolder folder;
  make_folders(folder / "a/b/c");
  make_folders(folder / "a/b/c");
  EXPECT_TRUE(std::filesystem::is_directory(folder / "a/b/c"));
}

TEST(MakeFolders, NamesAFileInTheWay) {
  const TempFolder folder;
  spill(folder / "a", "");
  EXPECT_EQ(error_of([&] { make_folders(folder / "a/b"); }),
            folder / "a/b" + ": the folder cannot be made: Not a directory.");
  EXPECT_EQ(error_of([&] { make_folders(folder / "a"); }),
            folder / "a" + ": the folder cannot be made: Not a directory.");
  EXPECT_EQ(error_of([] { make_folders(""); }),
            "folder: the path is empty; give the path of a folder.");
}

// ---- Digests.

// FIPS 180-4 example computations.
TEST(Sha256, GivesThePublishedDigests) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, OfAFileIsThatOfItsBytes) {
  const TempFolder folder;
  const std::string bytes(3000001, 'a');
  spill(folder / "x", bytes);
  EXPECT_EQ(sha256_file(folder / "x"), sha256(bytes));
  EXPECT_THAT(error_of([&] { sha256_file(folder / "no"); }),
              HasSubstr("cannot be read: No such file"));
  EXPECT_THAT(error_of([&] { sha256_file(folder.path()); }),
              HasSubstr("is a folder; give a file."));
}

/// Bit by bit, as RFC 3720 describes it.
uint32_t slow_crc32c(std::string_view bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82F63B78 : crc >> 1;
  }
  return ~crc;
}

// RFC 3720, B.4, and the usual check value.
TEST(Crc32c, GivesThePublishedValues) {
  std::string up, down;
  for (char c = 0; c < 32; ++c) up += c, down += static_cast<char>(31 - c);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
  EXPECT_EQ(crc32c(up), 0x46DD794Eu);
  EXPECT_EQ(crc32c(down), 0x113FDB5Cu);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(Crc32c, IsTheSlowOneForEveryLengthAndGoesOnFromAPiece) {
  Rng rng(5);
  std::string bytes;
  for (int length = 0; length < 200; ++length, bytes += static_cast<char>(rng.next())) {
    EXPECT_EQ(crc32c(bytes), slow_crc32c(bytes)) << "seed 5, length " << length;
    const size_t half = rng.below(bytes.size() + 1);
    EXPECT_EQ(crc32c(bytes.substr(half), crc32c(bytes.substr(0, half))), crc32c(bytes)) << half;
  }
}

}  // namespace
}  // namespace instantnet
