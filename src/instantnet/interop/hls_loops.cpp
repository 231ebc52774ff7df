#include "instantnet/interop/hls_loops.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "instantnet/interop/hls_layer.h"

namespace instantnet::interop::hls {
namespace {

using mapper::at;
using mapper::kAllTensors;

const std::vector<Dim> kWeightDims = {Dim::G, Dim::K, Dim::R, Dim::S, Dim::C};
const std::vector<Dim> kOutputDims = {Dim::P, Dim::Q, Dim::G, Dim::K};

/// Conditions joined by "&&".
struct Guards {
  std::vector<std::string> all;
  bool empty() const { return all.empty(); }
  std::string text() const { return fmt::format("{}", fmt::join(all, " && ")); }
};

class LoopWriter {
 public:
  LoopWriter(const Design& design, const LayerDesign& layer, const NestGroup& group,
             const NestText& text, Code& code)
      : design_(design),
        layer_(layer),
        group_(group),
        nest_(group.nest),
        text_(text),
        code_(&code),
        multipliers_(group.nest.multipliers()) {}

  void write() {
    code_->open(fmt::format("void {}(int width, const master_t* weights, const {}* in{}{}{}) {{",
                            text_.name, text_.input, layer_.sbm ? ", const sum_t* boxes" : "",
                            spills(group_) ? ", sum_t* partial" : "", text_.outputs));
    declare();
    if (spills(group_)) clear_partial();
    at_depth(0);
    for (size_t i = 0; i < nest_.time.size(); ++i) {
      open_time(i);
      at_depth(i + 1);
    }
    step();
    for (size_t i = nest_.time.size() + 1; i-- > 0;) {
      drain_at(i);
      if (i > 0) code_->close();
    }
    if (spills(group_)) finish_partial();
    code_->close();
  }

 private:
  // ---- Memories.

  std::vector<Memory> own_memories() const {
    return memories_of(nest_, group_.codes, group_.inputs, group_.sums);
  }

  bool has_instances(size_t level, Tensor t) const {
    for (const Memory& memory : design_.shared[level] ? design_.memories : own_memories())
      if (memory.level == level && memory.tensor == t) return memory.instances > 1;
    return false;
  }

  /// That the plan lets a level read.
  int64_t words_a_cycle(size_t level) const {
    const mapper::Bandwidth& bandwidth = design_.device.levels[level].bandwidth;
    return static_cast<int64_t>(std::max(bandwidth.read, bandwidth.total));
  }

  void declare() {
    for (const Memory& memory : own_memories()) {
      const std::string& level = nest_.levels[memory.level];
      if (!design_.shared[memory.level])
        code_->line(fmt::format("static {};", memory_declaration(level, memory)));
      if (memory.instances > 1)
        code_->line(fmt::format("IN_PARTITION({})", memory_name(level, memory.tensor)));
      else if (const int64_t banks = words_a_cycle(memory.level); banks > 1)
        code_->line(fmt::format("IN_BANKS({}, {})", memory_name(level, memory.tensor), banks));
    }
    const int64_t lanes = nest_.instances[multipliers_];
    code_->line(fmt::format("weight_operand_t weight[{}];", lanes));
    code_->line(fmt::format("input_operand_t input[{}];", lanes));
    code_->line(fmt::format("product_t product[{}];", lanes));
    for (const char* name : {"weight", "input", "product"})
      code_->line(fmt::format("IN_PARTITION({})", name));
  }

  /// Which instance of a level, inside the loops of open_space.
  std::string instance_text(size_t level) const {
    if (nest_.instances[level] == 1) return "0";
    return nest_.instances[level] == named_instances_ ? "unit" : flat_index(nest_.instance(level));
  }

  /// An element of a memory on the chip.
  std::string element(size_t level, Tensor t, const std::vector<Index>& indices) const {
    const std::string name = memory_name(nest_.levels[level], t);
    if (!has_instances(level, t)) return fmt::format("{}[{}]", name, flat_index(indices));
    return fmt::format("{}[{}][{}]", name, instance_text(level), flat_index(indices));
  }

