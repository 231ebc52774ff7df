// Stands in for fused.cpp where oneDNN's headers are missing.
#include "instantnet/nn/executor.h"

namespace instantnet::nn {

std::unique_ptr<Executor> make_fused_executor(SwitchableModel&, int, std::string* why) {
  if (why)
    *why = "this build has no fused kernels; build with oneDNN's headers (Debian: libdnnl-dev).";
  return nullptr;
}

}  // namespace instantnet::nn
