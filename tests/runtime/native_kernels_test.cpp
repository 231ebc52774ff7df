// Every set of kernels that this processor runs, against loops, on random layers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "instantnet/core/rng.h"
#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime {
namespace {

/// Memory aligned to 64 bytes, filled with noise.
class Bytes {
 public:
  explicit Bytes(size_t size, Rng& rng)
      : size_(size), data_(new (std::align_val_t{64}) std::byte[size + 64]) {
    for (size_t i = 0; i < size + 64; ++i) data_[i] = static_cast<std::byte>(rng.next());
  }
  ~Bytes() { ::operator delete[](data_, std::align_val_t{64}); }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  std::byte* data() { return data_; }
  size_t size() const { return size_; }

 private:
  size_t size_;
  std::byte* data_;
};

int drawn(Rng& rng, int least, int most) {
  return least + static_cast<int>(rng.below(static_cast<uint64_t>(most - least + 1)));
}

/// A view at `offset` (moved behind it), with room to read before and after.
View placed(int64_t& offset, Element element, int height, int width, int channels, int halo,
            int gap) {
  View view{0, element, height, width, channels, halo, 0, 0};
  view.pixel_stride = (channels + 3) / 4 * 4 + gap;
  view.row_stride = view.pixel_stride * (width + 2 * halo);
  const int64_t bytes = bytes_of(element);
  view.offset = offset + 64 + (halo * view.row_stride + halo * view.pixel_stride) * bytes;
  offset += (128 + view.row_stride * (height + 2 * halo) * bytes + 63) / 64 * 64;
  return view;
}

template <class T>
void fill(const View& view, std::byte* arena, int largest, int zero, double share, Rng& rng) {
  for (int y = -view.halo; y < view.height + view.halo; ++y)
    for (int x = -view.halo; x < view.width + view.halo; ++x) {
      const bool inside = y >= 0 && y < view.height && x >= 0 && x < view.width;
      for (int64_t c = 0; c < (inside ? view.channels : view.pixel_stride); ++c)
        view.pixel<T>(arena, y, x)[c] = static_cast<T>(!inside           ? zero
                                                       : rng.flip(share) ? largest
                                                                         : drawn(rng, 0, largest));
    }
}

/// Tables of one requant.
struct Tables {
  std::vector<int32_t> multiplier, box_multiplier;
  std::vector<int64_t> offset;
  Requant requant;

  /// Positions of sums up to `bound` land around [least, most].
  Tables(int channels, int borders, bool box, double bound, int32_t least, int32_t most, Rng& rng) {
    const double span = static_cast<double>(most) - least + 1;
    const int most_shift = std::min(50, 58 - static_cast<int>(std::ceil(std::log2(span))));
    requant.shift = drawn(rng, 1, most_shift);  // offsets below 2^60
    const double most_multiplier =
        std::min(2147483647.0, std::ldexp(1.0, requant.shift) * span / std::max(bound, 1.0));
    multiplier.assign(static_cast<size_t>(padded(channels)), 0);
    box_multiplier = multiplier;
    offset.assign(static_cast<size_t>(borders * padded(channels)), 0);
    for (int k = 0; k < channels; ++k) {
      multiplier[static_cast<size_t>(k)] =
          static_cast<int32_t>(rng.uniform(-most_multiplier, most_multiplier));
      box_multiplier[static_cast<size_t>(k)] =
          static_cast<int32_t>(rng.uniform(-most_multiplier, most_multiplier) / 4);
      for (int b = 0; b < borders; ++b)
        offset[static_cast<size_t>(b * padded(channels) + k)] =
            static_cast<int64_t>(std::ldexp(rng.uniform(-0.2, 1.2) * span + least, requant.shift));
    }
    requant.least = least;
    requant.most = most;
    requant.multiplier = multiplier.data();
    requant.box_multiplier = box ? box_multiplier.data() : nullptr;
    requant.offset = offset.data();
  }

  int32_t value(int64_t sum, int64_t box, int border, int channels, int k) const {
    int64_t t = (sum >> requant.sum_shift) * multiplier[static_cast<size_t>(k)];
    if (requant.box_multiplier) t += box * box_multiplier[static_cast<size_t>(k)];
    t += offset[static_cast<size_t>(border * padded(channels) + k)];
    return static_cast<int32_t>(
        std::clamp<int64_t>(t >> requant.shift, requant.least, requant.most));
  }
};

struct Limits {
  int most_bits = 8;
  bool depthwise = false;
  bool extreme = false;  // the largest codes, and channels whose weights are all the largest
};

/// One random layer with everything a call needs.
struct Case {
  ConvProblem problem;
  std::vector<uint16_t> master;
  WeightSource source;
  View input, addend;
  std::vector<uint16_t> rows, columns;
  std::vector<std::unique_ptr<Tables>> tables;
  std::vector<CodeTarget> targets;
  ConvCall call;
  int64_t arena_bytes = 0;

