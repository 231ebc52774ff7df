// The list of verbs that need torch.
#include "instantnet/cli/torch/verbs.h"
#include "instantnet/cli/verbs.h"

namespace instantnet::cli {

void add_torch_verbs(CLI::App& app) {
  add_pipeline(app);
  add_search(app);
  add_train(app);
  add_eval(app);
  add_freeze(app);
  add_import(app);
}

}  // namespace instantnet::cli
