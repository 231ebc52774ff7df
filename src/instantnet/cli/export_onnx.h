// The ONNX formats of `instantnet export`.
#pragma once

#include <string>
#include <vector>

namespace instantnet::cli {

std::vector<std::string> onnx_formats();
std::string onnx_formats_help();
bool is_onnx_format(const std::string& name);
/// `bits` 0: not given.
void export_onnx(const std::string& model, const std::string& format, int bits,
                 const std::string& file);

}  // namespace instantnet::cli
