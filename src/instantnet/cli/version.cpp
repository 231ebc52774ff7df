// The version, and the list of verbs that need no torch.
#include "instantnet/cli/verbs.h"

namespace instantnet::cli {

std::string version_text() { return "instantnet " INSTANTNET_VERSION; }

void add_torch_free_verbs(CLI::App& app) {
  add_zoo(app);
  add_map(app);
  add_cost(app);
  add_accelerators(app);
  add_export(app);
  add_inspect(app);
  add_infer(app);
  add_bench(app);
  add_bundle(app);
  add_verify(app);
  add_run(app);
  add_data(app);
  add_report(app);
}

}  // namespace instantnet::cli