  // ---- Coordinates.

  /// A dim's place in a tile of level `from`: loops at levels from .. to - 1, and a variable.
  Linear place(Dim d, size_t from, size_t to, bool variable) const {
    Linear sum = nest_.coordinate(d, from, to);
    if (variable && tile(to, d) > 1) sum.add(mapper::to_string(d), 1, tile(to, d) - 1);
    return sum;
  }

  int64_t tile(size_t level, Dim d) const { return nest_.tile[level][at(d)]; }

  std::vector<Index> indices(const std::vector<Dim>& dims, size_t from, size_t to,
                             bool variables) const {
    std::vector<Index> all;
    for (const Dim d : dims)
      all.push_back(
          {place(d, from, to, variables), from == 0 ? nest_.bounds[at(d)] : tile(from, d)});
    return all;
  }

  /// Row (P, R, "h") or column (Q, S, "w") in a window of level `from`.
  Linear row(Dim position, Dim filter, const char* name, size_t from, size_t to) const {
    Linear sum = nest_.position(position, filter, from, to);
    if (to == multipliers_) return sum;
    const int64_t extent = nest_.extent(to, position, filter);
    if (extent > 1) sum.add(name, 1, extent - 1);
    return sum;
  }

  std::vector<Index> input_indices(size_t from, size_t to) const {
    const bool variables = to != multipliers_;
    return {{row(Dim::P, Dim::R, "h", from, to), nest_.extent(from, Dim::P, Dim::R)},
            {row(Dim::Q, Dim::S, "w", from, to), nest_.extent(from, Dim::Q, Dim::S)},
            {place(Dim::G, from, to, variables), tile(from, Dim::G)},
            {place(Dim::C, from, to, variables), tile(from, Dim::C)}};
  }

  /// An input off the chip, by absolute place.
  std::string input_off_chip(size_t to) const {
    const bool variables = to != multipliers_;
    const auto shifted = [&](const Linear& place) {
      return layer_.padding > 0 ? fmt::format("{} - {}", place.text(), layer_.padding)
                                : place.text();
    };
    const std::vector<Index> channel = {
        {place(Dim::G, 0, to, variables), nest_.bounds[at(Dim::G)]},
        {place(Dim::C, 0, to, variables), nest_.bounds[at(Dim::C)]}};
    return fmt::format("input_at(in, {}, {}, {}, width)", shifted(row(Dim::P, Dim::R, "h", 0, to)),
                       shifted(row(Dim::Q, Dim::S, "w", 0, to)), flat_index(channel));
  }

  /// Dims whose loops go beyond the layer, of those given.
  Guards inside(const std::vector<Dim>& dims, size_t to, bool variables) const {
    Guards guards;
    for (const Dim d : dims) {
      const Linear where = place(d, 0, to, variables);
      if (where.most >= nest_.bounds[at(d)])
        guards.all.push_back(fmt::format("{} < {}", where.text(), nest_.bounds[at(d)]));
    }
    return guards;
  }

  // ---- Loops.

  void open_for(const std::string& name, int64_t bound, const char* pragma) {
    code_->open(fmt::format("for (int {0} = 0; {0} < {1}; ++{0}) {{{2}", name, bound, pragma));
  }

  /// How many steps a cycle, or cycles a step, all widths of the nest have.
  std::string step_pragma() const {
    const double rate = group_.macs_per_cycle;
    const auto packed = static_cast<int64_t>(rate);
    if (packed >= 2) return fmt::format(" IN_PIPELINE(1) IN_PACKED({})", packed);
    return fmt::format(" IN_PIPELINE({})",
                       rate < 1 ? static_cast<int64_t>(std::ceil(1 / rate)) : 1);
  }

