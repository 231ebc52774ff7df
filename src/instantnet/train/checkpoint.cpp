#include "instantnet/train/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "instantnet/core/config.h"
#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/format.h"
#include "instantnet/net/precision.h"
#include "instantnet/train/tensor_file.h"

namespace instantnet::train {
namespace {

constexpr Format kFormat = {"a checkpoint", "train again", 1, kCheckpointVersion};

constexpr const char* kAbout = "checkpoint.yaml";
constexpr const char* kNetwork = "network.yaml";
constexpr const char* kWeights = "weights.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr const char* kDigests = "digests.txt";

using FileBytes = std::map<std::string, std::string>;  // name -> bytes

Fields fields(RunState& state) {
  return Fields()
      .add("phase", state.phase, "Phase of the run.")
      .add("epoch", state.epoch, "Epochs finished in the phase.", {.least = 0})
      .add("step", state.step, "Minibatches finished in the phase.", {.least = 0})
      .add("total_steps", state.total_steps, "Minibatches finished in the run.", {.least = 0})
      .add("best_score", state.best_score, "Mean accuracy that \"best\" was chosen by.")
      .add("best_epoch", state.best_epoch, "Epoch of it.")
      .add("log_bytes", state.log_bytes, "Length of run.jsonl.", {.least = 0})
      .add("event_bytes", state.event_bytes, "Length of the event file.", {.least = 0});
}

Tree about(const Checkpoint& checkpoint) {
  nn::ModelOptions model_options = checkpoint.model_options;
  RunState state = checkpoint.state;
  Tree bits = Tree::list();
  for (const int one : checkpoint.bits) bits.items.push_back(Tree::of(one));
  return Tree::map()
      .set("version", Tree::of(kCheckpointVersion))
      .set("bits", std::move(bits))
      .set("classes", Tree::of(checkpoint.spec.classes))
      .set("model", to_tree(nn::fields(model_options)))
      .set("run", checkpoint.run_options)
      .set("state", to_tree(fields(state)));
}

FileBytes files_of(const Checkpoint& checkpoint) {
  FileBytes files;
  files[kAbout] = print_yaml(about(checkpoint));
  files[kNetwork] = print_yaml(to_tree(checkpoint.spec));
  files[kWeights] = tensors_to_bytes(checkpoint.weights);
  if (!checkpoint.optimizer.empty()) files[kOptimizer] = tensors_to_bytes(checkpoint.optimizer);
  return files;
}

std::string digest_line(std::string_view bytes, std::string_view name) {
  return fmt::format("{}  {}\n", sha256(bytes), name);
}

/// A line a file as the program sha256sum prints them, then one of the lines before.
std::string digests_of(const FileBytes& files) {
  std::string text;
  for (const auto& [name, bytes] : files) text += digest_line(bytes, name);
  return text + digest_line(text, kDigests);
}

std::string in(const std::string& folder, const std::string& name) { return folder + "/" + name; }

/// File name -> digest, of a digests.txt that is whole.
std::map<std::string, std::string> read_digests(const std::string& folder) {
  const std::string path = in(folder, kDigests);
  const std::string text = read_file(path, 1 << 16);
  const size_t last = text.size() < 2 ? std::string::npos : text.rfind('\n', text.size() - 2);
  const std::string before = last == std::string::npos ? "" : text.substr(0, last + 1);
  if (text.substr(before.size()) != digest_line(before, kDigests))
    fail(
        path,
        "is damaged: its last line is not the digest of the lines before; use another checkpoint.");
  std::map<std::string, std::string> digests;
  constexpr size_t kHex = 64;
  for (size_t at = 0; at < before.size();) {
    const size_t end = before.find('\n', at);
    if (end < at + kHex + 3) fail(path, "has a line that is not 'digest  name'.");
    digests[before.substr(at + kHex + 2, end - at - kHex - 2)] = before.substr(at, kHex);
    at = end + 1;
  }
  return digests;
}

/// All files, each with the digest it should have. Only known names are opened.
FileBytes read_files(const std::string& folder) {
  const std::map<std::string, std::string> digests = read_digests(folder);
  FileBytes files;
  for (const char* name : {kAbout, kNetwork, kWeights, kOptimizer}) {
    const auto found = digests.find(name);
    if (found == digests.end() && name == std::string_view(kOptimizer)) continue;
    if (found == digests.end())
      fail(in(folder, kDigests), fmt::format("has no digest of {}.", name));
    files[name] = read_file(in(folder, name));
    const std::string digest = sha256(files[name]);
    if (digest != found->second)
      fail(in(folder, name),
           fmt::format("is damaged: its SHA-256 is {}..., digests.txt says {}...; use another "
                       "checkpoint.",
                       digest.substr(0, 12), found->second.substr(0, 12)));
  }
  return files;
}

const Tree& entry(const Tree& map, const char* key) {
  const Tree* found = map.find(key);
  if (found == nullptr) fail(map.where(), fmt::format("has no '{}'.", key));
  return *found;
}

std::vector<int> read_bits(const Tree& tree) {
  std::vector<int> bits;
  if (tree.kind != Tree::Kind::List)
    fail(tree.where(), fmt::format("bits is {}; give a list.", tree.given()));
  for (const Tree& one : tree.items)
    bits.push_back(static_cast<int>(std::clamp<int64_t>(one.as_int(), 0, 1000)));
  check_bits(bits, tree.where());
  return bits;
}

void read_about(const Tree& tree, Checkpoint& checkpoint) {
  if (tree.kind != Tree::Kind::Map) fail(tree.where(), "is not a map.");
  entry(tree, "version");  // checkpoints always had one
  read_version(kFormat, tree);
  checkpoint.bits = read_bits(entry(tree, "bits"));
  read_fields(nn::fields(checkpoint.model_options), entry(tree, "model"));
  checkpoint.run_options = entry(tree, "run");
  read_fields(fields(checkpoint.state), entry(tree, "state"));
  const Tree& classes = entry(tree, "classes");
  if (classes.as_int() != checkpoint.spec.classes)
    fail(classes.where(), fmt::format("classes is {}, but {} has {}.", classes.as_int(), kNetwork,
                                      checkpoint.spec.classes));
}

/// "there is no folder", "is a file", "is no checkpoint".
void check_folder(const std::string& folder) {
  std::error_code ignored;
  if (!std::filesystem::exists(folder, ignored))
    fail(folder, "there is no such checkpoint folder.");
  if (!std::filesystem::is_directory(folder, ignored))
    fail(folder, "is a file; give the folder of a checkpoint.");
  for (const char* part : {"best", "last"})
    if (std::filesystem::exists(in(in(folder, part), kDigests), ignored))
      fail(folder, fmt::format("is a run and no checkpoint; give {}.", in(folder, part)));
  if (!std::filesystem::exists(in(folder, kDigests), ignored))
    fail(folder, fmt::format("is no checkpoint: it has no {}.", kDigests));
}

}  // namespace

void save_checkpoint(const Checkpoint& checkpoint, const std::string& folder) {
  const FileBytes files = files_of(checkpoint);
  write_folder_atomic(folder, [&](const std::string& fresh) {
    for (const auto& [name, bytes] : files) write_file_atomic(in(fresh, name), bytes);
    write_file_atomic(in(fresh, kDigests), digests_of(files));
  });
}

Checkpoint load_checkpoint(const std::string& folder) {
  recover_folder(folder);
  check_folder(folder);
  const FileBytes files = read_files(folder);
  Checkpoint checkpoint;
  checkpoint.spec = network_from_tree(parse_yaml(files.at(kNetwork), in(folder, kNetwork)));
  read_about(parse_yaml(files.at(kAbout), in(folder, kAbout)), checkpoint);
  checkpoint.weights = tensors_from_bytes(files.at(kWeights), in(folder, kWeights));
  if (files.contains(kOptimizer))
    checkpoint.optimizer = tensors_from_bytes(files.at(kOptimizer), in(folder, kOptimizer));
  return checkpoint;
}

nn::SwitchableModel make_model(const Checkpoint& checkpoint) {
  nn::SwitchableModel model(checkpoint.spec, checkpoint.bits, checkpoint.model_options, /*seed=*/0);
  model.load(checkpoint.weights, kWeights);
  return model;
}

}  // namespace instantnet::train
