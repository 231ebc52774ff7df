#include "instantnet/flow/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <set>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"

namespace instantnet::flow {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Paths = std::vector<std::pair<std::string, std::string>>;

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

/// "model.spnet" of "{out}/model.spnet"; other paths as they are.
std::string shown(const std::string& path) {
  const std::string inside = fmt::format("{}/", kFolderMark);
  return path.starts_with(inside) ? path.substr(inside.size()) : path;
}

const std::string* digest_in(const Paths& paths, const std::string& path) {
  for (const auto& [name, digest] : paths)
    if (name == path) return &digest;
  return nullptr;
}

/// All that happens in one call of run_flow.
class Flow {
 public:
  Flow(const std::vector<Stage>& stages, const FlowRequest& request, const Runner& runner,
       const Listener& listener)
      : stages_(stages),
        request_(request),
        runner_(runner),
        listener_(listener),
        record_(read_record(request.folder)) {
    record_.program = request.program;
    std::erase_if(record_.stages, [&](const StageRecord& one) {
      return std::none_of(stages.begin(), stages.end(),
                          [&](const Stage& stage) { return stage.name == one.name; });
    });
    range_ = {0, stages.size()};
    if (!request.from.empty()) range_.first = find_stages(stages, request.from, "--from").first;
    if (!request.to.empty()) range_.second = find_stages(stages, request.to, "--to").second;
    if (range_.first >= range_.second)
      fail("--from", fmt::format("{} comes after --to {}; nothing is left to run.", request.from,
                                 request.to));
  }

  FlowResult run() {
    FlowResult result;
    for (size_t i = 0; i < stages_.size(); ++i) {
      Step step = decide(i);
      listener_(i, stages_.size(), step, false);
      const bool runs = step.verdict == Verdict::Run || step.verdict == Verdict::Continued;
      if (runs || step.verdict == Verdict::Perhaps)
        remade_.insert(stages_[i].outputs.begin(), stages_[i].outputs.end());
      if (runs && !request_.dry_run) {
        result.code = run_stage(stages_[i], step);
        listener_(i, stages_.size(), step, true);
      }
      result.steps.push_back(step);
      if (result.code == 0) continue;
      result.failed = stages_[i].name;
      return result;
    }
    return result;
  }

 private:
  std::string place(const std::string& path) const { return in_folder(path, request_.folder); }

  Paths digests_of(const std::vector<std::string>& paths) {
    Paths all;
    for (const std::string& one : paths) all.emplace_back(one, digests_.of(place(one)));
    return all;
  }

  // ---- What has to be run

  Step decide(size_t i) {
    const Stage& stage = stages_[i];
    Step step;
    step.stage = stage.name;
    if (i >= range_.second) {
      step.verdict = Verdict::Beyond;
      return step;
    }
    const std::string because = reason(stage);
    const bool from_here = i >= range_.first && i < forced_end();
    if (i < range_.first) return before_the_first(step, because);
    if (request_.force)
      step.why = "--force";
    else if (!because.empty())
      step.why = because;
    else if (from_here && !request_.from.empty())
      step.why = "--from " + request_.from;
    if (step.why.empty()) return step;
    const StageRecord* before = record_.find(stage.name);
    const bool perhaps = waits_for_.has_value() && before != nullptr && before->done;
    step.verdict = perhaps               ? Verdict::Perhaps
                   : may_continue(stage) ? Verdict::Continued
                                         : Verdict::Run;
    return step;
  }

  /// One behind the stages that --from runs whatever their state.
  size_t forced_end() const {
    if (request_.from.empty()) return range_.first;
    return find_stages(stages_, request_.from, "--from").second;
  }

  Step before_the_first(Step step, const std::string& because) const {
    if (!because.empty())
      fail("--from", fmt::format("stage '{}' comes before {} and is not up to date ({}); begin "
                                 "there, or leave out --from.",
                                 step.stage, request_.from, because));
    return step;
  }

  /// Why the stage has to be run; empty when it has not.
  std::string reason(const Stage& stage) {
    waits_for_.reset();
    for (const std::string& one : stage.inputs)
      if (request_.dry_run && is_remade(one)) waits_for_ = one;
    const StageRecord* before = record_.find(stage.name);
    if (before == nullptr) return "never run";
    if (!before->done) return "not finished";
    if (waits_for_) return waiting();
    const Paths inputs = digests_of(stage.inputs);
    if (before->key != key_of(stage, request_.program, inputs))
      return what_changed(stage, *before, inputs);
    for (const std::string& one : stage.outputs) {
      const std::string* digest = digest_in(before->outputs, one);
      const std::string& now = digests_.of(place(one));
      if (now.empty()) return fmt::format("{} is not there", shown(one));
      if (digest == nullptr || *digest != now) return fmt::format("{} changed", shown(one));
    }
    return {};
  }

