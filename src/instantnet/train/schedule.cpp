#include "instantnet/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "instantnet/core/rng.h"

namespace instantnet::train {
namespace {

constexpr uint64_t kSandwichStream = 0x73616e6477696368;    // "sandwich"
constexpr double kOneCycleRise = 0.3, kOneCycleStart = 25;  // torch's OneCycleLR defaults

/// A phase measured in steps or in epochs.
struct Clock {
  double now = 0, end = 1;     // now: whole units finished
  double units_per_epoch = 1;  // to turn epochs into units
};

Clock clock_of(const LrOptions& options, const Position& position) {
  const double per_epoch = static_cast<double>(position.steps_per_epoch);
  const double step = static_cast<double>(position.step);
  const double total = static_cast<double>(position.total_steps);
  if (options.per == Per::Step) return {step, total, per_epoch};
  return {std::floor(step / per_epoch), total / per_epoch, 1};
}

/// From `high` at t = 0 to `low` at t = 1, half a cosine.
double half_cosine(double high, double low, double t) {
  return low + (high - low) * (1 + std::cos(std::numbers::pi * t)) / 2;
}

/// Where `now` is between `start` and `end`, in 0..1.
double share(double now, double start, double end) {
  return end <= start ? 1.0 : std::clamp((now - start) / (end - start), 0.0, 1.0);
}

double one_cycle(const LrOptions& options, double peak, const Clock& clock) {
  const double top = kOneCycleRise * clock.end;
  if (clock.now < top) return half_cosine(peak / kOneCycleStart, peak, share(clock.now, 0, top));
  return half_cosine(peak, options.final, share(clock.now, top, clock.end));
}

double linear(const LrOptions& options, double peak, const Clock& clock, double warmup) {
  const bool waits = !options.milestones.empty();
  const double start = waits ? options.milestones.front() * clock.units_per_epoch : warmup;
  const double t = start >= clock.end ? 0.0 : share(clock.now, start, clock.end);
  return peak + (options.final - peak) * t;
}

double multistep(const LrOptions& options, double peak, const Clock& clock) {
  double lr = peak;
  for (const double milestone : options.milestones)
    if (clock.now >= milestone * clock.units_per_epoch) lr *= options.gamma;
  return lr;
}

/// The lowest `n` of `bits`, or the highest.
std::vector<int> one_end(const std::vector<int>& bits, size_t n, bool low) {
  n = std::min(n, bits.size());
  if (low) return {bits.begin(), bits.begin() + static_cast<std::ptrdiff_t>(n)};
  return {bits.end() - static_cast<std::ptrdiff_t>(n), bits.end()};
}

std::vector<int> active_widths(const std::vector<int>& bits, const ScheduleOptions& options,
                               const Position& position) {
  if (options.widths != WidthSchedule::CurriculumLow &&
      options.widths != WidthSchedule::CurriculumHigh)
    return bits;
  const double epoch =
      static_cast<double>(position.step / std::max<int64_t>(1, position.steps_per_epoch));
  const double more =
      std::min(std::floor(epoch / options.curriculum_epochs), static_cast<double>(bits.size()));
  return one_end(bits, static_cast<size_t>(more) + 1,
                 options.widths == WidthSchedule::CurriculumLow);
}

std::vector<int> sandwich(const std::vector<int>& bits, uint64_t seed, int64_t step) {
  if (bits.size() == 1) return bits;
  std::vector<int> widths = {bits.back(), bits.front()};
  if (bits.size() == 2) return widths;
  Rng rng(seed, kSandwichStream, static_cast<uint64_t>(step));
  for (int draw = 0; draw < 2; ++draw)
    widths.push_back(bits[1 + static_cast<size_t>(rng.below(bits.size() - 2))]);
  return widths;
}

bool lowest_first(const ScheduleOptions& options) {
  if (options.widths == WidthSchedule::Low2High) return true;
  if (options.widths == WidthSchedule::High2Low) return false;
  return options.order == WidthOrder::LowFirst;
}

}  // namespace

double learning_rate(const LrOptions& options, double peak, const Position& position) {
  const Clock clock = clock_of(options, position);
  if (options.kind == LrKind::OneCycle) return one_cycle(options, peak, clock);
  const double warmup = std::floor(options.warmup_epochs * clock.units_per_epoch);
  if (clock.now < warmup) return peak * (clock.now + 1) / warmup;
  switch (options.kind) {
    case LrKind::Cosine:
      return half_cosine(peak, options.final, share(clock.now, warmup, clock.end));
    case LrKind::Linear:
      return linear(options, peak, clock, warmup);
    case LrKind::Multistep:
      return multistep(options, peak, clock);
    case LrKind::Exponential:
      return peak * std::pow(options.gamma, clock.now / clock.units_per_epoch);
    case LrKind::OneCycle:
    case LrKind::Constant:
      break;
  }
  return peak;
}

std::vector<int> widths_of_step(const std::vector<int>& bits, const ScheduleOptions& options,
                                uint64_t seed, const Position& position) {
  if (options.widths == WidthSchedule::Sandwich) return sandwich(bits, seed, position.step);
  std::vector<int> widths = active_widths(bits, options, position);
  if (!lowest_first(options)) std::reverse(widths.begin(), widths.end());
  return widths;
}

int64_t steps_of(double epochs, int64_t steps_per_epoch) {
  if (epochs <= 0) return 0;
  return std::max<int64_t>(1, std::llround(epochs * static_cast<double>(steps_per_epoch)));
}

}  // namespace instantnet::train
