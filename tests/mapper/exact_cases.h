// Small random spaces for the exact search, and the slow way to their optimum: every mapping of the
// space, one after the other, priced by the Evaluator.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "instantnet/mapper/accelerator.h"
#include "instantnet/mapper/cost.h"
#include "instantnet/mapper/search.h"

namespace instantnet::mapper {

struct ExactCase {
  LayerShape layer;
  Precision precision;
  Accelerator device;
  Constraints constraints;
  Factors factors = Factors::Perfect;
};

/// What cases are about: what random ones seldom meet gets draws of its own.
enum class CaseKind {
  Any,        // everything the device and the constraints can say
  Windows,    // strides and dilations, also larger than the filter: windows with gaps
  Halo,       // filter loops and little else: overlaps saved along P, Q, R, S in every order
  Surviving,  // few loops at the buffer: tensors that survive them in the registers
  Bandwidth,  // many limits, shared and per tensor, at every level
  Constrained,
};
inline constexpr std::array<CaseKind, 6> kCaseKinds = {CaseKind::Any,       CaseKind::Windows,
                                                       CaseKind::Halo,      CaseKind::Surviving,
                                                       CaseKind::Bandwidth, CaseKind::Constrained};

/// The `index`-th case of a kind: at most about `most` mappings.
ExactCase draw_exact_case(uint64_t seed, uint64_t index, CaseKind kind, double most = 20000);

inline constexpr std::array<Objective, 3> kThreeObjectives = {Objective::Edp, Objective::Energy,
                                                              Objective::Latency};
struct BruteForce {
  std::array<std::optional<Value>, 3> best;  // of kThreeObjectives; none: nothing fits
  std::vector<Score> all;                    // only when asked for
  int64_t mappings = 0;
};
BruteForce brute_force(const ExactCase& one, bool keep_all = false);

/// What differs between the exact search and brute force; empty: nothing.
std::string difference(const ExactCase& one, const BruteForce& expected);

/// The case as text, for messages.
std::string describe(const ExactCase& one);

}  // namespace instantnet::mapper
