// One step of cascade distillation training on the authors' network (operator k3_e3 in all 22
// cells, batch 64, bits 4,8,12,16,32, 32 x 32 images, 100 classes): the fused kernels against the
// plain tensor operations in the authors' contiguous layout, the same mathematics, in one run.
//
//   bench_cdt_step [steps] [threads] [operator] [quantizer]      5 1 k3_e3 sbm
//   bench_cdt_step STEPS THREADS OPERATOR QUANTIZER fused        that arm alone, in this process,
//   for a profiler
//
// Each arm runs in a process of its own, so that its peak memory can be told; steps alternate
// between arms by running the arms twice. Prints the least time of a step: processor time with one
// thread, time on the clock with several.
#include <fmt/core.h>
#include <malloc.h>
#include <time.h>
#include <torch/torch.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "instantnet/core/error.h"
#include "instantnet/net/zoo.h"
#include "instantnet/nn/executor.h"
#include "own_process.h"

namespace {

using namespace instantnet;

/// Processor time of all threads: what other programs do on the machine at the same time does not
/// count.
double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constexpr int64_t kBatch = 64;

struct Arm {
  const char* name;
  bool fused;
  nn::Layout layout;
};

using bench::Measured;

nn::ModelOptions options_of(const Arm& arm, const std::string& quantizer) {
  nn::ModelOptions options;
  for (const auto& [kind, name] : quant::names_of(quant::Kind{}))
    if (name == quantizer) options.quant.kind = kind;
  options.layout = arm.layout;
  return options;
}

void step(nn::SwitchableModel& model, nn::Executor& executor, torch::optim::SGD& sgd,
          const at::Tensor& images, const at::Tensor& labels) {
  sgd.zero_grad();
  executor.begin(images);
  std::vector<at::Tensor> teachers;
  for (auto bits = model.bits().rbegin(); bits != model.bits().rend(); ++bits) {
    at::Tensor logits = executor.forward(*bits, nn::Mode::Train).detach().requires_grad_();
    at::Tensor loss = at::cross_entropy_loss(logits, labels);
    for (const at::Tensor& teacher : teachers) loss = loss + at::mse_loss(logits, teacher);
    loss.backward();
    executor.backward(logits.grad());
    teachers.push_back(logits.detach());
  }
  executor.finish();
  sgd.step();
}

Measured measure(const Arm& arm, int steps, int threads, const std::string& operation,
                 const std::string& quantizer) {
  at::set_num_threads(threads);
  // As the program does at its start: large tensors are reused, not mapped anew.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  nn::SwitchableModel model(space_network({operation}), {4, 8, 12, 16, 32},
                            options_of(arm, quantizer), 1);
  const auto executor =
      arm.fused ? nn::make_fused_executor(model, threads) : nn::make_plain_executor(model, threads);
  if (!executor)
    fail("bench", "this build has no fused kernels; install libdnnl-dev and build again.");
  std::vector<at::Tensor> parameters;
  for (const nn::Named& parameter : model.parameters()) parameters.push_back(parameter.tensor);
  torch::optim::SGD sgd(parameters,
                        torch::optim::SGDOptions(0.025).momentum(0.9).weight_decay(5e-4));
  torch::manual_seed(1);
  const at::Tensor images = at::randn({kBatch, 3, 32, 32});
  const at::Tensor labels = at::randint(0, 100, {kBatch}, at::kLong);
  Measured measured;
  for (int i = 0; i <= steps; ++i) {
    const auto clock = threads == 1 ? processor_seconds : wall_seconds;
    const double start = clock();
    step(model, *executor, sgd, images, labels);
    if (i > 0)
      measured.seconds = std::min(measured.seconds, clock() - start);  // the first warms up
  }
  return measured;
}

}  // namespace

int main(int argc, char** argv) {
  const int steps = argc > 1 ? std::atoi(argv[1]) : 5;
  const int threads = argc > 2 ? std::atoi(argv[2]) : 1;
  const std::string operation = argc > 3 ? argv[3] : "k3_e3";
  const std::string quantizer = argc > 4 ? argv[4] : "sbm";
  const std::array<Arm, 3> arms = {{{"plain, contiguous", false, nn::Layout::Contiguous},
                                    {"plain, channels-last", false, nn::Layout::ChannelsLast},
                                    {"fused", true, nn::Layout::ChannelsLast}}};
  try {
    if (argc > 5) {
      const auto chosen = std::find_if(arms.begin(), arms.end(), [&](const Arm& arm) {
        return std::string(argv[5]) == arm.name;
      });
      if (chosen == arms.end()) fail("bench", fmt::format("there is no arm '{}'.", argv[5]));
      fmt::print("{:.3f} s\n", measure(*chosen, steps, threads, operation, quantizer).seconds);
      return 0;
    }
    std::array<Measured, 3> best{};
    for (int round = 0; round < 2; ++round)
      for (size_t i = 0; i < arms.size(); ++i) {
        const Measured now = bench::in_a_process(
            arms[i].name, [&] { return measure(arms[i], steps, threads, operation, quantizer); });
        best[i].seconds = std::min(best[i].seconds, now.seconds);
        best[i].megabytes = std::max(best[i].megabytes, now.megabytes);
      }
    fmt::print("CDT step, {} x 22, batch {}, bits 4,8,12,16,32, {} thread(s), {}\n", operation,
               kBatch, threads, quantizer);
    fmt::print("{:<22} {:>9} {:>8} {:>9} {:>8}\n", "arm", "seconds", "speed", "MiB", "memory");
    for (size_t i = 0; i < arms.size(); ++i)
      fmt::print("{:<22} {:>9.3f} {:>7.2f}x {:>9.0f} {:>7.2f}x\n", arms[i].name, best[i].seconds,
                 best[0].seconds / best[i].seconds, best[i].megabytes,
                 best[i].megabytes / best[0].megabytes);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_cdt_step: {}\n", error.what());
    return 2;
  }
  return 0;
}
