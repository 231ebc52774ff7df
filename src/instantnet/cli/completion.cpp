// `instantnet completion SHELL`, and `instantnet pages man|reference`, which the build calls.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "instantnet/cli/command_table.h"
#include "instantnet/cli/completion_text.h"
#include "instantnet/cli/print.h"
#include "instantnet/cli/verbs.h"
#include "instantnet/core/error.h"
#include "instantnet/core/file.h"

namespace instantnet::cli {
namespace {

constexpr const char* kInstalling =
    "Packages and 'cmake --install' put both where the shells look. By hand:\n\n"
    "  instantnet completion bash > ~/.local/share/bash-completion/completions/instantnet\n"
    "  instantnet completion zsh > DIR/_instantnet    # DIR of $fpath, before compinit\n\n"
    "or for one session: source <(instantnet completion bash)";

void completion_verb(const CLI::App& app, const std::string& shell) {
  if (shell != "bash" && shell != "zsh")
    fail("completion", "'" + shell + "' is unknown" + suggestion(shell, {"bash", "zsh"}));
  const Command program = command_table(app);
  print_text(shell == "bash" ? bash_completion(program) : zsh_completion(program));
}

/// Replaces the pages in the folder; other files there are left alone.
void write_reference(const Command& program, const std::string& folder) {
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);  // writing tells what is wrong
  for (const auto& [name, text] : reference_pages(program))
    write_file_atomic(folder + "/" + name, text);
}

void pages_verb(const CLI::App& app, const std::string& kind, const std::string& folder) {
  const Command program = command_table(app);
  if (kind == "man") return print_text(manual_page(program, version_text()));
  if (kind != "reference")
    fail("pages", "'" + kind + "' is unknown" + suggestion(kind, {"man", "reference"}));
  if (folder.empty()) fail("pages", "the reference is a folder of pages; give one with -o.");
  write_reference(program, folder);
}

}  // namespace

void add_completion(CLI::App& app) {
  const auto shell = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("completion", "Print the completion for a shell");
  verb->add_option("SHELL", *shell, "bash|zsh: whose")->required();
  verb->footer(kInstalling);
  verb->callback([&app, shell] { completion_verb(app, *shell); });
}

void add_pages(CLI::App& app) {
  const auto kind = std::make_shared<std::string>(), folder = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("pages", "Print the manual, or write the reference pages");
  verb->add_option("KIND", *kind, "man|reference: which")->required();
  verb->add_option("-o,--out", *folder, "Folder for the reference");
  verb->callback([&app, kind, folder] { pages_verb(app, *kind, *folder); });
  verb->group("");  // for builds, not for users
}

}  // namespace instantnet::cli
