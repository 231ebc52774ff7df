// The HLS format of `instantnet export`.
#pragma once

#include <string>

namespace instantnet::cli {

struct HlsVerbOptions {
  std::string model, plan, folder;
  int bits = 0;    // 0: all
  int images = 0;  // 0: the default
  bool force = false, json = false;
};

/// Writes the folder and prints what is in it.
void export_hls(const HlsVerbOptions& verb);

}  // namespace instantnet::cli
