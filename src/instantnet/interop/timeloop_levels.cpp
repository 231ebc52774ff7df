#include "instantnet/interop/timeloop_levels.h"

#include <algorithm>
#include <cmath>

#include "instantnet/interop/timeloop_export.h"

namespace instantnet::interop {
namespace {

using mapper::Accelerator;
using mapper::Accesses;
using mapper::Bandwidth;
using mapper::Cost;
using mapper::kAllTensors;
using mapper::Mapping;
using mapper::PerTensor;
using mapper::StorageLevel;
using mapper::Tensor;

/// One tensor at one level: what its elements take and cost.
struct Part {
  bool kept = false;
  int bits = 0;
  double words = 0;  // an element takes
  double read_pj = 0, fill_pj = 0, update_pj = 0;
  double reads = 0, writes = 0;              // elements, all instances
  double read_words = 0, written_words = 0;  // likewise
};

/// Everything that turns a device's numbers into Timeloop's.
struct View {
  Precision precision;
  const Accelerator& device;
  const Mapping& mapping;
  const Cost& cost;

  /// The outermost level that keeps outputs: what is finished goes there at the activations' width.
  size_t outermost_outputs() const {
    size_t l = 0;
    while (l + 1 < mapping.levels.size() && !mapping.levels[l].keeps.outputs) ++l;
    return l;
  }

  Part part(size_t l, Tensor t) const {
    const StorageLevel& level = device.levels[l];
    const Accesses& moved = cost.counts.levels[l][t];
    Part part;
    part.kept = mapping.levels[l].keeps[t];
    part.bits = mapper::element_bits(device, precision, t);
    part.words = mapper::words_per_element(level, part.bits);
    part.read_pj = level.read_pj[t] * part.words;
    part.fill_pj = part.update_pj = level.write_pj[t] * part.words;
    part.reads = static_cast<double>(moved.reads);
    part.writes = static_cast<double>(moved.updates + moved.fills);
    part.read_words = part.reads * part.words;
    part.written_words = part.writes * part.words;
    if (t == Tensor::Outputs && l == outermost_outputs()) finish(l, part);
    return part;
  }