  bool is_remade(const std::string& path) const {
    return std::any_of(remade_.begin(), remade_.end(), [&](const std::string& one) {
      return path == one || path.starts_with(one + "/");
    });
  }

  std::string waiting() const { return fmt::format("{} is made before", shown(*waits_for_)); }

  std::string what_changed(const Stage& stage, const StageRecord& before,
                           const Paths& inputs) const {
    for (const auto& [path, digest] : inputs) {
      const std::string* old = digest_in(before.inputs, path);
      if (old != nullptr && *old != digest) return fmt::format("{} changed", shown(path));
    }
    if (before.command != stage.command) return "its command changed";
    return "its options or the program changed";
  }

  /// An interrupted stage of the same key, that can go on.
  bool may_continue(const Stage& stage) {
    const StageRecord* before = record_.find(stage.name);
    if (!request_.resume || stage.resume.empty() || before == nullptr || before->done) return false;
    return before->key == key_of(stage, request_.program, digests_of(stage.inputs));
  }

  // ---- One stage

  std::vector<std::string> command_of(const Stage& stage, bool continued) const {
    std::vector<std::string> words;
    for (const std::string& word : stage.command) words.push_back(place(word));
    words.insert(words.end(), stage.speed.begin(), stage.speed.end());
    for (const std::string& word : continued ? stage.resume : stage.afresh) words.push_back(word);
    return words;
  }

  void prepare(const Stage& stage) const {
    for (const auto& [path, text] : stage.configs) {
      make_folders(fs::path(place(path)).parent_path().string());
      write_file_atomic(place(path), text);
    }
    for (const std::string& one : stage.outputs)
      make_folders(fs::path(place(one)).parent_path().string());
  }

  void check_inputs(const Stage& stage) {
    for (const std::string& one : stage.inputs)
      if (digests_.of(place(one)).empty())
        fail(place(one), fmt::format("is not there; stage '{}' needs it.", stage.name));
  }

  /// The stage's exit code.
  int run_stage(const Stage& stage, Step& step) {
    const Clock::time_point began = Clock::now();
    check_inputs(stage);
    StageRecord entry;
    entry.name = stage.name;
    entry.command = stage.command;
    entry.inputs = digests_of(stage.inputs);
    entry.key = key_of(stage, request_.program, entry.inputs);
    record_.put(entry);
    write_record(record_, request_.folder);
    prepare(stage);
    const Ended ended =
        runner_(command_of(stage, step.verdict == Verdict::Continued), !stage.captured.empty());
    step.seconds = seconds_since(began);
    if (ended.code != 0) return ended.code;
    if (!stage.captured.empty()) write_file_atomic(place(stage.captured), ended.printed);
    for (const std::string& one : stage.outputs) digests_.forget(place(one));
    entry.outputs = digests_of(stage.outputs);
    for (const auto& [path, digest] : entry.outputs)
      if (digest.empty())
        bug(fmt::format("stage '{}' ended well and did not make {}.", stage.name, shown(path)));
    entry.done = true;
    entry.seconds = step.seconds;
    record_.put(entry);
    write_record(record_, request_.folder);
    return 0;
  }

  const std::vector<Stage>& stages_;
  const FlowRequest& request_;
  const Runner& runner_;
  const Listener& listener_;
  Record record_;
  Digests digests_;
  std::pair<size_t, size_t> range_;
  std::set<std::string> remade_;          // outputs of stages that ran or will run
  std::optional<std::string> waits_for_;  // in a dry run: an input that will be made anew
};

}  // namespace

std::string key_of(const Stage& stage, const std::string& program, const Paths& inputs) {
  std::string text = program + "\n";
  for (const std::string& word : stage.command) text += fmt::format("word {}\n", word);
  for (const auto& [path, config] : stage.configs)
    text += fmt::format("config {} {}\n", path, sha256(config));
  for (const auto& [path, digest] : inputs) text += fmt::format("input {} {}\n", path, digest);
  return sha256(text);
}

FlowResult run_flow(const std::vector<Stage>& stages, const FlowRequest& request,
                    const Runner& runner, const Listener& listener) {
  return Flow(stages, request, runner, listener).run();
}

}  // namespace instantnet::flow
