// The version, how the program was built, and the list of verbs that need no torch.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "instantnet/cli/build_facts.h"
#include "instantnet/cli/verbs.h"
#include "instantnet/core/tree.h"
#include "instantnet/runtime/kernel.h"

namespace instantnet::cli {
namespace {

std::vector<std::string> kernel_names() {
  std::vector<std::string> names;
  for (const runtime::Kernels* set : runtime::kernel_sets()) names.emplace_back(set->name());
  return names;
}

std::string about_json() {
  const BuildFacts facts = build_facts();
  Tree kernels = Tree::list();
  for (const std::string& name : kernel_names()) kernels.items.push_back(Tree::of(name));
  return print_json(
      Tree::map()
          .set("version", Tree::of(INSTANTNET_VERSION))
          .set("source", facts.source.empty() ? Tree() : Tree::of(facts.source))
          .set("compiler", Tree::of(facts.compiler))
          .set("build", Tree::of(facts.type))
          .set("processor", Tree::of(facts.processor))
          .set("libtorch", torch_version().empty() ? Tree() : Tree::of(torch_version()))
          .set("kernels", std::move(kernels)),
      2);
}

}  // namespace

std::string version_text() { return "instantnet " INSTANTNET_VERSION; }

std::string about_text(bool json) {
  if (json) return about_json();
  const BuildFacts facts = build_facts();
  const std::string torch = torch_version();
  return fmt::format("{}\nbuilt     by {}, {}, for {}{}{}\nlibtorch  {}\nkernels   {}",
                     version_text(), facts.compiler, facts.type, facts.processor,
                     facts.source.empty() ? "" : ", from ", facts.source,
                     torch.empty() ? "without torch" : torch, fmt::join(kernel_names(), ", "));
}

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
  add_completion(app);
  add_pages(app);
}

}  // namespace instantnet::cli
