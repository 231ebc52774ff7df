// The flow as a list of stages: each is one verb, the files it reads and the files it makes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "instantnet/flow/options.h"

namespace instantnet::flow {

/// Stands for the flow's folder in commands and paths, so that neither depends on where it lies.
inline constexpr const char* kFolderMark = "{out}";

/// One verb of the program. Paths that begin with kFolderMark lie in the flow's folder.
struct Stage {
  std::string name;                  // "map.eyeriss"; what stands before the dot is its group
  std::vector<std::string> command;  // without the program
  std::vector<std::string> speed;    // added; changes no byte of what is made
  std::vector<std::string> resume;   // added to go on with an interrupted one
  std::vector<std::string> afresh;   // added to begin anew
  std::string captured;              // a file for what it prints; empty: none
  std::vector<std::pair<std::string, std::string>> configs;  // files written for it, and their text
  std::vector<std::string> inputs;                           // files and folders it reads
  std::vector<std::string> outputs;                          // those it makes and that others read
};

/// In the order they run, each with this many threads.
std::vector<Stage> stages_of(const PipelineOptions& options, int threads);

/// What stands before the first dot: "map" of "map.eyeriss".
std::string group_of(const std::string& name);

/// Index of the first and one behind the last stage of that name or group. Error with what there
/// is.
std::pair<size_t, size_t> find_stages(const std::vector<Stage>& stages, const std::string& name,
                                      const std::string& where);

/// With the folder in place of its mark.
std::string in_folder(const std::string& path, const std::string& folder);

}  // namespace instantnet::flow
