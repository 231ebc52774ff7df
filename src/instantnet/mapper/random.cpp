#include <algorithm>

#include "instantnet/core/rng.h"
#include "instantnet/mapper/engine.h"
#include "instantnet/mapper/threads.h"

namespace instantnet::mapper {

namespace {

constexpr int64_t kDrawsInAChunk = 4096;
constexpr size_t kChunksInARound = 16;

}  // namespace

Best search_random(const Task& task) {
  Best best;
  for (const auto& nest : {task.start, [&]() -> std::optional<Nest> {
                             const auto smallest = task.space.smallest();
                             const Nest* one = std::get_if<Nest>(&smallest);
                             return one ? std::optional<Nest>(*one) : std::nullopt;
                           }()})
    if (nest)
      if (const auto value = value_of(task, *nest, best.evaluations)) best.offer(*nest, *value);
  const Stop stop(task);
  const int64_t draws = std::max<int64_t>(0, task.options.budget - best.evaluations);
  for (int64_t done = 0; done < draws && !stop.now(best);) {
    std::vector<Best> chunks(kChunksInARound);
    for_each_index(chunks.size(), task.options.threads, [&](size_t i) {
      const int64_t first = done + static_cast<int64_t>(i) * kDrawsInAChunk;
      Rng rng(task.options.seed, static_cast<uint64_t>(first));
      const int64_t count = std::clamp<int64_t>(draws - first, 0, kDrawsInAChunk);
      for (int64_t draw = 0; draw < count; ++draw) {
        const Nest nest = task.space.draw(rng);
        if (const auto value = value_of(task, nest, chunks[i].evaluations))
          chunks[i].offer(nest, *value);
      }
    });
    for (const Best& chunk : chunks) {
      best.evaluations += chunk.evaluations;
      if (chunk.nest) best.offer(*chunk.nest, chunk.value);
    }
    done += kDrawsInAChunk * static_cast<int64_t>(kChunksInARound);
  }
  return best;
}

}  // namespace instantnet::mapper
