#include "instantnet/core/progress.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>
#include <utility>

namespace instantnet {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

ProgressState state_of(int64_t done, int64_t total) {
  return {"train  epoch 3/6", "images", "loss 0.41", done, total, 6.54};
}

TEST(ProgressLine, ShowsBarPercentRateTimeLeftAndNote) {
  EXPECT_EQ(progress_line(state_of(12000, 20000)),
            "train  epoch 3/6 [###############>..........]  60%  12000/20000 images  1835/s  "
            "0:04 left  loss 0.41");
}

TEST(ProgressLine, FillsTheBarAtTheEnd) {
  const std::string line = progress_line(state_of(20000, 20000));
  EXPECT_THAT(line, HasSubstr("##] 100%  20000/20000 images"));
  EXPECT_THAT(line, Not(HasSubstr("left")));
  EXPECT_THAT(progress_line(state_of(30000, 20000)), HasSubstr("##] 100%  30000/20000 images"));
}

TEST(ProgressLine, HasNoBarWithoutATotal) {
  EXPECT_EQ(progress_line(state_of(50, 0)), "train  epoch 3/6  50 images  7.65/s  loss 0.41");
}

TEST(ProgressLine, HasNoRateBeforeAnythingIsDone) {
  EXPECT_EQ(progress_line({"check", "files", "", 0, 10, 0}),
            "check [>.............................]   0%  0/10 files");
}

TEST(ProgressLine, FitsTheColumnsWhateverItShows) {
  ProgressState state = state_of(12000, 20000);
  for (const size_t length : {0, 10, 40, 90, 300})
    for (const int columns : {20, 80, 100}) {
      state.note = std::string(length, 'n');
      EXPECT_LE(progress_line(state, columns).size(), static_cast<size_t>(columns));
    }
}

TEST(ProgressLine, CutsBetweenCharacters) {
  ProgressState state{"\xC3\xA9\xC3\xA9\xC3\xA9", "x", "", 0, 0, 0};
  EXPECT_EQ(progress_line(state, 2), "\xC3\xA9\xC3\xA9");
}

TEST(Progress, BaseClassIgnoresEverything) {
  Progress progress;
  progress.begin("a", 1, "b");
  progress.update(1);
  progress.say("c");
  progress.end("d");
}

/// A file that tells what was written to it.
class Paper {
 public:
  Paper() : file_(std::tmpfile()) {}
  ~Paper() { std::fclose(file_); }
  std::FILE* stream() { return file_; }
  std::string text() {
    std::rewind(file_);
    std::string all;
    std::array<char, 4000> piece;
    for (size_t got; (got = std::fread(piece.data(), 1, piece.size(), file_)) > 0;)
      all.append(piece.data(), got);
    return all;
  }

 private:
  std::FILE* file_;
};

TEST(PrintedProgress, PrintsPlainLinesToAFile) {
  Paper paper;
  PrintedProgress progress(paper.stream());
  progress.begin("train", 100, "images");
  for (int i = 0; i <= 100; ++i) progress.update(i, "loss 0.41");
  progress.say("checkpoint written");
  progress.end("accuracy 0.81");
  const std::string text = paper.text();
  EXPECT_THAT(text, StartsWith("train: 100 images\ncheckpoint written\ntrain ["));
  EXPECT_THAT(text, testing::EndsWith("loss 0.41\naccuracy 0.81\n"));
  EXPECT_THAT(text, Not(HasSubstr("\r")));
}

/// A pseudo terminal that tells what was printed to it.
class Terminal {
 public:
  Terminal() : master_(::posix_openpt(O_RDWR | O_NOCTTY)) {
    if (master_ < 0 || ::grantpt(master_) != 0 || ::unlockpt(master_) != 0) return;
    const char* const name = ::ptsname(master_);
    const int slave = name == nullptr ? -1 : ::open(name, O_RDWR | O_NOCTTY);
    if (slave < 0) return;
    termios settings{};
    ::tcgetattr(slave, &settings);
    ::cfmakeraw(&settings);  // line ends stay as they are printed
    ::tcsetattr(slave, TCSANOW, &settings);
    stream_ = ::fdopen(slave, "w");
  }
  ~Terminal() {
    if (stream_ != nullptr) std::fclose(stream_);
    if (master_ >= 0) ::close(master_);
  }
  /// Null where the machine gives no pseudo terminal.
  std::FILE* stream() { return stream_; }
  /// Everything printed. Closes the printing side: only then does a read end where the text ends, as
  /// the system hands it over in pieces and in its own time.
  std::string text() {
    std::fclose(std::exchange(stream_, nullptr));
    std::string all;
    std::array<char, 4000> piece;
    for (ssize_t got; (got = ::read(master_, piece.data(), piece.size())) > 0;)
      all.append(piece.data(), static_cast<size_t>(got));
    return all;
  }

 private:
  int master_;
  std::FILE* stream_ = nullptr;
};

TEST(PrintedProgress, DrawsOneBarOnATerminal) {
  Terminal terminal;
  if (terminal.stream() == nullptr) GTEST_SKIP() << "this machine gives no pseudo terminal";
  PrintedProgress progress(terminal.stream());
  progress.begin("train", 100, "images");
  for (int i = 0; i <= 100; ++i) progress.update(i, "loss 0.41");
  progress.say("checkpoint written");
  progress.end("accuracy 0.81");
  const std::string text = terminal.text();
  EXPECT_THAT(text, StartsWith("\rtrain [>.............................]   0%  0/100 images"));
  EXPECT_THAT(text, HasSubstr("\r\033[Kcheckpoint written\n\rtrain ["));
  EXPECT_THAT(text, HasSubstr("100%  100/100 images"));
  EXPECT_THAT(text, testing::EndsWith("loss 0.41\033[K\naccuracy 0.81\n"));
}

}  // namespace
}  // namespace instantnet
