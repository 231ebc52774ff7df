#include "instantnet/core/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>

#include "instantnet/core/units.h"

namespace instantnet {

namespace {

constexpr double kSecondsBetweenBars = 0.1;
constexpr int kColumns = 100;
constexpr int kLeastBar = 10, kMostBar = 30;

bool begins_character(char c) { return (c & 0xC0) != 0x80; }

/// Columns a UTF-8 text takes, one a code point.
int columns_of(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), begins_character));
}

/// The text cut to so many columns, between code points.
std::string cut(std::string_view text, int columns) {
  size_t i = 0;
  for (int used = 0; i < text.size(); ++i)
    if (begins_character(text[i]) && ++used > columns) break;
  return std::string(text.substr(0, i));
}

double rate_of(const ProgressState& state) {
  return state.seconds > 0 ? static_cast<double>(state.done) / state.seconds : 0.0;
}

/// "1834/s", "0.25/s".
std::string rate_text(double rate) {
  return rate >= 100 ? fmt::format("{:.0f}/s", rate) : fmt::format("{:.3g}/s", rate);
}

/// "[#####>....]" of `width` cells.
std::string bar_text(double share, int width) {
  const int full = static_cast<int>(share * width);
  std::string bar(static_cast<size_t>(width), '.');
  std::fill_n(bar.begin(), full, '#');
  if (full < width) bar[static_cast<size_t>(full)] = '>';
  return "[" + bar + "]";
}

/// "12000/20000 images  1834/s  0:04 left".
std::string numbers_text(const ProgressState& state) {
  const double rate = rate_of(state);
  const std::string of = state.total > 0 ? fmt::format("/{}", state.total) : "";
  std::string text = fmt::format("{}{} {}", state.done, of, state.unit);
  if (rate > 0) text += "  " + rate_text(rate);
  if (rate > 0 && state.total > state.done)
    text += fmt::format("  {} left",
                        duration_text(static_cast<double>(state.total - state.done) / rate));
  return text;
}

/// Columns of the terminal behind a stream; the widest line we print when it does not say.
int terminal_columns(std::FILE* stream) {
  struct winsize size {};
  const bool known = ::ioctl(::fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  return known ? std::min<int>(kColumns, size.ws_col - 1) : kColumns;
}

}  // namespace

std::string progress_line(const ProgressState& state, int columns) {
  std::string tail = fmt::format("  {}", numbers_text(state));
  if (state.total > 0) {
    const double share =
        std::clamp(static_cast<double>(state.done) / static_cast<double>(state.total), 0.0, 1.0);
    tail = fmt::format(" {:3.0f}%", std::floor(100 * share)) + tail;
    const std::string note = state.note.empty() ? "" : fmt::format("  {}", state.note);
    const int room = columns - columns_of(state.title) - columns_of(tail) - columns_of(note) - 3;
    tail = fmt::format(" {}{}", bar_text(share, std::clamp(room, kLeastBar, kMostBar)), tail);
  }
  if (!state.note.empty()) tail += "  " + state.note;
  return cut(state.title + tail, columns);
}

void Progress::begin(const std::string&, int64_t, const std::string&) {}
void Progress::update(int64_t, const std::string&) {}
void Progress::end(const std::string&) {}
void Progress::say(const std::string&) {}

PrintedProgress::PrintedProgress(std::FILE* stream, double seconds_between_lines)
    : stream_(stream),
      terminal_(::isatty(::fileno(stream)) == 1),
      seconds_between_(seconds_between_lines) {}

double PrintedProgress::seconds_since(Clock::time_point then) const {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

void PrintedProgress::print(const std::string& line) {
  std::fprintf(stream_, "%s\n", line.c_str());
  std::fflush(stream_);
}

void PrintedProgress::clear_bar() {
  if (bar_) std::fputs("\r\033[K", stream_);
  bar_ = false;
}

void PrintedProgress::draw() {
  state_.seconds = seconds_since(started_);
  drawn_ = Clock::now();
  if (!terminal_) return print(progress_line(state_, kColumns));
  std::fprintf(stream_, "\r%s\033[K", progress_line(state_, terminal_columns(stream_)).c_str());
  std::fflush(stream_);
  bar_ = true;
}

void PrintedProgress::begin(const std::string& title, int64_t total, const std::string& unit) {
  if (active_) end();
  state_ = {title, unit, {}, 0, total, 0};
  started_ = drawn_ = Clock::now();
  active_ = true;
  if (terminal_) return draw();
  print(total > 0 ? fmt::format("{}: {} {}", title, total, unit) : title);
}

void PrintedProgress::update(int64_t done, const std::string& note) {
  if (!active_) return;
  state_.done = done;
  state_.note = note;
  if (seconds_since(drawn_) >= (terminal_ ? kSecondsBetweenBars : seconds_between_)) draw();
}

void PrintedProgress::end(const std::string& result) {
  if (active_) draw();
  if (bar_) std::fputs("\n", stream_);
  bar_ = active_ = false;
  if (!result.empty()) print(result);
  std::fflush(stream_);
}

void PrintedProgress::say(const std::string& line) {
  clear_bar();
  print(line);
  if (terminal_ && active_) draw();
}

}  // namespace instantnet
