// Writes what onnxruntime_test.mjs runs: make_exports FOLDER. For each case the exported files,
// images (raw u8, (n, c, h, w)), the first one's values by the reference, and cases.json with the
// reference's logits and classes.
#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <vector>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/interop/onnx_export.h"
#include "instantnet/net/zoo.h"
#include "instantnet/runtime/reference.h"
#include "runtime/random_model.h"

namespace instantnet {
namespace {

constexpr int kImages = 4;

std::string channels_first(const NetworkSpec& spec, const std::vector<uint8_t>& image) {
  std::string out;
  const auto pixels = static_cast<size_t>(spec.height * spec.width);
  const auto channels = static_cast<size_t>(spec.channels);
  for (size_t c = 0; c < channels; ++c)
    for (size_t i = 0; i < pixels; ++i) out += static_cast<char>(image[i * channels + c]);
  return out;
}

std::string width_json(const runtime::IntModel& model, const runtime::Source& source, int bits,
                       const std::vector<std::vector<uint8_t>>& images) {
  const runtime::Prepared prepared = runtime::prepare(source, {{bits, bits}});
  std::string logits;
  for (const auto& image : images)
    for (const float one : runtime::run_reference(source, prepared, image).logits)
      logits += fmt::format("{}{:.9g}", logits.empty() ? "" : ",", one);
  return fmt::format(R"({{"bits":{},"classes":{},"logits":[{}]}})", bits, model.spec.classes,
                     logits);
}

/// The first image's values (c, h, w) as little-endian int32, one form after the other.
void write_values(const std::string& path, const runtime::Source& source, int bits,
                  const std::vector<uint8_t>& image) {
  std::string bytes;
  for (const runtime::Traced& one :
       runtime::run_reference(source, runtime::prepare(source, {{bits, bits}}), image).tensors) {
    const auto channels = static_cast<size_t>(one.shape.channels);
    const size_t pixels = one.numbers.size() / channels;
    for (size_t c = 0; c < channels; ++c)
      for (size_t i = 0; i < pixels; ++i)
        bytes.append(reinterpret_cast<const char*>(&one.numbers[i * channels + c]), 4);
  }
  write_file_atomic(path, bytes);
}

/// Files whose every value is an output.
void write_open_files(const std::string& start, const runtime::IntModel& model,
                      const runtime::Source& source, int bits, const std::vector<uint8_t>& image) {
  using interop::OnnxFormat;
  constexpr auto kAll = interop::OnnxOutputs::AllValues;
  write_values(fmt::format("{}-{}.values", start, bits), source, bits, image);
  write_file_atomic(fmt::format("{}-qonnx-{}-open.onnx", start, bits),
                    interop::onnx_bytes(model, OnnxFormat::Qonnx, bits, kAll));
  if (bits <= 8)
    write_file_atomic(fmt::format("{}-qdq-{}-open.onnx", start, bits),
                      interop::onnx_bytes(model, OnnxFormat::Qdq, bits, kAll));
}

std::string write_case(const std::string& folder, const std::string& network, double sbm) {
  runtime::RandomModelOptions options;
  options.bits = {2, 4, 8, 12, 16};
  options.sbm = sbm;
  options.trained_inputs = true;
  const runtime::IntModel model = runtime::random_model(zoo_network(network), 5, options);
  const std::string name = fmt::format("{}-{}", network, sbm == 0 ? "nested" : "mixed");
  const runtime::Source source(model);
  std::vector<std::vector<uint8_t>> images;
  std::string bytes, widths;
  for (int i = 0; i < kImages; ++i) {
    images.push_back(runtime::random_image(model.spec, static_cast<uint64_t>(i) + 1));
    bytes += channels_first(model.spec, images.back());
  }
  write_file_atomic(folder + "/" + name + ".images", bytes);
  write_model(model, folder + "/" + name + ".spnet");
  for (const int bits : model.bits) {
    if (bits <= 8)
      write_file_atomic(fmt::format("{}/{}-qdq-{}.onnx", folder, name, bits),
                        interop::onnx_bytes(model, interop::OnnxFormat::Qdq, bits));
    write_file_atomic(fmt::format("{}/{}-qonnx-{}.onnx", folder, name, bits),
                      interop::onnx_bytes(model, interop::OnnxFormat::Qonnx, bits));
    write_open_files(folder + "/" + name, model, source, bits, images.front());
    widths += (widths.empty() ? "" : ",") + width_json(model, source, bits, images);
  }
  write_file_atomic(fmt::format("{}/{}-switchable.onnx", folder, name),
                    interop::onnx_bytes(model, interop::OnnxFormat::Switchable, 0));
  write_file_atomic(fmt::format("{}/{}-switchable-open.onnx", folder, name),
                    interop::onnx_bytes(model, interop::OnnxFormat::Switchable, 0,
                                        interop::OnnxOutputs::AllValues));
  return fmt::format(R"({{"name":"{}","images":{},"shape":[{},{},{}],"widths":[{}]}})", name,
                     kImages, model.spec.channels, model.spec.height, model.spec.width, widths);
}

void write_cases(const std::string& folder) {
  std::string all;
  for (const char* network : {"resnet8", "resnet20"})
    for (const double sbm : {0.0, 0.5})
      all += (all.empty() ? "" : ",\n") + write_case(folder, network, sbm);
  write_file_atomic(folder + "/cases.json", "[" + all + "]\n");
}

}  // namespace
}  // namespace instantnet

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    instantnet::write_cases(argv[1]);
    return 0;
  } catch (const instantnet::Error& error) {
    std::fprintf(stderr, "make_exports: %s\n", error.what());
    return 1;
  }
}
