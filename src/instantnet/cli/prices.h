// What layers cost on a device, for searches: the certified best mapping of each, kept in a file so
// that none is mapped twice.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "instantnet/mapper/accelerator.h"
#include "instantnet/mapper/search.h"
#include "instantnet/net/precision.h"
#include "instantnet/net/spec.h"

namespace instantnet::cli {

/// Energy (pJ), cycles or pJ x cycles of each layer's best mapping, of one image. Prices are read
/// from `file` when it is there and of this device and objective; save writes it. Empty: nothing is
/// kept. Error naming what does not fit for a layer that has no mapping.
class MappedPrices {
 public:
  MappedPrices(mapper::Accelerator device, mapper::Objective objective, std::string file,
               int threads);
  double operator()(const LayerShape& shape, Precision precision);
  /// Writes the file when there is something new.
  void save();
  int64_t mapped() const { return mapped_; }  // in this process

 private:
  void load();

  mapper::Accelerator device_;
  mapper::SearchOptions options_;
  std::string file_, identity_;
  std::map<std::string, double> known_;
  int64_t mapped_ = 0;
  bool changed_ = false;
};

}  // namespace instantnet::cli