  void open_time(size_t i) {
    const NestLoop& loop = nest_.time[i];
    const bool innermost = i + 1 == nest_.time.size();
    code_->open(
        fmt::format("for (int {0} = 0; {0} < {1}; ++{0}) {{{2}  // {3}: {4} in steps of {5}",
                    loop.name, loop.bound, innermost ? step_pragma() : "", nest_.levels[loop.level],
                    mapper::to_string(loop.dim), loop.stride));
    if (loop.level + 1 == nest_.levels.size()) return;
    Linear begin;
    for (size_t j = 0; j <= i; ++j)
      if (nest_.time[j].dim == loop.dim)
        begin.add(nest_.time[j].name, nest_.time[j].stride, nest_.time[j].bound - 1);
    const int64_t bound = nest_.bounds[at(loop.dim)];
    if (begin.most >= bound) code_->line(fmt::format("if ({} >= {}) break;", begin.text(), bound));
  }

  /// What `body` writes for each instance of a level, side by side: `unit` counts them, and the
  /// variables of the loops over space are where it stands.
  template <class Body>
  void for_units(size_t level, const Body& body) {
    named_instances_ = nest_.instances[level];
    if (named_instances_ == 1) return body();
    Code inside(code_->depth() + 1);
    Code* const outside = std::exchange(code_, &inside);
    body();
    code_ = outside;
    open_for("unit", named_instances_, " IN_UNROLL");
    const std::string places = places_of_unit(level, inside.text());
    if (!places.empty()) code_->line(fmt::format("const int {};", places));
    code_->append(inside);
    code_->close();
  }

  /// "k1u = unit / 9, r1u = unit / 3 % 3": of the loops over space that the text mentions.
  std::string places_of_unit(size_t level, const std::string& text) const {
    std::vector<std::string> places;
    int64_t inside = nest_.instances[level];
    bool first = true;
    for (const NestLoop& loop : nest_.space) {
      if (loop.level >= level) continue;
      inside /= loop.bound;
      std::string place = inside > 1 ? fmt::format("unit / {}", inside) : "unit";
      if (!first) place += fmt::format(" % {}", loop.bound);
      first = false;
      if (mentions(text, loop.name)) places.push_back(fmt::format("{} = {}", loop.name, place));
    }
    return fmt::format("{}", fmt::join(places, ", "));
  }

  size_t open_tile(size_t level, const std::vector<Dim>& dims) {
    std::vector<std::pair<std::string, int64_t>> loops;
    for (const Dim d : dims) loops.emplace_back(mapper::to_string(d), tile(level, d));
    return open_loops(loops);
  }

  size_t open_window(size_t level) {
    return open_loops({{"h", nest_.extent(level, Dim::P, Dim::R)},
                       {"w", nest_.extent(level, Dim::Q, Dim::S)},
                       {"g", tile(level, Dim::G)},
                       {"c", tile(level, Dim::C)}});
  }

  size_t open_loops(const std::vector<std::pair<std::string, int64_t>>& loops) {
    std::vector<std::pair<std::string, int64_t>> real;
    for (const auto& loop : loops)
      if (loop.second > 1) real.push_back(loop);
    for (size_t i = 0; i < real.size(); ++i)
      open_for(real[i].first, real[i].second, i + 1 == real.size() ? " IN_PIPELINE(1)" : "");
    return real.size();
  }

  /// A statement under a condition, if there is one.
  void put_guarded(const Guards& guards, const std::string& statement) {
    if (guards.empty()) return code_->line(statement);
    code_->open(fmt::format("if ({})", guards.text()));
    code_->line(statement);
    code_->end();
  }

  void close(size_t count) {
    for (; count > 0; --count) code_->close();
  }

  // ---- Transfers.

  void at_depth(size_t depth) {
    for (size_t l = 1; l < nest_.levels.size(); ++l)
      for (const Transfer& transfer : nest_.transfers) {
        if (transfer.loops != depth || transfer.inner != l) continue;
        if (transfer.tensor == Tensor::Weights) load_weights(transfer);
        if (transfer.tensor == Tensor::Inputs) load_inputs(transfer);
        if (transfer.tensor == Tensor::Outputs) clear_outputs(transfer);
      }
  }