  Case(const Limits& limits, Rng& rng) {
    draw_shape(limits, rng);
    draw_numbers(limits, rng);
    draw_epilogue(rng);
  }

  void draw_shape(const Limits& limits, Rng& rng) {
    ConvShape& s = problem.shape;
    s.kernel_height = drawn(rng, 1, 5);
    s.kernel_width = rng.flip(0.8) ? s.kernel_height : drawn(rng, 1, 5);
    s.stride = drawn(rng, 1, 2);
    s.dilation = rng.flip(0.8) ? 1 : 2;
    s.padding = drawn(rng, 0, 2);
    s.groups = rng.flip(0.7) ? 1 : drawn(rng, 2, 3);
    s.channels = s.groups * drawn(rng, 1, rng.flip(0.3) ? 70 : 20);
    s.out_channels = s.groups * drawn(rng, 1, rng.flip(0.3) ? 150 : 40);
    if (limits.depthwise) s.groups = s.channels = s.out_channels = drawn(rng, 1, 150);
    const int least = s.dilation * (std::max(s.kernel_height, s.kernel_width) - 1) + 1;
    s.height = std::max(1, least - 2 * s.padding) + drawn(rng, 0, 6);
    s.width = std::max(1, least - 2 * s.padding) + drawn(rng, 0, 9);
    s.out_height =
        (s.height + 2 * s.padding - s.dilation * (s.kernel_height - 1) - 1) / s.stride + 1;
    s.out_width = (s.width + 2 * s.padding - s.dilation * (s.kernel_width - 1) - 1) / s.stride + 1;
  }

  double largest_sum() const {
    const double w = std::ldexp(1.0, problem.weight_bits), x = std::ldexp(1.0, problem.input.bits);
    return w * x * static_cast<double>(problem.shape.taps());
  }

  void draw_numbers(const Limits& limits, Rng& rng) {
    problem.lattice = rng.flip() ? Lattice::Nested : Lattice::Sbm;
    problem.weight_bits = drawn(rng, 2, limits.most_bits);
    problem.input.bits = drawn(rng, 2, limits.most_bits);
    if (rng.flip()) problem.input.zero = 1 << (problem.input.bits - 1);
    problem.box = rng.flip(0.4);
    problem.wide = largest_sum() * 2 > 2147483647.0 || (limits.most_bits > 8 && rng.flip(0.2));
    source.master_bits = problem.weight_bits > 8 || rng.flip() ? 16 : 8;
    source.lattice = problem.lattice;
    master.resize(static_cast<size_t>(problem.shape.taps() * problem.shape.out_channels));
    const int top = (1 << source.master_bits) - 1;
    for (uint16_t& code : master)
      code = static_cast<uint16_t>(rng.flip(0.1) ? 0 : rng.flip(0.1) ? top : drawn(rng, 0, top));
    for (size_t i = 0; limits.extreme && i < master.size(); ++i)
      master[i] = static_cast<uint16_t>(i / problem.shape.taps() % 3 == 0 ? 0 : top);
    source.master = master.data();
  }

  void draw_borders(Rng& rng) {
    rows.resize(static_cast<size_t>(problem.shape.out_height));
    columns.resize(static_cast<size_t>(problem.shape.out_width));
    call.borders = {rng.flip() ? 12 : 1, rows.data(), columns.data()};
    if (call.borders.count == 1) return;
    for (uint16_t& row : rows) row = static_cast<uint16_t>(3 * drawn(rng, 0, 3));
    for (uint16_t& column : columns) column = static_cast<uint16_t>(drawn(rng, 0, 2));
  }

  Tables& add_tables(int borders, bool box, double bound, int32_t least, int32_t most, Rng& rng) {
    tables.push_back(std::make_unique<Tables>(problem.shape.out_channels, borders, box, bound,
                                              least, most, rng));
    return *tables.back();
  }

