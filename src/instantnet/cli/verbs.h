// The verbs of the program, one file each. Each function adds its subcommand with a callback that
// parses into an options struct, calls one library function and prints.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace instantnet::cli {

/// "instantnet 0.1.0"
std::string version_text();
/// What --version prints: the version and how the program was built; as JSON with `json`.
std::string about_text(bool json);
/// Of libtorch's headers; empty in a program without it.
std::string torch_version();

/// `instantnet zoo`: the networks.
void add_zoo(CLI::App& app);
void add_accelerators(CLI::App& app);
void add_cost(CLI::App& app);
void add_map(CLI::App& app);
void add_export(CLI::App& app);
/// `instantnet data check`: recognises, counts and verifies a data set.
void add_data(CLI::App& app);
/// `instantnet inspect`: what a frozen network holds.
void add_inspect(CLI::App& app);
/// `instantnet infer`: a frozen network on an image or a data set.
void add_infer(CLI::App& app);
/// `instantnet bench`: latency and switches of a frozen network.
void add_bench(CLI::App& app);
/// `instantnet bundle`, `verify`, `run`: the deploy folder.
void add_bundle(CLI::App& app);
void add_verify(CLI::App& app);
void add_run(CLI::App& app);
/// `instantnet report`: a page about all of it.
void add_report(CLI::App& app);
/// `instantnet completion`: for bash and zsh.
void add_completion(CLI::App& app);
/// `instantnet pages`: the manual and the reference, for builds; not listed.
void add_pages(CLI::App& app);

/// All verbs that need no torch.
void add_torch_free_verbs(CLI::App& app);
/// search, train, eval, freeze, import; without torch, verbs that say how to get them.
void add_torch_verbs(CLI::App& app);

}  // namespace instantnet::cli
