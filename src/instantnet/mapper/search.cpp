#include "instantnet/mapper/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "instantnet/core/error.h"
#include "instantnet/mapper/engine.h"
#include "instantnet/mapper/exact.h"
#include "instantnet/mapper/space.h"
#include "instantnet/mapper/templates.h"

namespace instantnet::mapper {

namespace {

constexpr double kMostBudget = 1e15;
constexpr double kMostThreads = 1024;

void check(const SearchOptions& options) {
  const auto refuse = [](const std::string& key, const std::string& sentence) {
    fail("search." + key, sentence);
  };
  if (options.time_limit_s < 0)
    refuse("time_limit_s",
           fmt::format("is {}; give seconds, or 0 for none.", options.time_limit_s));
  if (options.budget < 1) refuse("budget", fmt::format("is {}; give 1 or more.", options.budget));
  if (options.threads < 1)
    refuse("threads", fmt::format("is {}; give 1 or more.", options.threads));
  if (options.pool < 2) refuse("pool", fmt::format("is {}; give 2 or more.", options.pool));
  if (!(options.mutation >= 0 && options.mutation <= 1))
    refuse("mutation", fmt::format("is {}; give a probability, 0 to 1.", options.mutation));
}

/// What is asked, checked; `constraints` with those of a template.
struct Job {
  const LayerShape& layer;
  const std::vector<Precision>& precisions;
  const Accelerator& device;
  const Constraints& constraints;
  const SearchOptions& options;
  const Watch& watch;
};

bool spatial_fits(const Nest& nest, const Accelerator& device) {
  for (size_t l = 0; l < device.levels.size(); ++l) {
    int64_t product = 1;
    for (const int32_t factor : nest.spatial[l])
      if (__builtin_mul_overflow(product, int64_t{factor}, &product)) return false;
    if (!fits_array(product, device.levels[l].fanout_x, device.levels[l].fanout_y)) return false;
  }
  return true;
}

Found found_with(const Evaluator& evaluator, const Nest& nest) {
  Found found;
  found.mapping = to_mapping(nest, evaluator.device());
  auto answer = evaluator.evaluate(found.mapping);
  if (const Misfit* misfit = std::get_if<Misfit>(&answer))
    bug(fmt::format("a mapping that fits does not: {}", misfit->why));
  found.cost = std::get<Cost>(std::move(answer));
  return found;
}

/// Why no mapping that keeps the constraints fits: what the smallest one lacks.
std::optional<Misfit> constrained_misfit(const Evaluator& evaluator, const Space& space) {
  const std::variant<Nest, Misfit> smallest = space.smallest();
  if (const Misfit* misfit = std::get_if<Misfit>(&smallest)) return *misfit;
  const auto& nest = std::get<Nest>(smallest);
  if (Score score; evaluator.score(nest, score)) return std::nullopt;
  if (!spatial_fits(nest, evaluator.device()))
    return Misfit{"The constraints spread more steps over an array than it has children."};
  const auto answer = evaluator.evaluate(to_mapping(nest, evaluator.device()));
  const Misfit* misfit = std::get_if<Misfit>(&answer);
  if (!misfit) bug("a mapping has a cost, but no score");
  return Misfit{"With the least tiles that the constraints allow, " + misfit->why};
}

/// Evolution, random or exhaustive search.
std::variant<Found, Misfit> sampled(const Job& job, Precision precision, Engine engine,
                                    const std::optional<Nest>& start) {
  const auto began = std::chrono::steady_clock::now();
  const Space space(job.layer, job.device, job.constraints, job.options.factors);
  const Evaluator evaluator(job.layer, precision, job.device);
  if (const auto misfit = smallest_misfit(job.layer, precision, job.device)) return *misfit;
  if (const auto misfit = constrained_misfit(evaluator, space)) return *misfit;
  Task task{evaluator, space, job.options, job.watch};
  task.bound = lower_bound(evaluator, space, job.options.objective);
  task.start = start;
  const Best best = engine == Engine::Random       ? search_random(task)
                    : engine == Engine::Exhaustive ? search_exhaustive(task)
                                                   : search_evolution(task);
  if (!best.nest) return Misfit{"No mapping that fits was found before the search was stopped."};
  Found found = found_with(evaluator, *best.nest);
  found.lower_bound = best.complete ? best.value.first : std::min(task.bound, best.value.first);
  found.certified = found.lower_bound == best.value.first;
  found.evaluations = best.evaluations;
  found.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return found;
}

/// Each precision, widest first; what is best for one starts the next.
std::vector<std::variant<Found, Misfit>> sampled_all(const Job& job, Engine engine) {
  std::vector<size_t> widest_first(job.precisions.size());
  std::iota(widest_first.begin(), widest_first.end(), size_t{0});
  std::stable_sort(widest_first.begin(), widest_first.end(), [&](size_t a, size_t b) {
    const auto bits = [&](size_t i) {
      return job.precisions[i].weight + job.precisions[i].activation;
    };
    return bits(a) > bits(b);
  });
  std::vector<std::variant<Found, Misfit>> results(job.precisions.size());
  std::optional<Nest> start;
  for (const size_t i : widest_first) {
    results[i] = sampled(job, job.precisions[i], engine, start);
    if (const Found* found = std::get_if<Found>(&results[i])) start = to_nest(found->mapping);
  }
  return results;
}

/// The certified search.
std::vector<std::variant<Found, Misfit>> exact_all(const Job& job) {
  auto results = search_exact_all(job.layer, job.precisions, job.device, job.constraints,
                                  job.options, job.watch);
  for (size_t i = 0; i < results.size(); ++i) {
    if (!std::holds_alternative<Misfit>(results[i])) continue;
    results[i] = sampled(job, job.precisions[i], Engine::Evolution, {});  // or says why not
    if (Found* found = std::get_if<Found>(&results[i]))
      found->note = "The exact search was stopped before it found a mapping; this is evolution's.";
  }
  return results;
}

/// The certified search where it applies, else evolution and a proven bound.
std::vector<std::variant<Found, Misfit>> exact_or_evolution(const Job& job) {
  const auto refusal = exact_refuses(job.layer, job.device, job.constraints);
  if (!refusal) return exact_all(job);
  auto results = sampled_all(job, Engine::Evolution);
  for (auto& result : results)
    if (Found* found = std::get_if<Found>(&result); found && !found->certified)
      found->note = fmt::format("Evolution and a proven bound, not the exact search: {}", *refusal);
  return results;
}

}  // namespace

const std::vector<std::pair<Engine, std::string>>& names_of(Engine) {
  static const std::vector<std::pair<Engine, std::string>> names = {
      {Engine::Exact, "exact"},
      {Engine::Evolution, "evolution"},
      {Engine::Random, "random"},
      {Engine::Exhaustive, "exhaustive"},
      {Engine::Template, "template"}};
  return names;
}

const std::vector<std::pair<Factors, std::string>>& names_of(Factors) {
  static const std::vector<std::pair<Factors, std::string>> names = {{Factors::Perfect, "perfect"},
                                                                     {Factors::Any, "any"}};
  return names;
}

Fields fields(SearchOptions& options) {
  Fields all;
  all.add(
      "engine", options.engine,
      "How mappings are found: exact (with a certificate), evolution, random, exhaustive (small "
      "spaces), or template (an expert dataflow).");
  all.add("template_name", options.template_name, "engine template: which expert dataflow.");
  all.add("objective", options.objective,
          "What is minimised: edp (energy times latency), energy, latency, or throughput.");
  all.add("factors", options.factors,
          "Whether tile counts must divide the loop bounds (perfect) or not (any).");
  all.add("time_limit_s", options.time_limit_s,
          "Time for one layer at one bit-width; 0 = until proven, or until the budget is spent.",
          {0, std::numeric_limits<double>::infinity(), "seconds"});
  all.add("budget", options.budget,
          "Mappings that evolution and random search may evaluate for one layer at one bit-width.",
          {1, kMostBudget, "mappings"});
  all.add("seed", options.seed, "Everything random in the search comes from this.");
  all.add("threads", options.threads, "Threads; results do not depend on it.",
          {1, kMostThreads, "threads"});
  all.add("pool", options.pool, "evolution: mappings in the pool.", {2, 1e6, "mappings"});
  all.add("mutation", options.mutation, "evolution: probability that a child mutates.", {0, 1, ""});
  return all;
}

std::variant<Found, Misfit> search(const LayerShape& layer, Precision precision,
                                   const Accelerator& device, const Constraints& constraints,
                                   const SearchOptions& options, const Watch& watch) {
  return search_all(layer, {precision}, device, constraints, options, watch).front();
}

std::vector<std::variant<Found, Misfit>> search_all(
    const LayerShape& layer, const std::vector<Precision>& precisions, const Accelerator& device,
    const Constraints& constraints, const SearchOptions& options, const Watch& watch) {
  check(layer, "search");
  check(device);
  check(constraints, device);
  check(options);
  const bool expert = options.engine == Engine::Template;
  const Constraints all =
      expert ? merged(template_constraints(options.template_name, layer, device), constraints)
             : constraints;
  if (expert) check(all, device);
  const Job job{layer, precisions, device, all, options, watch};
  if (expert || options.engine == Engine::Exact) return exact_or_evolution(job);
  return sampled_all(job, options.engine);
}

std::vector<Found> energy_latency_front(const LayerShape& layer, Precision precision,
                                        const Accelerator& device, const Constraints& constraints,
                                        const SearchOptions& options) {
  check(layer, "search");
  check(device);
  check(constraints, device);
  check(options);
  if (const auto refusal = exact_refuses(layer, device, constraints))
    fail("energy-latency front", fmt::format("it needs the exact search: {}", *refusal));
  return exact_front(layer, precision, device, constraints, options);
}

}  // namespace instantnet::mapper