  void drain_at(size_t depth) {
    for (size_t l = nest_.levels.size(); l-- > 1;)
      for (const Transfer& transfer : nest_.transfers)
        if (transfer.loops == depth && transfer.inner == l && transfer.tensor == Tensor::Outputs)
          drain_outputs(transfer);
  }

  void comment(const Transfer& transfer, const char* arrow, const char* what = "") {
    const int64_t instances = nest_.instances[transfer.inner];
    const int64_t count = nest_.elements(transfer.inner, transfer.tensor);
    std::string tensor = mapper::to_string(transfer.tensor);
    if (count == 1) tensor.pop_back();
    code_->line(fmt::format("// {} {} {}: {} {}{}{}", nest_.levels[transfer.inner], arrow,
                            nest_.levels[transfer.outer], count, tensor, what,
                            instances > 1 ? fmt::format(" in each of {}", instances) : ""));
  }

  void load_weights(const Transfer& transfer) {
    const auto [tensor, outer, inner, loops] = transfer;
    comment(transfer, "<-");
    for_units(inner, [&, tensor = tensor, outer = outer, inner = inner] {
      const size_t opened = open_tile(inner, kWeightDims);
      const std::vector<Index> from = indices(kWeightDims, outer, inner, true);
      put_guarded(
          inside(kWeightDims, inner, true),
          fmt::format("{} = {};", element(inner, tensor, own_indices(kWeightDims, inner)),
                      outer == 0 ? fmt::format("narrow(weights[{}], width)", flat_index(from))
                                 : element(outer, tensor, from)));
      close(opened);
    });
  }

  /// The variables of loops over a tile.
  std::vector<Index> own_indices(const std::vector<Dim>& dims, size_t level) const {
    std::vector<Index> all;
    for (const Dim d : dims) all.push_back({place(d, level, level, true), tile(level, d)});
    return all;
  }

  void load_inputs(const Transfer& transfer) {
    const auto [tensor, outer, inner, loops] = transfer;
    comment(transfer, "<-");
    Guards guards = inside({Dim::G, Dim::C}, inner, true);
    const std::vector<Index> from = input_indices(outer, inner);
    // A window at the edge may reach out of the tile around it.
    for (size_t axis = 0; axis < 2 && outer > 0; ++axis)
      if (from[axis].at.most >= from[axis].extent)
        guards.all.push_back(fmt::format("{} < {}", from[axis].at.text(), from[axis].extent));
    for_units(inner, [&, tensor = tensor, outer = outer, inner = inner] {
      const size_t opened = open_window(inner);
      put_guarded(guards,
                  fmt::format("{} = {};", element(inner, tensor, input_indices(inner, inner)),
                              outer == 0 ? input_off_chip(inner) : element(outer, tensor, from)));
      close(opened);
    });
  }

  void clear_outputs(const Transfer& transfer) {
    const int64_t instances = nest_.instances[transfer.inner];
    code_->line(fmt::format("// {}: {} sum{}{} from 0 on", nest_.levels[transfer.inner],
                            nest_.elements(transfer.inner, transfer.tensor),
                            nest_.elements(transfer.inner, transfer.tensor) > 1 ? "s" : "",
                            instances > 1 ? fmt::format(" in each of {}", instances) : ""));
    for_units(transfer.inner, [&] {
      const size_t opened = open_tile(transfer.inner, kOutputDims);
      code_->line(fmt::format("{} = 0;", element(transfer.inner, transfer.tensor,
                                                 own_indices(kOutputDims, transfer.inner))));
      close(opened);
    });
  }

  void drain_outputs(const Transfer& transfer) {
    const auto [tensor, outer, inner, loops] = transfer;
    const bool done = outer == 0 && nest_.finishes_once;
    comment(transfer, "->", done ? ", finished" : " added");
    for_units(inner, [&, tensor = tensor, outer = outer, inner = inner] {
      const size_t opened = open_tile(inner, kOutputDims);
      const std::string sum = element(inner, tensor, own_indices(kOutputDims, inner));
      const std::vector<Index> to = indices(kOutputDims, outer, inner, true);
      std::string statement = fmt::format("partial[{}] += {};", flat_index(to), sum);
      if (outer > 0)
        statement = fmt::format("{} += {};", element(outer, tensor, to), sum);
      else if (nest_.finishes_once)
        statement = finish(to, sum) + ";";
      put_guarded(inside(kOutputDims, inner, true), statement);
      close(opened);
    });
  }