  /// Some updates carry partial sums and others finished outputs, which may be narrower: Timeloop
  /// has one energy for both, their mean in this mapping.
  void finish(size_t l, Part& part) const {
    const auto updates = static_cast<double>(cost.counts.levels[l].outputs.updates);
    const double finished_words = mapper::words_per_element(device.levels[l], precision.activation);
    if (updates == 0 || finished_words == part.words) return;
    const double mean = (cost.levels[l].energy_pj.outputs - part.reads * part.read_pj) / updates;
    const double write_pj = device.levels[l].write_pj.outputs;
    part.update_pj = mean;
    if (write_pj > 0) part.written_words = updates * mean / write_pj;
  }
};

/// Whether a level can be one Timeloop level: its tensors are alike but for what they are.
bool alike(const StorageLevel& level, const PerTensor<Part>& parts) {
  const Part* first = nullptr;
  for (const Tensor t : kAllTensors) {
    if (!parts[t].kept) continue;
    if (level.tensor_capacity_words[t] != 0 || level.tensor_bandwidth[t] != Bandwidth{})
      return false;
    if (first == nullptr) first = &parts[t];
    const bool same = first->bits == parts[t].bits && first->words == parts[t].words &&
                      first->read_pj == parts[t].read_pj && first->fill_pj == parts[t].fill_pj &&
                      first->update_pj == parts[t].update_pj;
    if (!same) return false;
  }
  return true;
}

/// Elements that fit; Timeloop reads a 32-bit number.
int64_t entries(int64_t words, double words_an_element) {
  constexpr double kMost = 4294967295.0;
  const double fit = std::floor(static_cast<double>(words) / words_an_element * (1 + 1e-12));
  return words == 0 ? 0 : static_cast<int64_t>(std::clamp(fit, 1.0, kMost));
}

/// Cycles that a limit asks for, of one instance; 0 without one.
double cycles_of(double words, double per_cycle) { return per_cycle > 0 ? words / per_cycle : 0; }

/// The bandwidth (elements a cycle) at which `elements` take `cycles`.
double rate(double elements, double cycles) { return cycles > 0 ? elements / cycles : 0; }

/// A part's bandwidths: no limit that holds for it, alone or with the other tensors, is exceeded
/// when it moves what this mapping moves.
void limit(const StorageLevel& level, const PerTensor<Part>& parts, Tensor t, TimeloopLevel& to) {
  double reads = 0, writes = 0;  // words, all tensors
  for (const Tensor other : kAllTensors)
    if (parts[other].kept) reads += parts[other].read_words, writes += parts[other].written_words;
  const Part& part = parts[t];
  const Bandwidth& own = level.tensor_bandwidth[t];
  const double together = std::max(cycles_of(reads + writes, level.bandwidth.total),
                                   cycles_of(part.read_words + part.written_words, own.total));
  const double read_cycles = std::max(
      {together, cycles_of(reads, level.bandwidth.read), cycles_of(part.read_words, own.read)});
  const double write_cycles = std::max({together, cycles_of(writes, level.bandwidth.write),
                                        cycles_of(part.written_words, own.write)});
  to.read_bandwidth = rate(part.reads, read_cycles);
  to.write_bandwidth = rate(part.writes, write_cycles);
}

/// The same for tensors that are alike: plain limits need no proportion.
void limit_together(const StorageLevel& level, const PerTensor<Part>& parts, double words,
                    TimeloopLevel& to) {
  if (level.bandwidth.total == 0) {
    to.read_bandwidth = level.bandwidth.read / words;
    to.write_bandwidth = level.bandwidth.write / words;
    return;
  }
  Part all;
  for (const Tensor t : kAllTensors)
    if (parts[t].kept) all.reads += parts[t].reads, all.writes += parts[t].writes;
  const double together = cycles_of((all.reads + all.writes) * words, level.bandwidth.total);
  to.read_bandwidth =
      rate(all.reads, std::max(together, cycles_of(all.reads * words, level.bandwidth.read)));
  to.write_bandwidth =
      rate(all.writes, std::max(together, cycles_of(all.writes * words, level.bandwidth.write)));
}

TimeloopLevel of_part(const StorageLevel& level, size_t l, const Part& part) {
  TimeloopLevel to;
  to.name = file_name_of(level.name);
  to.level = l;
  to.word_bits = part.bits;
  to.double_buffered = level.double_buffered;
  to.read_pj = part.read_pj, to.fill_pj = part.fill_pj, to.update_pj = part.update_pj;
  return to;
}

/// Levels of one tensor each, in the order of the tensors.
void add_split(const StorageLevel& level, size_t l, const PerTensor<Part>& parts,
               std::vector<TimeloopLevel>& levels) {
  for (const Tensor t : kAllTensors) {
    if (!parts[t].kept) continue;
    TimeloopLevel to = of_part(level, l, parts[t]);
    to.name += "_" + mapper::to_string(t);
    to.last = false;
    to.keeps[t] = true;
    const int64_t own = level.tensor_capacity_words[t];
    to.entries = entries(own != 0 ? own : level.capacity_words, parts[t].words);
    limit(level, parts, t, to);
    levels.push_back(to);
  }
  levels.back().last = true;
}

void add_whole(const StorageLevel& level, size_t l, const PerTensor<Part>& parts,
               std::vector<TimeloopLevel>& levels) {
  Part any = parts.inputs;
  for (const Tensor t : kAllTensors)
    if (parts[t].kept) any = parts[t];
  TimeloopLevel to = of_part(level, l, any);
  for (const Tensor t : kAllTensors) to.keeps[t] = parts[t].kept;
  to.entries = entries(level.capacity_words, any.words);
  limit_together(level, parts, any.words, to);
  levels.push_back(to);
}

}  // namespace

std::vector<TimeloopLevel> timeloop_levels(Precision precision, const Accelerator& device,
                                           const Mapping& mapping, const Cost& cost) {
  const View view{precision, device, mapping, cost};
  const double macs_a_cycle = mapper::macs_per_cycle(device.mac, precision);
  std::vector<TimeloopLevel> levels;
  for (size_t l = 0; l < device.levels.size(); ++l) {
    const StorageLevel& level = device.levels[l];
    PerTensor<Part> parts;
    for (const Tensor t : kAllTensors) parts[t] = view.part(l, t);
    const size_t first = levels.size();
    if (alike(level, parts))
      add_whole(level, l, parts, levels);
    else
      add_split(level, l, parts, levels);
    for (size_t i = first; i < levels.size(); ++i) {
      // Timeloop's cycle does one multiply-accumulate, the device's does macs_a_cycle.
      levels[i].read_bandwidth /= macs_a_cycle;
      levels[i].write_bandwidth /= macs_a_cycle;
    }
  }
  return levels;
}

}  // namespace instantnet::interop
