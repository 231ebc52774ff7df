#include "instantnet/runtime/execute.h"

#include <algorithm>
#include <cstring>

namespace instantnet::runtime {
namespace {

/// Less work than this is not worth waking a thread for.
constexpr int64_t kWorkOfAPart = 200000;
constexpr int kChannelStep = 64;

template <class T>
void fill_halo(const View& view, T zero, std::byte* arena) {
  const int64_t side = view.halo * view.pixel_stride;
  T* row = view.pixel<T>(arena, -view.halo, -view.halo);
  std::fill(row, row + view.halo * view.row_stride + side, zero);
  for (int64_t y = 0; y < view.height; ++y) {
    T* right = view.pixel<T>(arena, y, view.width);  // and the next row's left
    std::fill(right, right + (y + 1 < view.height ? 2 : 1) * side, zero);
  }
  T* below = view.pixel<T>(arena, view.height, -view.halo);
  std::fill(below, below + view.halo * view.row_stride, zero);
}

template <class T, class Convert>
void input_rows(const InputStep& step, const Part& part, std::byte* arena, const Convert& convert) {
  const int64_t width = step.to.width, channels = step.to.channels;
  for (int64_t y = part.row_begin; y < part.row_end; ++y)
    for (int64_t x = 0; x < width; ++x) {
      T* to = step.to.pixel<T>(arena, y, x);
      for (int64_t c = 0; c < channels; ++c)
        to[c] = static_cast<T>(convert((y * width + x) * channels + c, c));
    }
}

void run(const InputStep& step, const Part& part, const Work& work) {
  const uint8_t* bytes = work.image.bytes;
  const float* floats = work.image.floats;
  const auto looked_up = [&](int64_t i, int64_t c) { return step.table[c * 256 + bytes[i]]; };
  if (step.to.element == Element::F32 && floats != nullptr)
    input_rows<float>(step, part, work.arena, [&](int64_t i, int64_t c) {
      return floats[i] * step.scale[c] + step.shift[c];
    });
  else if (step.to.element == Element::F32)
    input_rows<float>(step, part, work.arena, [&](int64_t i, int64_t c) {
      return static_cast<float>(bytes[i]) / 255.0F * step.scale[c] + step.shift[c];
    });
  else if (step.table == nullptr)
    input_rows<uint8_t>(step, part, work.arena, [&](int64_t i, int64_t) { return bytes[i]; });
  else if (step.to.element == Element::U8)
    input_rows<uint8_t>(step, part, work.arena, looked_up);
  else if (step.to.element == Element::U16)
    input_rows<uint16_t>(step, part, work.arena, looked_up);
  else
    input_rows<int32_t>(step, part, work.arena, looked_up);
}

template <class T>
void move_elements(const MoveStep& step, const Part& part, std::byte* arena) {
  const int64_t channels = step.input.channels;
  if (step.flatten) {
    T* to = step.output.pixel<T>(arena, 0, 0);
    for (size_t i = 0; i < step.from.size(); ++i) {
      const int64_t pixel = step.from[i] / channels;
      to[i] = step.input.pixel<T>(arena, pixel / step.input.width,
                                  pixel % step.input.width)[step.from[i] % channels];
    }
    return;
  }
  for (int64_t y = part.row_begin; y < part.row_end; ++y)
    for (int64_t x = 0; x < step.output.width; ++x) {
      const T* from = step.input.pixel<T>(arena, y, x);
      T* to = step.output.pixel<T>(arena, y, x);
      for (int64_t c = 0; c < channels; ++c) to[c] = from[step.from[static_cast<size_t>(c)]];
    }
}

void run(const MoveStep& step, const Part& part, const Work& work) {
  switch (bytes_of(step.input.element)) {
    case 1:
      return move_elements<uint8_t>(step, part, work.arena);
    case 2:
      return move_elements<uint16_t>(step, part, work.arena);
    default:
      return move_elements<uint32_t>(step, part, work.arena);
  }
}

void run(const FloatAddStep& step, const Part& part, const Work& work) {
  for (int64_t y = part.row_begin; y < part.row_end; ++y)
    for (int64_t x = 0; x < step.output.width; ++x) {
      float* to = step.output.pixel<float>(work.arena, y, x);
      for (int64_t c = 0; c < step.output.channels; ++c) {
        float sum = 0;
        for (const View& input : step.inputs) sum += input.pixel<float>(work.arena, y, x)[c];
        to[c] = std::min(std::max(sum, step.least), step.most);
      }
    }
}

/// The convolution's output channels may be shared among threads.
bool splits_channels(const Step& step) {
  const auto* conv = std::get_if<ConvStep>(&step.what);
  const auto* floats = std::get_if<FloatConvStep>(&step.what);
  const ConvShape* shape = conv != nullptr     ? &conv->problem.shape
                           : floats != nullptr ? &floats->shape
                                               : nullptr;
  return shape != nullptr && shape->groups == 1 && shape->out_channels > kChannelStep;
}

}  // namespace

void fill_halos(const Step& step, std::byte* arena) {
  for (const Step::Output& output : step.outputs) {
    if (output.view.halo == 0) continue;
    switch (output.view.element) {
      case Element::U8:
        fill_halo(output.view, static_cast<uint8_t>(output.zero), arena);
        break;
      case Element::U16:
        fill_halo(output.view, static_cast<uint16_t>(output.zero), arena);
        break;
      case Element::I32:
        fill_halo(output.view, int32_t{0}, arena);
        break;
      case Element::F32:
        fill_halo(output.view, 0.0F, arena);
        break;
    }
  }
}

int part_count(const Step& step, int threads) {
  const int64_t worth = std::clamp<int64_t>(step.work / kWorkOfAPart, 1, threads);
  const int channel_steps =
      splits_channels(step) ? (step.channels + kChannelStep - 1) / kChannelStep : 1;
  return static_cast<int>(std::min<int64_t>(worth, std::max(step.rows, channel_steps)));
}

Part part_of(const Step& step, int number, int count) {
  Part part{0, step.rows, 0, step.channels};
  const auto bound = [&](int64_t total, int64_t i) { return static_cast<int>(total * i / count); };
  if (step.rows >= count || !splits_channels(step)) {
    part.row_begin = bound(step.rows, number);
    part.row_end = bound(step.rows, number + 1);
    return part;
  }
  const int64_t steps = (step.channels + kChannelStep - 1) / kChannelStep;
  part.channel_begin = bound(steps, number) * kChannelStep;
  part.channel_end = std::min(step.channels, bound(steps, number + 1) * kChannelStep);
  if (part.channel_begin >= part.channel_end) part.row_end = part.row_begin;
  return part;
}

void run_step(const Step& step, const Part& part, const Work& work, std::byte* scratch) {
  if (part.row_begin == part.row_end) return;
  const Memory memory{work.arena, scratch};
  if (const auto* input = std::get_if<InputStep>(&step.what)) {
    run(*input, part, work);
  } else if (const auto* conv = std::get_if<ConvStep>(&step.what)) {
    ConvCall call = conv->call;
    call.weights = (*work.weights)[static_cast<size_t>(conv->layer)];
    work.kernels->convolve(conv->problem, call, part, memory);
  } else if (const auto* combine = std::get_if<CombineStep>(&step.what)) {
    work.kernels->combine(combine->call, part, work.arena);
  } else if (const auto* pool = std::get_if<PoolStep>(&step.what)) {
    if (pool->average)
      work.kernels->average_pool(pool->call, part, work.arena);
    else
      work.kernels->max_pool(pool->call, part, work.arena);
  } else if (const auto* move = std::get_if<MoveStep>(&step.what)) {
    run(*move, part, work);
  } else if (const auto* floats = std::get_if<FloatConvStep>(&step.what)) {
    FloatCall call = floats->call;
    call.weights = (*work.weights)[static_cast<size_t>(floats->layer)];
    work.kernels->float_convolve(floats->shape, call, part, memory);
  } else if (const auto* add = std::get_if<FloatAddStep>(&step.what)) {
    run(*add, part, work);
  }
}

}  // namespace instantnet::runtime
