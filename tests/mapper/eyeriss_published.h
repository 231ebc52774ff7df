// What is published about Eyeriss, and what the model says to it.
#pragma once

#include <string>
#include <vector>

#include "mapper/row_stationary.h"

namespace instantnet::mapper {

/// A layer of the chip's tables (Chen et al., JSSC 2017), with the mapping that is replayed.
struct ChipLayer {
  std::string name;
  LayerShape shape;
  RowStationary mapping;
  double processing_ms = 0;
  int64_t active_pes = 0;
  double buffer_mib = 0;  // moved in and out of the global buffer
};

/// Table V, batch 4. Latency and PEs are published; buffer traffic is from memory, unverified.
/// Mappings: table III's parameters (from memory, unverified), but conv3, which has q r = 6 as its
/// buffer traffic says, instead of 4.
const std::vector<ChipLayer>& chip_alexnet();
/// Table VI, batch 3, from memory, unverified. q r and e are what its columns of buffer traffic and
/// active PEs say; m is then the largest number of filters whose sums fit the buffer, for one image
/// in a pass, or the batch where planes are as small as AlexNet's last ones.
const std::vector<ChipLayer>& chip_vgg16();

/// What the model says about a replayed mapping, cycles.
struct ChipReplay {
  int64_t active_pes = 0;
  double array_cycles = 0;   // multiplying
  double filter_cycles = 0;  // loading filters, 4 words a cycle
  double port_cycles = 0;    // the busiest port of the buffer
  double passes = 0;
  double buffer_mib = 0;  // reads and writes of the buffer, and finished sums that leave it
};
ChipReplay replay(const ChipLayer& layer);

/// How the parts of a pass overlap.
enum class Overlap {
  None,         // max(array, ports) + filters: filters wait for the pass to end
  BehindPorts,  // max(array + filters, ports): they load into PEs that wait for partial sums
};
double processing_ms(const ChipReplay& replay, Overlap overlap, double pass_cycles);

/// The cycles a pass costs besides, fitted: least squares of the relative error over AlexNet.
double fitted_pass_cycles(Overlap overlap);

/// A layer of figure 10 of the ISCA 2016 paper, batch 16, in 10^9 MAC energies.
struct EnergyLayer {
  std::string name;
  LayerShape shape;
  double alu = 0, dram = 0, registers = 0;
};
const std::vector<EnergyLayer>& isca16_alexnet();

struct EnergyReplay {
  RowStationary mapping;
  double alu = 0, dram = 0, buffer = 0, array = 0;
  double registers = 0;       // what multipliers read and write, as the paper counts
  double register_fills = 0;  // what arrives from and leaves to the buffer besides
};
/// Of the row-stationary mapping of least energy on eyeriss-isca16.
EnergyReplay least_energy(const EnergyLayer& layer);

}  // namespace instantnet::mapper
