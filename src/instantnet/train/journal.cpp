#include "instantnet/train/journal.h"

#include <fmt/format.h>

#include <utility>

#include "instantnet/train/loop.h"

namespace instantnet::train {
namespace {

void add_scores(Tree& record, const std::vector<int>& bits, const Evaluation& evaluation,
                const std::string& loss_key) {
  Tree accuracy = Tree::map(), loss = Tree::map();
  for (size_t i = 0; i < bits.size(); ++i) {
    accuracy.set(std::to_string(bits[i]), Tree::of(evaluation.scores[i].accuracy));
    loss.set(std::to_string(bits[i]), Tree::of(evaluation.scores[i].loss));
  }
  record.set("accuracy", std::move(accuracy)).set(loss_key, std::move(loss));
}

void add_meters(Tree& record, const Meters& meters) {
  Tree loss = Tree::map(), distill = Tree::map();
  for (size_t i = 0; i < meters.bits().size(); ++i) {
    if (!meters.seen(i)) continue;
    loss.set(std::to_string(meters.bits()[i]), Tree::of(meters.ce(i)));
    distill.set(std::to_string(meters.bits()[i]), Tree::of(meters.distill(i)));
  }
  record.set("loss", std::move(loss)).set("distill", std::move(distill));
}

using Scalars = std::vector<std::pair<std::string, float>>;

Scalars scalars_of(const EpochFacts& facts, const Meters& meters) {
  Scalars values = {{"lr", static_cast<float>(facts.lr)},
                    {"images_per_second", static_cast<float>(facts.images_per_second)}};
  for (size_t i = 0; i < meters.bits().size(); ++i)
    if (meters.seen(i))
      values.emplace_back(fmt::format("loss/{}", meters.bits()[i]),
                          static_cast<float>(meters.ce(i)));
  if (facts.part.empty()) return values;
  for (size_t i = 0; i < facts.bits.size(); ++i)
    values.emplace_back(fmt::format("accuracy/{}", facts.bits[i]),
                        static_cast<float>(facts.evaluation.scores[i].accuracy));
  return values;
}

}  // namespace

Journal::Journal(const std::string& folder, int64_t log_bytes, int64_t event_bytes)
    : log_(folder + "/run.jsonl", log_bytes),
      events_(folder + "/" + kEventFile, event_bytes, wall_time()) {}

void Journal::start(const Tree& options, const std::string& network, int64_t training_images) {
  log_.write(Tree::map()
                 .set("event", Tree::of("start"))
                 .set("network", Tree::of(network))
                 .set("images", Tree::of(training_images))
                 .set("options", options));
}

void Journal::epoch(const EpochFacts& facts, const Meters& meters) {
  Tree record = Tree::map()
                    .set("event", Tree::of("epoch"))
                    .set("phase", Tree::of(facts.phase))
                    .set("epoch", Tree::of(facts.epoch))
                    .set("total_steps", Tree::of(facts.total_steps))
                    .set("lr", Tree::of(facts.lr));
  add_meters(record, meters);
  if (!facts.part.empty()) {
    record.set("evaluated_on", Tree::of(facts.part));
    add_scores(record, facts.bits, facts.evaluation, "evaluation_loss");
  }
  record.set("images_per_second", by_the_clock(facts.images_per_second))
      .set("seconds", by_the_clock(facts.seconds));
  log_.write(record);
  events_.scalars(facts.total_steps, wall_time(), scalars_of(facts, meters));
}

void Journal::result(const std::string& part, const std::vector<int>& bits,
                     const Evaluation& evaluation, int64_t total_steps) {
  Tree record = Tree::map()
                    .set("event", Tree::of("result"))
                    .set("total_steps", Tree::of(total_steps))
                    .set("evaluated_on", Tree::of(part))
                    .set("images", Tree::of(evaluation.images));
  add_scores(record, bits, evaluation, "loss");
  log_.write(record);
}

}  // namespace instantnet::train
