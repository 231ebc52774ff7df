// Full evaluations of random legal nests a second on one core: tiles, legality, access counts, energy and cycles, by
// Evaluator::score.
//
//   bench_mapper_evaluate [seconds for each line]      0.5
//
// Nests are drawn for layers of AlexNet, VGG-16, ResNet-50 and MobileNetV2 on the three-level chips, with perfect factors and
// with any. Processor time, so that other programs on the machine do not count.
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "instantnet/core/rng.h"
#include "instantnet/mapper/cost.h"

namespace {

using namespace instantnet;
using namespace instantnet::mapper;

constexpr size_t kNests = 2000;  // of each layer; more than fit the fastest cache

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Case {
  const char* name;
  LayerShape layer;
};

LayerShape conv(int64_t k, int64_t c, int64_t out, int64_t filter, int64_t stride = 1, int64_t groups = 1) {
  LayerShape layer;
  layer.k = k, layer.c = c, layer.p = layer.q = out, layer.r = layer.s = filter;
  layer.stride = stride, layer.groups = groups;
  return layer;
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {{"alexnet conv1", conv(96, 3, 55, 11, 4)},
                                        {"alexnet conv2", conv(256, 48, 27, 5, 1, 2)},
                                        {"vgg16 conv4_2", conv(512, 512, 28, 3)},
                                        {"resnet50 1x1", conv(2048, 512, 7, 1)},
                                        {"mobilenetv2 dw", conv(96, 1, 56, 3, 2, 96)}};
  return all;
}

/// A factor of what is left of a dim: a divisor, or any number.
int64_t draw_factor(Rng& rng, int64_t rest, bool perfect) {
  for (;;) {
    const int64_t factor = 1 + static_cast<int64_t>(rng.below(static_cast<uint64_t>(rest)));
    if (!perfect || rest % factor == 0) return factor;
  }
}

/// Factors of every dim from the registers out, orders shuffled; most are not legal.
Nest draw(Rng& rng, const PerDim& bounds, const Accelerator& device, bool perfect) {
  const int levels = static_cast<int>(device.levels.size());
  Nest nest = empty_nest(levels);
  for (size_t d = 0; d < kDims; ++d) {
    int64_t rest = bounds[d];
    for (int l = levels - 1; l > 0; --l)
      for (const bool spatial : {false, true}) {
        if (spatial && device.levels[l - 1].fanout_x * device.levels[l - 1].fanout_y == 1) continue;
        const int64_t small = l == levels - 1 ? std::min<int64_t>(rest, 8) : rest;
        const int64_t factor = draw_factor(rng, perfect ? rest : small, perfect);
        (spatial ? nest.spatial[l - 1] : nest.temporal[l])[d] = static_cast<int32_t>(factor);
        rest = (rest + factor - 1) / factor;
      }
    nest.temporal[0][d] = static_cast<int32_t>(rest);
  }
  for (int l = 0; l < levels; ++l) {
    for (size_t i = kDims; i > 1; --i) std::swap(nest.order[l][i - 1], nest.order[l][rng.below(i)]);
    for (const Tensor t : kAllTensors)
      if (device.levels[l].keep[t] == Keep::Never) nest.keeps[l] &= static_cast<uint8_t>(~(1u << at(t)));
  }
  return nest;
}

std::vector<Nest> draw_legal(const Evaluator& evaluator, bool perfect) {
  Rng rng(7);
  std::vector<Nest> nests;
  Score score;
  while (nests.size() < kNests) {
    const Nest nest = draw(rng, bounds_of(evaluator.layer()), evaluator.device(), perfect);
    if (evaluator.score(nest, score)) nests.push_back(nest);
  }
  return nests;
}

/// Evaluations a second.
double rate(const Evaluator& evaluator, const std::vector<Nest>& nests, double seconds) {
  double least = 0;
  int64_t count = 0;
  const double start = processor_seconds();
  double now = start;
  for (; now - start < seconds; now = processor_seconds()) {
    for (const Nest& nest : nests) {
      Score score;
      if (!evaluator.score(nest, score)) std::abort();
      least += score.edp();
    }
    count += static_cast<int64_t>(nests.size());
  }
  if (!(least > 0)) std::abort();
  return static_cast<double>(count) / (now - start);
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 0.5;
  fmt::print("{:<10} {:<16} {:>12} {:>12}\n", "chip", "layer", "perfect/s", "any/s");
  for (const char* chip : {"simple3", "eyeriss"})
    for (const Case& one : cases()) {
      const Evaluator evaluator(one.layer, {16, 16}, find_accelerator(chip));
      fmt::print("{:<10} {:<16} {:>12.0f} {:>12.0f}\n", chip, one.name,
                 rate(evaluator, draw_legal(evaluator, true), seconds),
                 rate(evaluator, draw_legal(evaluator, false), seconds));
    }
}
