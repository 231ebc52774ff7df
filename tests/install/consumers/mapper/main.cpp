// The best mapping of a small network's layers at two bit-widths, and the sentence for a mistake.
#include <instantnet/core/error.h>
#include <instantnet/mapper/accelerator.h>
#include <instantnet/mapper/plan.h>
#include <instantnet/net/zoo.h>

#include <cstdio>

int main() {
  using namespace instantnet;
  mapper::MapOptions options;
  options.bits = {4, 8};
  const mapper::MappingPlan plan =
      mapper::map_network(zoo_network("resnet8"), mapper::find_accelerator("simple3"), {}, options);
  for (const mapper::Total& total : plan.totals)
    std::printf("%d bits: %.0f pJ, %.0f cycles%s\n", total.bits, total.energy_pj, total.cycles,
                total.proven ? ", proven" : "");
  try {
    mapper::find_accelerator("simple4");
  } catch (const Error& error) {
    std::printf("%s\n", error.what());
  }
}
