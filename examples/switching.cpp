// Switches the bit-width between two images, and gives each layer its own: switching MODEL.spnet
#include <chrono>
#include <cstdio>
#include <instantnet/runtime/instantnet.hpp>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double microseconds(Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

/// The pattern that classify.c uses.
std::vector<unsigned char> pattern(const instantnet::SwitchableNetwork::Input& input) {
  std::vector<unsigned char> pixels(input.height * input.width * input.channels);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<unsigned char>(i * 7);
  return pixels;
}

void run(const char* path) {
  const instantnet::SwitchableNetwork network(path);
  instantnet::NetworkSession session(network);
  const std::vector<unsigned char> image = pattern(network.input());
  for (const int bits : network.bits()) {
    const auto start = Clock::now();
    session.set_bits(bits);
    const auto switched = Clock::now();
    const std::size_t best = session.run(image.data(), image.size());
    const auto done = Clock::now();
    std::printf("%2d bits: class %zu %s (%.4f)\n", bits, best, network.class_name(best).c_str(),
                session.logits()[best]);
    std::fprintf(stderr, "  switched in %.2f us, ran in %.0f us\n", microseconds(switched - start),
                 microseconds(done - switched));
  }
  // The first layer and the last at the highest integer width, all others at the lowest.
  const int low = network.bits().front();
  int high = low;
  for (const int bits : network.bits())
    if (bits < 32) high = bits;
  std::vector<std::pair<int, int>> layers(network.layers().size(), {low, low});
  layers.front() = layers.back() = {high, high};
  session.set_precisions(layers);
  std::printf("mixed: class %zu\n", session.run(image.data(), image.size()));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: switching MODEL.spnet\n");
    return 2;
  }
  try {
    run(argv[1]);
    return 0;
  } catch (const instantnet::Failure& failure) {
    std::fprintf(stderr, "switching: %s\n", failure.what());
    return 1;
  }
}
