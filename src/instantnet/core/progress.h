// How far a long job is: a bar with rate and time left on a terminal, plain lines otherwise.
// Libraries report to a Progress they are given; only cli makes one that prints.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace instantnet {

/// Told of progress. The base class ignores everything.
class Progress {
 public:
  virtual ~Progress() = default;
  /// A part of the job begins: its name, how many units it has, and what a unit is ("images").
  virtual void begin(const std::string& title, int64_t total, const std::string& unit);
  /// `done` units of the part are finished; `note` is shown beside ("loss 0.41").
  virtual void update(int64_t done, const std::string& note = {});
  /// The part is over; `result` is printed on a line of its own.
  virtual void end(const std::string& result = {});
  /// A line to say.
  virtual void say(const std::string& line);
};

/// One line of at most `columns` columns: title, bar, percent, done/total, rate, time left, note.
/// Without a bar when `total` is 0 (unknown). A note that does not fit is cut.
struct ProgressState {
  std::string title, unit, note;
  int64_t done = 0, total = 0;
  double seconds = 0;  // since the part began
};
std::string progress_line(const ProgressState& state, int columns = 100);

/// Prints to a stream: on a terminal a bar redrawn at most ten times a second, otherwise a line at
/// the start, at most one every `seconds_between_lines`, and one at the end.
class PrintedProgress : public Progress {
 public:
  explicit PrintedProgress(std::FILE* stream, double seconds_between_lines = 10.0);
  void begin(const std::string& title, int64_t total, const std::string& unit) override;
  void update(int64_t done, const std::string& note = {}) override;
  void end(const std::string& result = {}) override;
  void say(const std::string& line) override;

 private:
  using Clock = std::chrono::steady_clock;
  double seconds_since(Clock::time_point then) const;
  void draw();
  void clear_bar();
  void print(const std::string& line);

  std::FILE* stream_;
  bool terminal_;
  double seconds_between_;
  bool active_ = false;  // between begin and end
  bool bar_ = false;     // a bar stands on the terminal's last line
  ProgressState state_;
  Clock::time_point started_, drawn_;
};

}  // namespace instantnet
