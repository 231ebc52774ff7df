#include "instantnet/mapper/exact_form.h"

#include <algorithm>
#include <limits>

#include "instantnet/mapper/cost.h"

namespace instantnet::mapper::exact {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void add(Linear& to, const Linear& what, double times) {
  to.constant += times * what.constant;
  for (int t = 0; t < kTensors; ++t) {
    to.buffer[t] += times * what.buffer[t];
    to.fill[t] += times * what.fill[t];
    to.outer[t] += times * what.outer[t];
  }
  to.spread += times * what.spread, to.touched += times * what.touched;
}

/// Elements that one level reads, writes and carries, each linear in the traffic.
struct LevelFlow {
  std::array<Linear, kTensors> reads, writes, network;
  double finished = 0;  // of the outputs written, so many at the width of activations
};

Linear of_constant(double elements) {
  Linear one;
  one.constant = elements;
  return one;
}

Capacity capacity_of(const StorageLevel& level, const Each& words) {
  // Sums of fractions of words may exceed a capacity by a rounding error, as in fits_words().
  const auto usable = [&](int64_t whole) {
    const auto half = static_cast<double>(level.double_buffered ? whole / 2 : whole);
    return half > 0 ? half * (1 + 1e-12) : kInfinity;
  };
  Capacity capacity;
  capacity.words = words;
  capacity.shared = usable(level.capacity_words);
  for (const Tensor t : kAllTensors) {
    capacity.own[at(t)] = usable(level.tensor_capacity_words[t]);
    capacity.share[at(t)] = capacity.own[at(t)] < kInfinity ? 0 : 1;
  }
  return capacity;
}

/// Flows of the three levels (docs/cost-model.md, (11) to (14)) for a buffer that keeps `keeps`.
class Flows {
 public:
  Flows(const LayerShape& layer, const Levels& levels, unsigned keeps)
      : macs_(static_cast<double>(layer.macs())),
        outputs_(static_cast<double>(layer.n) * static_cast<double>(layer.k * layer.p * layer.q)) {
    const StorageLevel& array = levels.above_array();
    for (const Tensor t : kAllTensors) {
      const bool kept = (keeps >> at(t) & 1) != 0;
      const bool merged = t == Tensor::Outputs ? array.reduction : array.multicast;
      between(t, kept ? buffer : dram, registers, merged);
      if (kept) stored(t);
      computed(t);
      // What leaves DRAM passes the buffer, kept or not, and goes on to the PEs.
      if (levels.buffer) {
        dram.network[at(t)] = dram.reads[at(t)];
        add(dram.network[at(t)], dram.writes[at(t)], 1);
      }
      (levels.buffer ? buffer : dram).network[at(t)] = carried_;
    }
    dram.finished = outputs_;
  }

  LevelFlow dram, buffer, registers;

 private:
  /// Between the level that feeds the array and the registers.
  void between(Tensor t, LevelFlow& from, LevelFlow& to, bool merged) {
    Linear moved, filled;
    (merged ? moved.buffer : moved.fill)[at(t)] = 1;
    filled.fill[at(t)] = 1;
    from.reads[at(t)] = moved;
    to.writes[at(t)] = filled;
    carried_ = filled;
    if (t != Tensor::Outputs) return;
    from.writes[at(t)] = moved;
    from.reads[at(t)].constant -= outputs_;
    Linear& first = to.writes[at(t)];
    if (merged)
      first.spread -= outputs_;
    else
      first.constant -= outputs_;
    add(carried_, first, 1);
  }

  /// Between DRAM and the buffer.
  void stored(Tensor t) {
    Linear moved;
    moved.outer[at(t)] = 1;
    Linear fetched = moved;
    if (t == Tensor::Outputs) fetched.constant -= outputs_, dram.writes[at(t)] = moved;
    dram.reads[at(t)] = fetched;
    add(buffer.writes[at(t)], fetched, 1);
  }

  /// By the multipliers.
  void computed(Tensor t) {
    registers.reads[at(t)] = of_constant(macs_);
    if (t != Tensor::Outputs) return;
    registers.reads[at(t)].touched -= outputs_;
    registers.writes[at(t)].constant += macs_;
  }

