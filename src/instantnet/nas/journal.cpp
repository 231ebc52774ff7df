#include "instantnet/nas/journal.h"

#include <fmt/format.h>

#include <utility>

#include "instantnet/train/loop.h"

namespace instantnet::nas {
namespace {

Tree names_tree(const std::vector<std::string>& names) {
  Tree list = Tree::list();
  for (const std::string& name : names) list.items.push_back(Tree::of(name));
  return list;
}

Tree rows_tree(const Rows& rows) {
  Tree list = Tree::list();
  for (const auto& row : rows) {
    Tree inner = Tree::list();
    for (const double one : row) inner.items.push_back(Tree::of(one));
    list.items.push_back(std::move(inner));
  }
  return list;
}

Tree loss_tree(const train::Meters& meters) {
  Tree loss = Tree::map();
  for (size_t i = 0; i < meters.bits().size(); ++i)
    if (meters.seen(i)) loss.set(std::to_string(meters.bits()[i]), Tree::of(meters.ce(i)));
  return loss;
}

using Scalars = std::vector<std::pair<std::string, float>>;

Scalars scalars_of(const SearchEpoch& epoch, const train::Meters& meters, const SearchSpace& space,
                   const Rows& alpha) {
  const auto number = [](double value) { return static_cast<float>(value); };
  Scalars values = {{"lr", number(epoch.lr)},
                    {"cost", number(epoch.report.cost)},
                    {"argmax_cost", number(epoch.report.argmax_cost)},
                    {"expected_cost", number(epoch.expected_cost)},
                    {"lambda", number(epoch.report.lambda)},
                    {"undecided", number(epoch.report.undecided)}};
  for (size_t i = 0; i < meters.bits().size(); ++i)
    if (meters.seen(i))
      values.emplace_back(fmt::format("loss/{}", meters.bits()[i]), number(meters.ce(i)));
  for (size_t i = 0; i < epoch.evaluation.scores.size(); ++i)
    values.emplace_back(fmt::format("accuracy/{}", epoch.bits[i]),
                        number(epoch.evaluation.scores[i].accuracy));
  for (size_t i = 0; i < alpha.size(); ++i)
    for (size_t k = 0; k < alpha[i].size(); ++k)
      values.emplace_back(fmt::format("alpha/{}/{}", i, space.operators[k]), number(alpha[i][k]));
  return values;
}

}  // namespace

SearchJournal::SearchJournal(const std::string& folder, int64_t log_bytes, int64_t event_bytes)
    : log_(folder + "/run.jsonl", log_bytes),
      events_(folder + "/" + train::kEventFile, event_bytes, wall_time()) {}

void SearchJournal::start(const Tree& options, const CostTable& table, const Window& window) {
  log_.write(Tree::map()
                 .set("event", Tree::of("start"))
                 .set("reachable", Tree::list({Tree::of(table.least()), Tree::of(table.most())}))
                 .set("window", Tree::list({Tree::of(window.least), Tree::of(window.most)}))
                 .set("options", options));
}

void SearchJournal::epoch(const SearchEpoch& epoch, const train::Meters& meters,
                          const SearchSpace& space, const Rows& alpha) {
  const SearchReport& report = epoch.report;
  Tree record = Tree::map()
                    .set("event", Tree::of("epoch"))
                    .set("phase", Tree::of(epoch.searching ? "search" : "weights"))
                    .set("epoch", Tree::of(report.epoch))
                    .set("total_steps", Tree::of(epoch.total_steps))
                    .set("lr", Tree::of(epoch.lr))
                    .set("temperature", Tree::of(epoch.temperature))
                    .set("loss", loss_tree(meters))
                    .set("alpha_loss", Tree::of(epoch.alpha_loss))
                    .set("lambda", Tree::of(report.lambda))
                    .set("cost", Tree::of(report.cost))
                    .set("argmax_cost", Tree::of(report.argmax_cost))
                    .set("expected_cost", Tree::of(epoch.expected_cost))
                    .set("projected", Tree::of(report.projected))
                    .set("undecided", Tree::of(report.undecided))
                    .set("architecture", names_tree(operator_names(report)))
                    .set("alpha", rows_tree(alpha));
  if (!epoch.evaluation.scores.empty()) {
    Tree accuracy = Tree::map();
    for (size_t i = 0; i < epoch.bits.size(); ++i)
      accuracy.set(std::to_string(epoch.bits[i]), Tree::of(epoch.evaluation.scores[i].accuracy));
    record.set("accuracy", std::move(accuracy));
  }
  record.set("images_per_second", by_the_clock(epoch.images_per_second))
      .set("seconds", by_the_clock(epoch.seconds));
  log_.write(record);
  events_.scalars(epoch.total_steps, wall_time(), scalars_of(epoch, meters, space, alpha));
}

void SearchJournal::result(const SearchReport& report) {
  log_.write(Tree::map()
                 .set("event", Tree::of("result"))
                 .set("cost", Tree::of(report.cost))
                 .set("inside", Tree::of(report.inside))
                 .set("projected", Tree::of(report.projected))
                 .set("architecture", names_tree(operator_names(report))));
}

}  // namespace instantnet::nas
