// Tensors while a plan is made: shapes first, places when all lifetimes are known.
#pragma once

#include <algorithm>
#include <vector>

#include "instantnet/net/spec.h"
#include "instantnet/runtime/kernel.h"
#include "instantnet/runtime/memory_plan.h"

namespace instantnet::runtime {

/// Bytes before the first and after the last tensor of an arena that may be read.
inline constexpr int64_t kArenaSlack = 64;

class PlanTensors {
 public:
  /// A view without a place yet.
  static View shaped(const TensorShape& shape, Element element, int halo) {
    View view;
    view.element = element;
    view.height = static_cast<int>(shape.height);
    view.width = static_cast<int>(shape.width);
    view.channels = static_cast<int>(shape.channels);
    view.halo = halo;
    view.pixel_stride = (shape.channels + 3) / 4 * 4;
    view.row_stride = (shape.width + 2 * halo) * view.pixel_stride;
    return view;
  }

  explicit PlanTensors(size_t count) : views_(count), lives_(count) {}

  View& view(int tensor) { return views_[static_cast<size_t>(tensor)]; }
  const View& view(int tensor) const { return views_[static_cast<size_t>(tensor)]; }

  /// Step `step` writes or reads the tensor.
  void touch(int tensor, int step) {
    Life& life = lives_[static_cast<size_t>(tensor)];
    if (!life.used) life.first = step;
    life.used = true;
    life.last = std::max(life.last, step);
  }

  /// Gives every tensor that is used its place; the arena's bytes.
  int64_t place() {
    std::vector<Lifetime> lifetimes;
    for (size_t i = 0; i < views_.size(); ++i)
      if (lives_[i].used) lifetimes.push_back({lives_[i].first, lives_[i].last, bytes(views_[i])});
    const MemoryPlan plan = plan_memory(lifetimes);
    size_t next = 0;
    for (size_t i = 0; i < views_.size(); ++i) {
      if (!lives_[i].used) continue;
      View& view = views_[i];
      view.offset = kArenaSlack + plan.offsets[next++] +
                    view.halo * (view.row_stride + view.pixel_stride) * bytes_of(view.element);
    }
    return plan.bytes + 2 * kArenaSlack;
  }

 private:
  struct Life {
    bool used = false;
    int first = 0, last = 0;
  };
  static int64_t bytes(const View& view) {
    return (view.height + 2 * view.halo) * view.row_stride * bytes_of(view.element);
  }

  std::vector<View> views_;
  std::vector<Life> lives_;
};

}  // namespace instantnet::runtime
