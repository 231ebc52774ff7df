// Logits of an untrained network at two bit-widths.
#include <ATen/ATen.h>
#include <instantnet/net/zoo.h>
#include <instantnet/nn/executor.h>
#include <instantnet/nn/model.h>
#include <instantnet/train/options.h>

#include <cstdio>
#include <memory>

int main() {
  using namespace instantnet;
  nn::SwitchableModel model(zoo_network("resnet8"), {4, 8}, train::TrainOptions().model, 1);
  const auto executor = nn::make_plain_executor(model, /*threads=*/1);
  executor->begin(at::zeros({2, 3, 32, 32}));
  for (const int bits : model.bits()) {
    const at::Tensor logits = executor->forward(bits, nn::Mode::Eval);
    std::printf("%d bits: %d x %d\n", bits, static_cast<int>(logits.size(0)),
                static_cast<int>(logits.size(1)));
  }
}
