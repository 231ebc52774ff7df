// The learning rate and the bit-widths of every minibatch, as pure functions of where the run
// stands.
#pragma once

#include <cstdint>
#include <vector>

#include "instantnet/train/options.h"

namespace instantnet::train {

/// Where a phase stands.
struct Position {
  int64_t step = 0;             // minibatches finished in the phase
  int64_t steps_per_epoch = 1;  // >= 1
  int64_t total_steps = 1;      // of the phase, >= 1

  double epochs() const { return static_cast<double>(step) / static_cast<double>(steps_per_epoch); }
};

/// Learning rate of the minibatch after `position.step` others, for a phase whose highest is
/// `peak`:
///   cosine       final + (peak - final) (1 + cos(pi t)) / 2, t from 0 to 1 after warm-up
///   linear       peak until the first milestone (or the end of warm-up), then straight to final
///   multistep    peak * gamma^(milestones passed)
///   exponential  peak * gamma^epochs
///   onecycle     from peak / 25 up over the first 30 %, down to final, both half a cosine (torch's
///   OneCycleLR) constant     peak
/// Warm-up of w: peak * (k + 1) / w for the k-th of the first w. With Per::Epoch everything counts
/// whole epochs.
double learning_rate(const LrOptions& options, double peak, const Position& position);

/// The widths a minibatch trains, in order. `bits` ascending. Sandwich: highest, lowest, then two
/// drawn with replacement from between, by (seed, step) alone; a width drawn twice is trained
/// twice, as by the authors.
std::vector<int> widths_of_step(const std::vector<int>& bits, const ScheduleOptions& options,
                                uint64_t seed, const Position& position);

/// round(epochs * steps_per_epoch), at least 1 for epochs > 0.
int64_t steps_of(double epochs, int64_t steps_per_epoch);

}  // namespace instantnet::train