  double macs_, outputs_;
  Linear carried_;  // to and from the PEs
};

class FormMaker {
 public:
  FormMaker(const LayerShape& layer, Precision precision, const Accelerator& device, unsigned keeps)
      : device_(device),
        precision_(precision),
        levels_(levels_of(device)),
        flows_(layer, levels_, keeps) {
    form_.energy.constant =
        static_cast<double>(layer.macs()) * mac_energy_pj(device.mac, precision);
    form_.static_pj = device.static_mw / device.clock_mhz * 1000;
    form_.macs_per_cycle = macs_per_cycle(device.mac, precision);
    add_level(*levels_.dram, flows_.dram, Place::Dram);
    if (levels_.buffer) add_level(*levels_.buffer, flows_.buffer, Place::Buffer);
    add_level(*levels_.registers, flows_.registers, Place::Registers);
    form_.registers = capacity_of(*levels_.registers, words_of(*levels_.registers));
    if (levels_.buffer) {
      Each words = words_of(*levels_.buffer);
      for (int t = 0; t < kTensors; ++t)
        if ((keeps >> t & 1) == 0) words[t] = 0;
      form_.buffer = capacity_of(*levels_.buffer, words);
    } else {
      form_.buffer = capacity_of(StorageLevel{}, {});
    }
  }

  enum class Place { Dram, Buffer, Registers };

  Form form() { return std::move(form_); }

 private:
  Each words_of(const StorageLevel& level) const {
    Each words;
    for (const Tensor t : kAllTensors)
      words[at(t)] = words_per_element(level, element_bits(device_, precision_, t));
    return words;
  }

  void add_limit(Linear words, double bandwidth, Place place) {
    if (bandwidth > 0)
      form_.limits.push_back(
          {std::move(words), bandwidth, place == Place::Registers, place == Place::Dram});
  }

  void add_limits(const Bandwidth& bandwidth, const Linear& reads, const Linear& writes,
                  Place place) {
    Linear both = reads;
    add(both, writes, 1);
    add_limit(reads, bandwidth.read, place);
    add_limit(writes, bandwidth.write, place);
    add_limit(both, bandwidth.total, place);
  }

  void add_level(const StorageLevel& level, const LevelFlow& flow, Place place) {
    const Each words = words_of(level);
    Linear reads, writes;
    for (const Tensor t : kAllTensors) {
      Linear read, write;
      add(read, flow.reads[at(t)], words[at(t)]);
      add(write, flow.writes[at(t)], words[at(t)]);
      if (t == Tensor::Outputs)
        write.constant +=
            flow.finished * (words_per_element(level, precision_.activation) - words[at(t)]);
      add(form_.energy, read, level.read_pj[t]);
      add(form_.energy, write, level.write_pj[t]);
      add(form_.energy, flow.network[at(t)], words[at(t)] * level.network_pj);
      add_limits(level.tensor_bandwidth[t], read, write, place);
      add(reads, read, 1);
      add(writes, write, 1);
    }
    add_limits(level.bandwidth, reads, writes, place);
  }

  const Accelerator& device_;
  Precision precision_;
  Levels levels_;
  Flows flows_;
  Form form_;
};

}  // namespace

double Form::cycles(const Traffic& traffic) const {
  double most = traffic.steps / macs_per_cycle;
  for (const Limit& limit : limits) {
    const double words = limit.words.of(traffic) / (limit.per_pe ? traffic.instances : 1);
    most = std::max(most, words / limit.words_per_cycle);
  }
  return whole_cycles(most);
}

Levels levels_of(const Accelerator& device) {
  Levels levels;
  levels.dram = &device.levels.front();
  levels.registers = &device.levels.back();
  if (device.levels.size() == 3) levels.buffer = &device.levels[1];
  return levels;
}

Form make_form(const LayerShape& layer, Precision precision, const Accelerator& device,
               unsigned keeps) {
  return FormMaker(layer, precision, device, keeps).form();
}

}  // namespace instantnet::mapper::exact
