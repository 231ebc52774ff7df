#include "instantnet/mapper/share.h"

#include <algorithm>

namespace instantnet::mapper {
namespace {

/// Halving stops here: parts of a 1024th.
constexpr int kMostHalvings = 10;
/// Arrays that are yet to be built are counted in no more units than this.
constexpr int64_t kMostUnits = 512;

int64_t children(const StorageLevel& level) { return level.fanout_x * level.fanout_y; }

/// The outermost level with several children; the last level when there is none.
size_t array_level(const Accelerator& device) {
  size_t level = 0;
  while (level + 1 < device.levels.size() && children(device.levels[level]) == 1) ++level;
  return level;
}

int64_t part(int64_t words, int64_t units, int64_t of) {
  if (words == 0) return 0;
  const double exact =
      static_cast<double>(words) * static_cast<double>(units) / static_cast<double>(of);
  return std::max<int64_t>(1, static_cast<int64_t>(exact));
}

void scale(Bandwidth& bandwidth, double fraction) {
  bandwidth.read *= fraction;
  bandwidth.write *= fraction;
  bandwidth.total *= fraction;
}

void scale_bandwidth(StorageLevel& level, double fraction) {
  scale(level.bandwidth, fraction);
  for (const Tensor t : kAllTensors) scale(level.tensor_bandwidth[t], fraction);
}

void scale_capacity(StorageLevel& level, int64_t units, int64_t of) {
  const int64_t least = level.double_buffered ? 2 : 1;
  const auto scaled = [&](int64_t words) {
    return words == 0 ? 0 : std::max(least, part(words, units, of));
  };
  level.capacity_words = scaled(level.capacity_words);
  for (const Tensor t : kAllTensors)
    level.tensor_capacity_words[t] = scaled(level.tensor_capacity_words[t]);
}

/// Halves the outermost fan-out that is left. Levels below the array's own that lose their last
/// sibling are halved from then on.
bool halve(Accelerator& device, size_t first) {
  size_t level = first;
  while (level < device.levels.size() && children(device.levels[level]) == 1) ++level;
  if (level == device.levels.size()) return false;
  StorageLevel& cut = device.levels[level];
  int64_t& side = cut.fanout_x >= cut.fanout_y ? cut.fanout_x : cut.fanout_y;
  side /= 2;
  for (size_t l = first + 1; l <= level; ++l) {
    scale_capacity(device.levels[l], 1, 2);
    scale_bandwidth(device.levels[l], 0.5);
  }
  return true;
}

/// The buffers above the array keep the bandwidth of this part's multipliers.
ArrayShare share_of(Accelerator part_of_it, const Accelerator& device, int64_t units) {
  ArrayShare share{units, multipliers(part_of_it), std::move(part_of_it)};
  const double fraction =
      static_cast<double>(share.multipliers) / static_cast<double>(multipliers(device));
  for (size_t l = 1; l <= array_level(device); ++l)
    scale_bandwidth(share.device.levels[l], fraction);
  share.device.static_mw = 0;
  return share;
}

ArrayShares halves(const Accelerator& device) {
  std::vector<Accelerator> parts = {device};
  const size_t first = array_level(device);
  for (Accelerator next = device;
       static_cast<int>(parts.size()) <= kMostHalvings && halve(next, first);)
    parts.push_back(next);
  ArrayShares all;
  all.units = int64_t{1} << (parts.size() - 1);
  for (size_t i = 0; i < parts.size(); ++i)
    all.shares.push_back(share_of(std::move(parts[i]), device, all.units >> i));
  return all;
}

ArrayShares rows_of(const Accelerator& device) {
  const int64_t most = multipliers(device);
  const int64_t unit = (most + kMostUnits - 1) / kMostUnits;
  std::vector<int64_t> counts = {most};
  for (int64_t power = 1; power < most; power *= 2)
    for (const int64_t count : {power, power + power / 2})
      if (count < most && (count == power || power > 1)) counts.push_back(count);
  std::sort(counts.rbegin(), counts.rend());
  ArrayShares all;
  all.units = (most + unit - 1) / unit;
  for (const int64_t count : counts) {
    Accelerator row = device;
    row.levels[array_level(device)].fanout_x = count;
    row.levels[array_level(device)].fanout_y = 1;
    all.shares.push_back(share_of(std::move(row), device, (count + unit - 1) / unit));
  }
  return all;
}

bool has_one_fanout(const Accelerator& device) {
  return std::count_if(device.levels.begin(), device.levels.end(),
                       [](const StorageLevel& level) { return children(level) > 1; }) == 1;
}

}  // namespace

ArrayShares array_shares(const Accelerator& device) {
  return device.fpga && has_one_fanout(device) ? rows_of(device) : halves(device);
}

Accelerator with_buffer_share(const Accelerator& device, int64_t units, int64_t of) {
  Accelerator share = device;
  for (size_t l = 1; l <= array_level(device); ++l) scale_capacity(share.levels[l], units, of);
  return share;
}

int64_t buffer_words(const Accelerator& device) {
  const size_t level = array_level(device);
  if (level == 0) return 0;
  const StorageLevel& buffer = device.levels[level];
  int64_t words = buffer.capacity_words;
  for (const Tensor t : kAllTensors) words += buffer.tensor_capacity_words[t];
  return words;
}

}  // namespace instantnet::mapper
