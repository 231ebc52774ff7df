#include "instantnet/cli/export_onnx.h"

#include <fmt/format.h>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/interop/onnx_export.h"

namespace instantnet::cli {
namespace {

struct OnnxFormatName {
  std::string name, sentence;
  interop::OnnxFormat format;
};

const std::vector<OnnxFormatName>& names() {
  static const std::vector<OnnxFormatName> all = {
      {"qdq", "of a model.spnet: ONNX with quantize and dequantize nodes, --bits up to 8",
       interop::OnnxFormat::Qdq},
      {"qonnx", "of a model.spnet: ONNX with IntQuant nodes, at --bits",
       interop::OnnxFormat::Qonnx},
      {"switchable-onnx", "of a model.spnet: ONNX whose input 'width' chooses the bit-width",
       interop::OnnxFormat::Switchable}};
  return all;
}

}  // namespace

std::vector<std::string> onnx_formats() {
  std::vector<std::string> all;
  for (const OnnxFormatName& one : names()) all.push_back(one.name);
  return all;
}

std::string onnx_formats_help() {
  std::string text;
  for (const OnnxFormatName& one : names())
    text += fmt::format("  {}: {}\n", one.name, one.sentence);
  return text;
}

bool is_onnx_format(const std::string& name) {
  for (const OnnxFormatName& one : names())
    if (one.name == name) return true;
  return false;
}

void export_onnx(const std::string& model, const std::string& format, int bits,
                 const std::string& file) {
  for (const OnnxFormatName& one : names()) {
    if (one.name != format) continue;
    const bool switchable = one.format == interop::OnnxFormat::Switchable;
    if (switchable && bits != 0)
      fail("export --bits", "switchable-onnx holds all widths; leave it out.");
    if (!switchable && bits == 0)
      fail("export --bits",
           fmt::format("{} holds one width; give it, for example --bits 8.", format));
    return write_file_atomic(file,
                             interop::onnx_bytes(runtime::read_model(model), one.format, bits));
  }
}

}  // namespace instantnet::cli
