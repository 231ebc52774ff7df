// Soft and single-path samples on the same tensors.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "instantnet/nas/mixture.h"
#include "instantnet/nn/executor.h"
#include "nas/tiny.h"

namespace instantnet::nas {
namespace {

/// Logits at 8 bits and the alphas' gradient of their sum's square.
std::pair<at::Tensor, Rows> run(nn::Executor& executor, const Supernet& supernet,
                                const Sample& sample) {
  torch::manual_seed(1);
  executor.set_gates(gates_of(supernet, sample.weights));
  executor.begin(at::randn({5, 1, 8, 8}));
  const at::Tensor logits = executor.forward(8, nn::Mode::Train);
  executor.backward(2 * logits);
  executor.finish();
  return {logits, backward(sample, weight_gradients(supernet, executor.gate_gradients()))};
}

TEST(Sampling, SoftWithAllWeightOnOneOperatorIsThatPath) {
  const Supernet supernet = supernet_of(tiny_options().space, {1, 8, 8, 4});
  nn::SwitchableModel model(supernet.network, {2, 8, 32}, {}, 3);
  Rows alpha(3, std::vector<double>(3, 0.0));
  alpha[0][1] = alpha[1][0] = alpha[2][2] = 60;
  const Rows none = rows_like(alpha, 0.0);
  for (const auto& executor :
       {nn::make_plain_executor(model, 1), nn::make_fused_executor(model, 1)}) {
    if (!executor) continue;
    const auto hard = run(*executor, supernet, sample_hard(alpha, none, 1));
    const auto soft = run(*executor, supernet, sample_soft(alpha, none, 1));
    EXPECT_LE((hard.first - soft.first).abs().max().item<double>(), 1e-5);
    for (size_t i = 0; i < 3; ++i)
      for (size_t k = 0; k < 3; ++k) EXPECT_NEAR(hard.second[i][k], soft.second[i][k], 1e-5);
  }
}

TEST(Sampling, EveryPathIsANetworkOfTheSpace) {
  const SearchOptions options = tiny_options();
  const SpaceImage image{1, 8, 8, 4};
  Rng rng(3);
  const Rows alpha(3, std::vector<double>(3, 0.0));
  for (int i = 0; i < 10; ++i) {
    const Sample sample = sample_hard(alpha, gumbel(alpha, rng), 1);
    const Architecture path = best_of(sample.weights);
    EXPECT_EQ(weights_of(path, 3), sample.weights);
    check(network_of(options.space, image, path, "path"));
    rng.next();
  }
}

}  // namespace
}  // namespace instantnet::nas
