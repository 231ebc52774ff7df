// A flow of toy stages: each concatenates its inputs behind its own name.
#pragma once

#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/helpers.h"
#include "instantnet/core/file.h"
#include "instantnet/flow/run.h"

namespace instantnet::flow {

inline Stage toy_stage(const std::string& name, const std::vector<std::string>& inputs) {
  Stage stage;
  stage.name = name;
  stage.command = {name, "--make"};
  stage.resume = {"--resume"};
  stage.afresh = {"--force"};
  stage.inputs = inputs;
  stage.outputs = {"{out}/" + name};
  return stage;
}

/// given -> a -> b -> d, a -> c -> d.
inline std::vector<Stage> diamond(const std::string& given) {
  return {toy_stage("a", {given}), toy_stage("b", {"{out}/a"}), toy_stage("c", {"{out}/a"}),
          toy_stage("d", {"{out}/b", "{out}/c"})};
}

/// Stands for a process that is killed.
struct Killed : std::runtime_error {
  Killed() : std::runtime_error("killed") {}
};

/// Runs toy stages and notes what it was asked for.
class ToyProgram {
 public:
  ToyProgram(std::vector<Stage> stages, std::string folder)
      : stages_(std::move(stages)), folder_(std::move(folder)) {}

  Ended operator()(const std::vector<std::string>& command, bool) {
    ran.push_back(command.front());
    resumed.push_back(command.back() == "--resume");
    if (fails_in == command.front()) return {2, ""};
    for (const Stage& stage : stages_)
      if (stage.name == command.front()) make(stage);
    return {0, ""};
  }

  std::vector<std::string> ran;
  std::vector<bool> resumed;
  std::string fails_in;
  int killed_after = -1;  // writes; -1: never

 private:
  void make(const Stage& stage) {
    std::string text = stage.name + "(";
    for (const std::string& one : stage.inputs) text += test::slurp(in_folder(one, folder_));
    step();
    // Half-written first, as a careless program would.
    const std::string path = in_folder(stage.outputs[0], folder_);
    write_file_atomic(path, text);
    step();
    write_file_atomic(path, text + ")");
    step();
  }
  void step() {
    if (killed_after == 0) throw Killed();
    if (killed_after > 0) --killed_after;
  }

  std::vector<Stage> stages_;
  std::string folder_;
};

}  // namespace instantnet::flow