  void draw_epilogue(Rng& rng) {
    const ConvShape& s = problem.shape;
    draw_borders(rng);
    input = placed(arena_bytes, problem.input.element(), s.height, s.width, s.channels,
                   s.padding + drawn(rng, 0, 1), 4 * drawn(rng, 0, 1));
    call.input = input;
    Epilogue& after = call.epilogue;
    after.to_stream = rng.flip();
    const int sum_shift = problem.wide ? std::max(0, std::ilogb(largest_sum()) + 2 - 30) : 0;
    const double bound = std::ldexp(largest_sum(), -sum_shift) / 8;
    if (after.to_stream) {
      Tables& table = add_tables(call.borders.count, problem.box, bound, -1000000, 1000000, rng);
      table.requant.sum_shift = sum_shift;
      after.requant = table.requant;
      after.has_addend = rng.flip();
      after.add_least = rng.flip() ? 0 : -2000000;
      after.add_most = 1500000;
      if (after.has_addend)
        addend = placed(arena_bytes, Element::I32, s.out_height, s.out_width, s.out_channels, 0, 0);
      after.addend = addend;
      after.store_stream = rng.flip();
      if (after.store_stream)
        after.stream =
            placed(arena_bytes, Element::I32, s.out_height, s.out_width, s.out_channels, 0, 4);
    }
    const int readers = after.to_stream ? drawn(rng, 0, 2) : drawn(rng, 1, rng.flip(0.1) ? 6 : 2);
    for (int i = 0; i < readers; ++i) {
      const CodeFormat format{drawn(rng, 2, rng.flip() ? 8 : 16), 0};
      const bool direct = !after.to_stream;
      Tables& table = add_tables(direct ? call.borders.count : 1, direct && problem.box,
                                 direct ? bound : 1000000, drawn(rng, 0, 1), format.largest(), rng);
      if (direct) table.requant.sum_shift = sum_shift;
      targets.push_back({table.requant, placed(arena_bytes, format.element(), s.out_height,
                                               s.out_width, s.out_channels, drawn(rng, 0, 2), 0)});
    }
    after.codes = targets;
  }

  /// Sum and box of one output by loops, over taps in the image only.
  std::pair<int64_t, int64_t> sums(const std::byte* arena, int p, int q, int k) const {
    const ConvShape& s = problem.shape;
    const int each = s.group_channels(), group = k / (s.out_channels / s.groups);
    std::vector<uint16_t> codes(static_cast<size_t>(s.taps()));
    source.narrow(problem.weight_bits, k * s.taps(), s.taps(), codes.data());
    int64_t sum = 0, box = 0;
    size_t tap = 0;
    for (int r = 0; r < s.kernel_height; ++r)
      for (int t = 0; t < s.kernel_width; ++t)
        for (int c = 0; c < each; ++c, ++tap) {
          const int y = p * s.stride + r * s.dilation - s.padding;
          const int x = q * s.stride + t * s.dilation - s.padding;
          if (y < 0 || y >= s.height || x < 0 || x >= s.width) continue;
          const int at = group * each + c;
          const int stored = problem.input.element() == Element::U8
                                 ? input.pixel<uint8_t>(arena, y, x)[at]
                                 : input.pixel<uint16_t>(arena, y, x)[at];
          const int w = problem.lattice == Lattice::Nested
                            ? 2 * codes[tap] + 1 - (1 << problem.weight_bits)
                            : codes[tap];
          sum += int64_t{w} * (stored - problem.input.zero);
          box += stored - problem.input.zero;
        }
    return {sum, box};
  }

