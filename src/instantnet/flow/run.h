// Runs the stages of a flow that have to be: those whose command, configs or inputs changed, and
// those whose outputs are not what they were.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "instantnet/flow/digest.h"
#include "instantnet/flow/record.h"
#include "instantnet/flow/stages.h"

namespace instantnet::flow {

/// What becomes of a stage.
enum class Verdict {
  UpToDate,   // not run
  Run,        // from its beginning
  Continued,  // from where it was interrupted
  Perhaps,    // in a dry run: depends on what an earlier stage will make
  Beyond,     // outside --from and --to
};

struct Step {
  std::string stage;
  Verdict verdict = Verdict::UpToDate;
  std::string why;     // one clause: "never run", "model.spnet changed"
  double seconds = 0;  // this time
};

/// What happened to a process. `code` is its exit code, 128 + the signal's number for a signal.
struct Ended {
  int code = 0;
  std::string printed;  // standard output
};
/// Runs the program with these arguments; `quiet`: its standard output is handed back rather than
/// shown.
using Runner = std::function<Ended(const std::vector<std::string>& command, bool quiet)>;
/// Told before each stage, and after each that ran: number (from 0), of how many, and the step.
using Listener = std::function<void(size_t number, size_t of, const Step& step, bool ended)>;

struct FlowRequest {
  std::string folder;    // of the flow
  std::string program;   // with its version, part of every key
  std::string from, to;  // stages or groups; empty: the first, the last
  bool resume = false;   // go on with an interrupted stage
  bool force = false;    // run all, up to date or not
  bool dry_run = false;  // only tell
};

struct FlowResult {
  std::vector<Step> steps;
  int code = 0;        // of the stage that failed
  std::string failed;  // its name; empty: none
};

/// Digest of all that decides what a stage makes.
std::string key_of(const Stage& stage, const std::string& program,
                   const std::vector<std::pair<std::string, std::string>>& inputs);

/// Error when a stage before `from` is not up to date, or when a stage ended well without what it
/// should have made.
FlowResult run_flow(const std::vector<Stage>& stages, const FlowRequest& request,
                    const Runner& runner, const Listener& listener);

}  // namespace instantnet::flow
