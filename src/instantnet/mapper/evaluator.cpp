#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "instantnet/core/error.h"
#include "instantnet/mapper/cost.h"
#include "instantnet/mapper/misfit_text.h"
#include "instantnet/mapper/nest_counts.h"
#include "instantnet/mapper/nest_slots.h"

namespace instantnet::mapper {

namespace {

constexpr size_t kOutputs = at(Tensor::Outputs);
/// Counts above this would not be exact.
constexpr double kLargestCount = 9007199254740992.0;  // 2^53
/// Fan-outs up to this many children have their products in a table.
constexpr int64_t kLargestTable = int64_t{1} << 16;

/// Energies are of elements, capacities and bandwidths in words.
struct LevelTable {
  std::array<double, kTensors> words;  // an element takes
  std::array<double, kTensors> read_pj, write_pj, network_pj;
  double shared_capacity = 0;                    // for one set of tiles; 0: unlimited
  std::array<double, kTensors> own_capacity{};   // likewise, of one tensor; 0: it shares
  bool finite = false;                           // some capacity is not unlimited
  bool limited = false, tensor_limited = false;  // by some bandwidth; by that of a tensor alone
  uint8_t always = 0, never = 0;                 // tensors it must (not) keep
  int64_t columns = 1, rows = 1;
  std::vector<uint8_t> fits;  // products of spatial factors, where there are few
};

/// Words that one instance of a level moves.
struct Moved {
  std::array<double, kTensors> reads, writes;
};

/// The tightest bandwidth: cycles before rounding up, and which.
struct Tightest {
  double cycles = 0;
  const char* kind = nullptr;  // "read", "write", "total"
  int tensor = -1;             // or of all

  void take(double words, double per_cycle, const char* of_kind, int of_tensor) {
    if (per_cycle == 0 || words <= cycles * per_cycle) return;
    cycles = words / per_cycle;
    kind = of_kind;
    tensor = of_tensor;
  }
  void take(double reads, double writes, const Bandwidth& limit, int of_tensor) {
    take(reads, limit.read, "read", of_tensor);
    take(writes, limit.write, "write", of_tensor);
    take(reads + writes, limit.total, "total", of_tensor);
  }
};

/// A level that cannot hold its tiles.
struct Shortage {
  int level = 0;
  int tensor = -1;  // or all that share
  double need = 0, has = 0;
};

/// Error for an impossible layer.
const LayerShape& checked(const LayerShape& layer) {
  check(layer, "layer");
  return layer;
}

}  // namespace

struct Evaluator::Tables {
  Tables(const LayerShape& of_layer, Precision at_precision, const Accelerator& on);

  LevelTable level_table(const StorageLevel& level) const;
  bool may_run(const Nest& nest) const;
  std::optional<Misfit> bad_keep(const Mapping& mapping) const;
  std::optional<Shortage> shortage(const NestCounts& counts, int level, int slot,
                                   uint8_t keeps) const;
  Misfit describe(const Shortage& shortage, uint8_t keeps) const;
  Moved moved(int level, const std::array<Traffic, kTensors>& traffic, double instances) const;
  void tighten(Tightest& worst, int level, const Moved& words) const;
  bool price(const std::array<Traffic, kTensors>* traffic, const NestCounts& counts,
             const int* slots, Score& result) const;
  Cost details(const std::array<Traffic, kTensors>* traffic, const NestCounts& counts,
               const int* slots, const Score& score) const;