  std::string text() const {
    const ConvShape& s = problem.shape;
    std::string all;
    for (const int number :
         {s.height, s.width, s.channels, s.out_channels, s.kernel_height, s.kernel_width, s.stride,
          s.padding, s.dilation, s.groups, problem.weight_bits, problem.input.bits,
          problem.input.zero, int{problem.wide}, int{problem.box}, call.borders.count,
          int{call.epilogue.to_stream}, static_cast<int>(targets.size())})
      all += std::to_string(number) + " ";
    return all + (problem.lattice == Lattice::Nested ? "nested" : "sbm");
  }
};

int code_at(const View& view, const std::byte* arena, int y, int x, int k) {
  return view.element == Element::U8 ? view.pixel<uint8_t>(arena, y, x)[k]
                                     : view.pixel<uint16_t>(arena, y, x)[k];
}

void expect_outputs(const Case& one, const std::byte* arena) {
  const ConvShape& s = one.problem.shape;
  const Epilogue& after = one.call.epilogue;
  for (int p = 0; p < s.out_height; ++p)
    for (int q = 0; q < s.out_width; ++q)
      for (int k = 0; k < s.out_channels; ++k) {
        const auto [sum, box] = one.sums(arena, p, q, k);
        const int border =
            one.call.borders.count == 1 ? 0 : one.call.borders.row[p] + one.call.borders.column[q];
        int64_t value = sum;
        if (after.to_stream) {
          value = one.tables[0]->value(sum, box, border, s.out_channels, k);
          if (after.has_addend)
            value = std::clamp<int64_t>(value + after.addend.pixel<int32_t>(arena, p, q)[k],
                                        after.add_least, after.add_most);
          if (after.store_stream) {
            ASSERT_EQ(after.stream.pixel<int32_t>(arena, p, q)[k], value)
                << p << " " << q << " " << k;
          }
        }
        const size_t first = after.to_stream ? 1 : 0;
        for (size_t i = 0; i < one.targets.size(); ++i)
          ASSERT_EQ(code_at(one.targets[i].to, arena, p, q, k),
                    one.tables[first + i]->value(value, box, after.to_stream ? 0 : border,
                                                 s.out_channels, k))
              << "reader " << i << " at " << p << " " << q << " " << k;
      }
}

/// The output in random parts, as threads would compute it.
void run_in_parts(const Kernels& kernels, const Case& one, std::byte* arena, std::byte* scratch,
                  Rng& rng) {
  const ConvShape& s = one.problem.shape;
  const int cut = drawn(rng, 0, s.out_height);
  const int channel_cut = s.groups == 1 && s.out_channels > 64 && rng.flip() ? 64 : s.out_channels;
  for (const auto& [begin, end] : {std::pair{0, cut}, std::pair{cut, s.out_height}})
    for (const auto& [first, last] : {std::pair{0, channel_cut}, {channel_cut, s.out_channels}}) {
      if (begin < end && first < last)
        kernels.convolve(one.problem, one.call, {begin, end, first, last}, {arena, scratch});
    }
}

void expect_equal_to_loops(const Kernels& kernels, const Limits& limits, uint64_t seed, int count) {
  for (int i = 0; i < count; ++i) {
    Rng rng(seed, 1, static_cast<uint64_t>(i));
    Case one(limits, rng);
    SCOPED_TRACE(std::string(kernels.name()) + ", case " + std::to_string(i) + " of seed " +
                 std::to_string(seed) + ": " + one.text());
    Bytes arena(static_cast<size_t>(one.arena_bytes), rng);
    if (one.problem.input.element() == Element::U8)
      fill<uint8_t>(one.input, arena.data(), one.problem.input.largest(), one.problem.input.zero,
                    limits.extreme ? 1 : 0.2, rng);
    else
      fill<uint16_t>(one.input, arena.data(), one.problem.input.largest(), one.problem.input.zero,
                     limits.extreme ? 1 : 0.2, rng);
    if (one.call.epilogue.has_addend)
      for (int y = 0; y < one.addend.height; ++y)
        for (int64_t at = 0; at < one.addend.row_stride; ++at)
          one.addend.pixel<int32_t>(arena.data(), y, 0)[at] = drawn(rng, -1000000, 1000000);
    Bytes packed(kernels.packed_bytes(one.problem), rng);
    Bytes scratch(kernels.scratch_bytes(one.problem), rng);
    kernels.pack(one.problem, one.source, packed.data());
    one.call.weights = packed.data();
    run_in_parts(kernels, one, arena.data(), scratch.data(), rng);
    expect_outputs(one, arena.data());
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(NativeKernels, ConvolveBytesAsLoopsDo) {
  for (const Kernels* kernels : kernel_sets()) expect_equal_to_loops(*kernels, {8, false}, 1, 1500);
}

TEST(NativeKernels, ConvolveWordsAsLoopsDo) {
  for (const Kernels* kernels : kernel_sets())
    expect_equal_to_loops(*kernels, {16, false}, 2, 1000);
}

TEST(NativeKernels, ConvolveEachChannelAsLoopsDo) {
  for (const Kernels* kernels : kernel_sets()) {
    expect_equal_to_loops(*kernels, {8, true}, 3, 800);
    expect_equal_to_loops(*kernels, {16, true}, 4, 800);
  }
}

TEST(NativeKernels, AreExactWhereSumsAreLargest) {
  for (const Kernels* kernels : kernel_sets())
    for (const int bits : {4, 6, 8, 12, 16}) {
      expect_equal_to_loops(*kernels, {bits, false, true}, 5, 150);
      expect_equal_to_loops(*kernels, {bits, true, true}, 6, 100);
    }
}

}  // namespace
}  // namespace instantnet::runtime
