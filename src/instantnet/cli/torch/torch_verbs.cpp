// The list of verbs that need torch.
#include <torch/version.h>

#include "instantnet/cli/torch/verbs.h"
#include "instantnet/cli/verbs.h"

namespace instantnet::cli {

std::string torch_version() { return TORCH_VERSION; }

void add_torch_verbs(CLI::App& app) {
  add_pipeline(app);
  add_search(app);
  add_train(app);
  add_eval(app);
  add_freeze(app);
  add_import(app);
}

}  // namespace instantnet::cli
