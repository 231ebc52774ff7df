// Shell completions, manual and reference pages as text, from the table of commands.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "instantnet/cli/command_table.h"

namespace instantnet::cli {

/// A script for bash 4.2 or later that completes verbs, options and their values.
std::string bash_completion(const Command& program);

/// A function for zsh's completion system, named _instantnet.
std::string zsh_completion(const Command& program);

/// instantnet(1) in the man macros.
std::string manual_page(const Command& program, const std::string& version);

/// docs/reference: file names and texts, a page for each verb and commands.md for the overview.
std::vector<std::pair<std::string, std::string>> reference_pages(const Command& program);

}  // namespace instantnet::cli
