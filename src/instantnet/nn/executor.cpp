#include "instantnet/nn/executor.h"

#include "instantnet/core/error.h"

namespace instantnet::nn {

std::unique_ptr<Executor> make_executor(SwitchableModel& model, int threads) {
  if (threads < 1) fail("threads", "is " + std::to_string(threads) + "; give at least 1.");
  const Kernels kernels = model.options().kernels;
  const bool contiguous = model.options().layout == Layout::Contiguous;
  if (contiguous && kernels == Kernels::Fused)
    fail("model.layout", "contiguous needs plain kernels; give model.kernels: plain.");
  if (kernels == Kernels::Plain || contiguous) return make_plain_executor(model, threads);
  std::string why;
  std::unique_ptr<Executor> fused = make_fused_executor(model, threads, &why);
  if (fused) return fused;
  if (kernels == Kernels::Fused)
    fail("model.kernels", "fused cannot run this model: " + why + " Use auto or plain.");
  return make_plain_executor(model, threads);
}

}  // namespace instantnet::nn