  /// A call of finish() for indices p, q, g, k of the layer.
  std::string finish(const std::vector<Index>& where, const std::string& sum) const {
    return fmt::format("finish(width, {}, {}, {}, {}{}{})", where[0].at.text(), where[1].at.text(),
                       flat_index({where[2], where[3]}), sum, layer_.sbm ? ", boxes" : "",
                       text_.arguments);
  }

  void clear_partial() {
    code_->line("// Sums leave the chip before they are complete.");
    open_for("i", layer_.outputs(), " IN_PIPELINE(1)");
    code_->line("partial[i] = 0;");
    code_->close();
  }

  void finish_partial() {
    code_->line("// All sums are complete.");
    const LayerShape& s = layer_.shape;
    open_for("p", s.p, "");
    open_for("q", s.q, "");
    open_for("k", s.k, " IN_PIPELINE(1)");
    code_->line(fmt::format("finish(width, p, q, k, partial[(p * {} + q) * {} + k]{}{});", s.q, s.k,
                            layer_.sbm ? ", boxes" : "", text_.arguments));
    close(3);
  }

  // ---- One step.

  std::string weight_operand() const {
    const size_t home = nest_.home(Tensor::Weights);
    const std::vector<Index> from = indices(kWeightDims, home, multipliers_, false);
    if (home == 0)
      return fmt::format("weight_of(narrow(weights[{}], width), width)", flat_index(from));
    return fmt::format("weight_of({}, width)", element(home, Tensor::Weights, from));
  }

  std::string input_operand() const {
    const size_t home = nest_.home(Tensor::Inputs);
    if (home == 0) return input_off_chip(multipliers_);
    return fmt::format("static_cast<wide_t>({})",
                       element(home, Tensor::Inputs, input_indices(home, multipliers_)));
  }

  std::string output() const {
    const size_t home = nest_.home(Tensor::Outputs);
    const std::vector<Index> to = indices(kOutputDims, home, multipliers_, false);
    return home == 0 ? fmt::format("partial[{}]", flat_index(to))
                     : element(home, Tensor::Outputs, to);
  }

  void step() {
    const int64_t lanes = nest_.instances[multipliers_];
    const std::string lane = lanes > 1 ? "unit" : "0";
    const Guards guards =
        inside({mapper::kAllDims.begin(), mapper::kAllDims.end()}, multipliers_, false);
    code_->line(fmt::format("// One step of {} multiplier{}.", lanes, lanes > 1 ? "s" : ""));
    code_->line(fmt::format("IN_STEP({})", layer_.index));
    const auto guarded = [&](const std::string& value) {
      return guards.empty() ? value : fmt::format("works ? {} : 0", value);
    };
    for_units(multipliers_, [&] {
      if (!guards.empty()) code_->line(fmt::format("const bool works = {};", guards.text()));
      code_->line(fmt::format("weight[{}] = {};", lane, guarded(weight_operand())));
      code_->line(fmt::format("input[{}] = {};", lane, guarded(input_operand())));
    });
    code_->line(fmt::format("multiply(weight, input, product, {});", lanes));
    for_units(multipliers_,
              [&] { put_guarded(guards, fmt::format("{} += product[{}];", output(), lane)); });
  }

  const Design& design_;
  const LayerDesign& layer_;
  const NestGroup& group_;
  const Nest& nest_;
  const NestText& text_;
  Code* code_;
  const size_t multipliers_;
  int64_t named_instances_ = 1;  // that `unit` counts
};

}  // namespace

void write_loops(const Design& design, const LayerDesign& layer, const NestGroup& group,
                 const NestText& text, Code& code) {
  LoopWriter(design, layer, group, text, code).write();
}

}  // namespace instantnet::interop::hls
