// One step of a search in the authors' space (22 cells of 9 operators, batch 16, bits
// 4,8,12,16,32, 32x32 images, 100 classes): the architecture's pass at 4 bits with an Adam step on
// cross-entropy and cost, then the cascade at all bit-widths with a step of SGD. All operators
// weighted (soft), by plain tensor operations in the authors' contiguous layout and by the fused
// kernels, the same mathematics; and with one operator a cell (single).
//
//   bench_nas_step [steps] [batch]                 3 16
//   bench_nas_step STEPS BATCH "soft, fused"       that arm alone, in this process, for a profiler
//
// Each arm runs in a process of its own, so that its peak memory can be told. Prints the least
// processor time of a step, one thread.
#include <fmt/core.h>
#include <malloc.h>
#include <time.h>
#include <torch/torch.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "instantnet/core/error.h"
#include "instantnet/nas/alphas.h"
#include "instantnet/nas/cost.h"
#include "instantnet/nas/mixture.h"
#include "instantnet/nn/authors.h"
#include "instantnet/nn/executor.h"
#include "instantnet/train/loss.h"
#include "instantnet/train/minibatch.h"
#include "own_process.h"

namespace {

using namespace instantnet;

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Arm {
  const char* name;
  bool fused, soft;
};

using bench::Measured;

/// What the authors' search does in one iteration.
class Step {
 public:
  Step(const Arm& arm, int64_t batch)
      : arm_(arm),
        supernet_(supernet_of({}, {})),
        table_(nas::price_space(
            {}, {}, 4,
            [](const LayerShape& shape, Precision) { return static_cast<double>(shape.macs()); })),
        model_(supernet_.network, {4, 8, 12, 16, 32}, options_of(arm), 1),
        executor_(arm.fused ? nn::make_fused_executor(model_, 1)
                            : nn::make_plain_executor(model_, 1)),
        alpha_(22, std::vector<double>(9, 1e-3)) {
    if (!executor_)
      fail("bench", "this build has no fused kernels; install libdnnl-dev and build again.");
    loss_.weight = 1;
    loss_.per_teacher = false;
    loss_.mean = false;
    sgd_.lr = 0.025;
    optimizer_ = train::make_optimizer(sgd_, model_.parameters());
    torch::manual_seed(1);
    batch_.images = at::randn({batch, 3, 32, 32});
    batch_.labels = at::randint(0, 100, {batch}, at::kLong);
    plan_.widths = {32, 16, 12, 8, 4};
    plan_.weights = {1, 1, 1, 1, 1};
    plan_.kind = train::LossKind::Cdt;
    plan_.update = train::Update::Accumulate;
    plan_.beta = 1;
    plan_.lr = 0.025;
  }

  void run() {
    const nas::Sample of_alpha = draw();
    executor_->set_gates(nas::gates_of(supernet_, of_alpha.weights));
    executor_->begin(batch_.images);
    const at::Tensor logits = executor_->forward(4, nn::Mode::Train);
    executor_->learn_weights(!arm_.fused);  // the authors' code throws weights' gradients away
    executor_->backward(train::cross_entropy(logits, batch_.labels).gradient.to(at::kFloat));
    executor_->finish();
    executor_->learn_weights(true);
    optimizer_->zero_gradients();
    nas::Rows gradient =
        nas::backward(of_alpha, nas::weight_gradients(supernet_, executor_->gate_gradients()));
    const nas::Rows cost = nas::softmax_backward(nas::softmax(alpha_), table_.cells, 1);
    for (size_t i = 0; i < gradient.size(); ++i)
      for (size_t k = 0; k < 9; ++k) gradient[i][k] += 1e-9 * cost[i][k];
    adam_.step(alpha_, gradient, 3e-4);
    executor_->set_gates(nas::gates_of(supernet_, draw().weights));
    train::MinibatchTrainer(*executor_, *optimizer_, exchange_, loss_).run(batch_, plan_);
  }

 private:
  static nn::ModelOptions options_of(const Arm& arm) {
    nn::ModelOptions options = nn::authors_model_options();
    if (arm.fused) options.layout = nn::Layout::ChannelsLast;
    return options;
  }

  nas::Sample draw() {
    const nas::Rows noise = nas::gumbel(alpha_, Rng(1, 2, ++draws_));
    return arm_.soft ? nas::sample_soft(alpha_, noise, 3) : nas::sample_hard(alpha_, noise, 3);
  }

  Arm arm_;
  Supernet supernet_;
  nas::CostTable table_;
  nn::SwitchableModel model_;
  std::unique_ptr<nn::Executor> executor_;
  nas::Rows alpha_;
  nas::AlphaAdam adam_;
  train::LossOptions loss_;
  train::OptimizerOptions sgd_;
  std::unique_ptr<train::Optimizer> optimizer_;
  train::GradientExchange exchange_;
  train::StepPlan plan_;
  data::Batch batch_;
  uint64_t draws_ = 0;
};

Measured measure(const Arm& arm, int steps, int64_t batch) {
  at::set_num_threads(1);
  // As the program does at its start: large tensors are reused, not mapped anew.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  Step step(arm, batch);
  Measured measured;
  // Single steps differ with the operators drawn: their mean counts.
  const int repeats = arm.soft ? 1 : 8;
  for (int i = 0; i <= steps; ++i) {
    const double start = processor_seconds();
    for (int k = 0; k < repeats; ++k) step.run();
    const double seconds = (processor_seconds() - start) / repeats;
    if (i > 0) measured.seconds = std::min(measured.seconds, seconds);  // the first warms up
  }
  return measured;
}

}  // namespace

int main(int argc, char** argv) {
  const int steps = argc > 1 ? std::atoi(argv[1]) : 3;
  const int64_t batch = argc > 2 ? std::atoi(argv[2]) : 16;
  const std::array<Arm, 3> arms = {{{"soft, plain contiguous", false, true},
                                    {"soft, fused", true, true},
                                    {"single, fused", true, false}}};
  try {
    if (argc > 3) {
      const auto chosen = std::find_if(arms.begin(), arms.end(), [&](const Arm& arm) {
        return std::string(argv[3]) == arm.name;
      });
      if (chosen == arms.end()) fail("bench", fmt::format("there is no arm '{}'.", argv[3]));
      fmt::print("{:.3f} s\n", measure(*chosen, steps, batch).seconds);
      return 0;
    }
    std::array<Measured, 3> best{};
    for (size_t i = 0; i < arms.size(); ++i)
      best[i] = bench::in_a_process(arms[i].name, [&] { return measure(arms[i], steps, batch); });
    fmt::print("search step, the authors' space, batch {}, bits 4,8,12,16,32, one thread\n", batch);
    fmt::print("{:<24} {:>9} {:>8} {:>9} {:>8}\n", "arm", "seconds", "speed", "MiB", "memory");
    for (size_t i = 0; i < arms.size(); ++i)
      fmt::print("{:<24} {:>9.3f} {:>7.2f}x {:>9.0f} {:>7.2f}x\n", arms[i].name, best[i].seconds,
                 best[0].seconds / best[i].seconds, best[i].megabytes,
                 best[i].megabytes / best[0].megabytes);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_nas_step: {}\n", error.what());
    return 2;
  }
  return 0;
}