  LayerShape layer;
  Precision precision;
  Accelerator device;
  LayerNumbers numbers;
  double macs = 0;
  double mac_pj = 0;  // of the whole layer
  /// What finished outputs, which leave as activations, add to words and energy of writing partial
  /// sums to the outermost level.
  double finished_words = 0, finished_pj = 0;
  double per_cycle = 1;   // MACs of one multiplier
  double static_pj = 0;   // of a cycle
  double array_rate = 1;  // MACs a cycle of the whole device
  std::vector<LevelTable> levels;
  std::array<uint8_t, kMaxLevels> multicast{}, reduction{};
};

Evaluator::Tables::Tables(const LayerShape& of_layer, Precision at_precision, const Accelerator& on)
    : layer(of_layer), precision(at_precision), device(on), numbers(checked(of_layer)) {
  check(device);
  macs = static_cast<double>(layer.macs());
  mac_pj = macs * mac_energy_pj(device.mac, precision);
  per_cycle = macs_per_cycle(device.mac, precision);
  array_rate = per_cycle * static_cast<double>(multipliers(device));
  static_pj = 1000 * device.static_mw / device.clock_mhz;  // mW / MHz = nJ
  for (size_t l = 0; l < device.levels.size(); ++l) {
    levels.push_back(level_table(device.levels[l]));
    multicast[l] = device.levels[l].multicast;
    reduction[l] = device.levels[l].reduction;
  }
  const StorageLevel& outermost = device.levels.front();
  finished_words = numbers.box[kOutputs] * (words_per_element(outermost, precision.activation) -
                                            levels.front().words[kOutputs]);
  finished_pj = finished_words * outermost.write_pj.outputs;
}

LevelTable Evaluator::Tables::level_table(const StorageLevel& level) const {
  LevelTable table;
  const auto usable = [&](int64_t words) {
    return static_cast<double>(level.double_buffered ? words / 2 : words);
  };
  table.shared_capacity = usable(level.capacity_words);
  table.finite = level.capacity_words > 0;
  table.limited = level.bandwidth != Bandwidth{};
  for (const Tensor t : kAllTensors) {
    const size_t i = at(t);
    table.words[i] = words_per_element(level, element_bits(device, precision, t));
    table.read_pj[i] = table.words[i] * level.read_pj[t];
    table.write_pj[i] = table.words[i] * level.write_pj[t];
    table.network_pj[i] = table.words[i] * level.network_pj;
    table.own_capacity[i] = usable(level.tensor_capacity_words[t]);
    table.finite = table.finite || level.tensor_capacity_words[t] > 0;
    table.tensor_limited = table.tensor_limited || level.tensor_bandwidth[t] != Bandwidth{};
    if (level.keep[t] == Keep::Always) table.always |= bit(t);
    if (level.keep[t] == Keep::Never) table.never |= bit(t);
  }
  table.limited = table.limited || table.tensor_limited;
  table.columns = level.fanout_x;
  table.rows = level.fanout_y;
  if (table.columns * table.rows <= kLargestTable)
    for (int64_t product = 0; product <= table.columns * table.rows; ++product)
      table.fits.push_back(product > 0 && fits_array(product, table.columns, table.rows));
  return table;
}

bool Evaluator::Tables::may_run(const Nest& nest) const {
  if (static_cast<size_t>(nest.levels) != levels.size()) return false;
  for (int l = 0; l < nest.levels; ++l) {
    const LevelTable& level = levels[l];
    if ((level.always & ~nest.keeps[l]) != 0 || (level.never & nest.keeps[l]) != 0) return false;
    int32_t spread = 0;
    for (const int32_t factor : nest.spatial[l]) spread |= factor ^ 1;
    if (spread == 0) continue;
    const double available = static_cast<double>(level.columns) * static_cast<double>(level.rows);
    double product = 1;
    for (const int32_t factor : nest.spatial[l]) product *= factor;
    if (product > available) return false;
    const auto whole = static_cast<int64_t>(product);
    if (level.fits.empty() ? !fits_array(whole, level.columns, level.rows) : !level.fits[whole])
      return false;
  }
  return true;
}

std::optional<Misfit> Evaluator::Tables::bad_keep(const Mapping& mapping) const {
  for (size_t l = 0; l < levels.size(); ++l)
    for (const Tensor t : kAllTensors) {
      const bool kept = mapping.levels[l].keeps[t];
      if (kept ? (levels[l].never & bit(t)) != 0 : (levels[l].always & bit(t)) != 0)
        return Misfit{fmt::format("{}: it {} keeps {}, the mapping {}.", device.levels[l].name,
                                  kept ? "never" : "always", to_string(t),
                                  kept ? "does" : "does not")};
    }
  return std::nullopt;
}

std::optional<Shortage> Evaluator::Tables::shortage(const NestCounts& counts, int level, int slot,
                                                    uint8_t keeps) const {
  const LevelTable& table = levels[level];
  double shared = 0;
  for (const Tensor t : kAllTensors) {
    if (!(keeps & bit(t))) continue;
    const double need = counts.tile_elements(slot, t) * table.words[at(t)];
    const double own = table.own_capacity[at(t)];
    if (own == 0)
      shared += need;
    else if (!fits_words(need, own))
      return Shortage{level, static_cast<int>(at(t)), need, own};
  }
  if (!fits_words(shared, table.shared_capacity))
    return Shortage{level, -1, shared, table.shared_capacity};
  return std::nullopt;
}

Misfit Evaluator::Tables::describe(const Shortage& shortage, uint8_t keeps) const {
  const StorageLevel& level = device.levels[shortage.level];
  uint8_t tensors = 0;
  for (const Tensor t : kAllTensors)
    if (shortage.tensor < 0 ? level.tensor_capacity_words[t] == 0 && (keeps & bit(t))
                            : static_cast<int>(at(t)) == shortage.tensor)
      tensors |= bit(t);
  return {fmt::format("{}: {} need {} words, it has {}{}.", level.name, listed(tensors),
                      words_text(shortage.need), words_text(shortage.has),
                      level.double_buffered ? " in each of two halves" : "")};
}

Moved Evaluator::Tables::moved(int level, const std::array<Traffic, kTensors>& traffic,
                               double instances) const {
  Moved words;
  const LevelTable& table = levels[level];
  for (size_t t = 0; t < kTensors; ++t) {
    words.reads[t] = traffic[t].reads * table.words[t];
    words.writes[t] = (traffic[t].updates + traffic[t].fills) * table.words[t];
  }
  if (level == 0) words.writes[kOutputs] += finished_words;
  if (instances == 1) return words;
  for (size_t t = 0; t < kTensors; ++t) words.reads[t] /= instances, words.writes[t] /= instances;
  return words;
}

void Evaluator::Tables::tighten(Tightest& worst, int level, const Moved& words) const {
  const StorageLevel& limits = device.levels[level];
  if (levels[level].tensor_limited)
    for (const Tensor t : kAllTensors)
      worst.take(words.reads[at(t)], words.writes[at(t)], limits.tensor_bandwidth[t],
                 static_cast<int>(at(t)));
  worst.take(words.reads[0] + words.reads[1] + words.reads[2],
             words.writes[0] + words.writes[1] + words.writes[2], limits.bandwidth, -1);
}

bool Evaluator::Tables::price(const std::array<Traffic, kTensors>* traffic,
                              const NestCounts& counts, const int* slots, Score& result) const {
  double energy = mac_pj + finished_pj, elements = 0;
  Tightest worst;
  worst.cycles = counts.steps() / per_cycle;
  for (size_t l = 0; l < levels.size(); ++l) {
    const LevelTable& table = levels[l];
    for (size_t t = 0; t < kTensors; ++t) {
      const Traffic& of = traffic[l][t];
      const double writes = of.updates + of.fills;
      elements += of.reads + writes + of.network;
      energy += of.reads * table.read_pj[t] + writes * table.write_pj[t] +
                of.network * table.network_pj[t];
    }
    if (table.limited) {
      const int level = static_cast<int>(l);
      tighten(worst, level, moved(level, traffic[l], counts.instances(slots[l])));
    }
  }
  result.cycles = whole_cycles(worst.cycles);
  result.energy_pj = energy + static_pj * result.cycles;
  return elements + result.cycles < kLargestCount;
}

Cost Evaluator::Tables::details(const std::array<Traffic, kTensors>* traffic,
                                const NestCounts& counts, const int* slots,
                                const Score& score) const {
  Cost cost;
  cost.energy_pj = score.energy_pj;
  cost.cycles = score.cycles;
  cost.compute_cycles = whole_cycles(counts.steps() / per_cycle);
  cost.utilization = macs / (cost.cycles * array_rate);
  cost.mac_pj = mac_pj;
  cost.static_pj = static_pj * score.cycles;
  cost.bound_by = "compute";
  double most = cost.compute_cycles;
  for (size_t l = 0; l < levels.size(); ++l) {
    const LevelTable& table = levels[l];
    const int level = static_cast<int>(l);
    LevelCost one;
    PerTensor<Accesses> accesses;
    PerTensor<int64_t> network;
    for (const Tensor t : kAllTensors) {
      const Traffic& of = traffic[l][at(t)];
      one.energy_pj[t] =
          of.reads * table.read_pj[at(t)] + (of.updates + of.fills) * table.write_pj[at(t)];
      one.network_pj += of.network * table.network_pj[at(t)];
      accesses[t] = {static_cast<int64_t>(of.reads), static_cast<int64_t>(of.updates),
                     static_cast<int64_t>(of.fills)};
      network[t] = static_cast<int64_t>(of.network);
    }
    if (l == 0) one.energy_pj.outputs += finished_pj;
    Tightest worst;
    tighten(worst, level, moved(level, traffic[l], counts.instances(slots[l])));
    one.cycles = whole_cycles(worst.cycles);
    if (worst.kind != nullptr)
      one.limit =
          worst.tensor < 0 ? worst.kind : to_string(kAllTensors[worst.tensor]) + " " + worst.kind;
    if (one.cycles > most) {
      most = one.cycles;
      cost.bound_by = device.levels[l].name + " " + one.limit;
    }
    cost.levels.push_back(std::move(one));
    cost.counts.levels.push_back(accesses);
    cost.counts.network.push_back(network);
  }
  cost.counts.macs = layer.macs();
  cost.counts.steps = static_cast<int64_t>(counts.steps());
  cost.counts.instances = static_cast<int64_t>(counts.instances(slots[levels.size()]));
  return cost;
}

namespace {

/// "k 32 of 64": what the loops cover of the dims they do not cover.
std::string uncovered(const PerDim& bounds, const NestSlots& slots) {
  std::vector<std::string> parts;
  for (const Dim d : kAllDims) {
    double covered = 1;
    for (int l = 0; l < slots.slots; ++l)
      covered *= double(slots.temporal[l][at(d)]) * slots.spatial[l][at(d)];
    if (covered < static_cast<double>(bounds[at(d)]))
      parts.push_back(fmt::format("{} of {} {}", covered, bounds[at(d)], to_string(d)));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

Evaluator::Evaluator(const LayerShape& layer, Precision precision, const Accelerator& device)
    : tables_(std::make_shared<Tables>(layer, precision, device)) {}

const LayerShape& Evaluator::layer() const { return tables_->layer; }
const Accelerator& Evaluator::device() const { return tables_->device; }
Precision Evaluator::precision() const { return tables_->precision; }

bool Evaluator::score(const Nest& nest, Score& result) const {
  const Tables& tables = *tables_;
  if (!tables.may_run(nest)) return false;
  NestView view;
  view.slots = nest.levels;
  view.temporal = nest.temporal.data();
  view.spatial = nest.spatial.data();
  view.order = nest.order.data();
  view.keeps = nest.keeps.data();
  view.step_slot = nest.levels - 1;
  view.multicast = tables.multicast.data();
  view.reduction = tables.reduction.data();
  NestCounts counts;
  if (!counts.set(tables.numbers, view)) return false;
  for (int l = 0; l < nest.levels; ++l)
    if (tables.levels[l].finite && tables.shortage(counts, l, l, nest.keeps[l])) return false;
  std::array<std::array<Traffic, kTensors>, kMaxLevels> traffic;
  counts.count(traffic.data());
  static constexpr std::array<int, kMaxLevels + 1> kSlots = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  return tables.price(traffic.data(), counts, kSlots.data(), result);
}

std::variant<Cost, Misfit> Evaluator::evaluate(const Mapping& mapping) const {
  const Tables& tables = *tables_;
  const auto made = slots_of(mapping, tables.device);
  if (const Misfit* misfit = std::get_if<Misfit>(&made)) return *misfit;
  const NestSlots& slots = std::get<NestSlots>(made);
  if (auto misfit = tables.bad_keep(mapping)) return *misfit;
  const size_t levels = tables.levels.size();
  NestCounts counts;
  if (!counts.set(tables.numbers, view_of(slots)))
    return Misfit{
        fmt::format("The loops cover only {}.", uncovered(bounds_of(tables.layer), slots))};
  std::array<std::array<Traffic, kTensors>, kMaxSlots> of_slots;
  counts.count(of_slots.data());
  std::array<std::array<Traffic, kTensors>, kMaxLevels> traffic;
  for (size_t l = 0; l < levels; ++l) {
    const int first = slots.first[l], last = slots.first[l + 1] - 1;
    if (const auto shortage =
            tables.shortage(counts, static_cast<int>(l), first, slots.keeps[first]))
      return tables.describe(*shortage, slots.keeps[first]);
    traffic[l] = of_slots[first];
    for (size_t t = 0; t < kTensors; ++t) traffic[l][t].network = of_slots[last][t].network;
  }
  Score score;
  if (!tables.price(traffic.data(), counts, slots.first.data(), score))
    return Misfit{"The mapping moves more than 2^53 elements, which cannot be counted exactly."};
  return tables.details(traffic.data(), counts, slots.first.data(), score);
}

}  // namespace instantnet::mapper
