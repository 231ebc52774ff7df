// Runs this program once more, as a process of its own, for one verb.
#pragma once

#include <string>
#include <vector>

#include "instantnet/flow/run.h"

namespace instantnet::cli {

/// Where the process's standard output goes.
enum class Output {
  Shown,     // to ours
  AsNotes,   // to our standard error: ours is kept for a result
  Captured,  // handed back
};

/// Waits for the end. Standard error is ours. The process does not outlive this one, whatever ends
/// it; SIGTERM is handed on, and Ctrl-C, which a terminal sends to both, is left to it.
flow::Ended run_this_program(const std::vector<std::string>& arguments, Output output);

}  // namespace instantnet::cli
