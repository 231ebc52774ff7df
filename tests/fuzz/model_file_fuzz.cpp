// libFuzzer harness of the model file's loader: bytes -> model -> prepared at its lowest and
// highest width -> one image. An Error is the right answer to a bad file; a crash, a hang or a
// sanitizer's complaint is not.
//
// Mutations keep the container whole most of the time (digests are made anew), so that what stands
// in the sections is reached.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "instantnet/core/error.h"
#include "instantnet/core/rng.h"
#include "instantnet/runtime/model_file.h"
#include "instantnet/runtime/reference.h"
#include "instantnet/runtime/session.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most);

namespace {

using instantnet::Error;
using instantnet::Precision;
using namespace instantnet::runtime;  // NOLINT: this file is that room's guest

/// Small enough to run.
bool is_small(const IntModel& model) {
  const Graph graph(model.spec);
  int64_t work = 0;
  for (const GraphLayer& layer : graph.layers) {
    if (layer.loops.macs() > 1000000) return false;
    work += layer.loops.macs();
  }
  for (const auto& shape : graph.shapes) {
    const int64_t values = shape.channels * shape.height * shape.width;
    if (values > 1000000) return false;
    work += values;
  }
  for (const auto& node : model.spec.nodes)
    if (node.kernel > 64 || node.padding > 64) return false;
  return work < 2000000;
}

void run_at(const std::shared_ptr<const Model>& model, int bits) {
  Session session(model);
  session.set_precision({bits, bits});
  const auto& spec = model->integers().spec;
  std::vector<uint8_t> image(static_cast<size_t>(spec.channels * spec.height * spec.width));
  for (size_t i = 0; i < image.size(); ++i) image[i] = static_cast<uint8_t>(i * 37);
  session.run(image);
  if (bits == 32) return;
  const Source source(model->integers());
  const Trace trace = run_reference(source, prepare(source, {{bits, bits}}), image);
  if (!std::equal(trace.logits.begin(), trace.logits.end(), session.logits().begin()))
    __builtin_trap();  // the session and the reference differ
}

void try_bytes(std::string_view bytes) {
  const IntModel integers = parse_model(bytes, "fuzz");
  if (print_model(integers) != bytes) __builtin_trap();  // reading lost something
  if (!is_small(integers)) return;
  const auto model = std::make_shared<const Model>(integers);
  run_at(model, integers.bits.front());
  run_at(model, integers.bits.back());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    try_bytes({reinterpret_cast<const char*>(data), size});
  } catch (const Error&) {
    // The file was refused.
  }
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned seed) {
  instantnet::Rng rng(seed);
  if (rng.flip(0.1)) return LLVMFuzzerMutate(data, size, most);
  std::vector<Section> sections;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    for (const FileSection& section : parse_sections(bytes, "fuzz"))
      sections.push_back({section.name, std::string(bytes.substr(section.offset, section.bytes))});
  } catch (const Error&) {
    return LLVMFuzzerMutate(data, size, most);
  }
  if (sections.empty()) return LLVMFuzzerMutate(data, size, most);
  std::string& chosen = sections[rng.below(sections.size())].bytes;
  const size_t room = chosen.size() + 64;
  std::vector<uint8_t> mutated(chosen.begin(), chosen.end());
  mutated.resize(room);
  chosen.assign(reinterpret_cast<const char*>(mutated.data()),
                LLVMFuzzerMutate(mutated.data(), chosen.size(), room));
  const std::string made = print_container(sections);
  if (made.size() > most) return LLVMFuzzerMutate(data, size, most);
  std::memcpy(data, made.data(), made.size());
  return made.size();
}
