#include "instantnet/runtime/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "instantnet/core/error.h"
#include "instantnet/runtime/plan_float.h"
#include "instantnet/runtime/plan_tensors.h"

namespace instantnet::runtime {
namespace {

constexpr int64_t kMostArenaBytes = int64_t{1} << 32;

class Planner {
 public:
  Planner(const Source& source, const Kernels& kernels, Plan& plan)
      : graph_(source.graph()),
        kernels_(kernels),
        plan_(plan),
        forms_(plan.prepared.forms),
        tensors_(forms_.size()),
        readers_(forms_.size()),
        done_(forms_.size(), false) {}

  void run() {
    for (size_t f = 0; f < forms_.size(); ++f)
      for (const int input : forms_[f].inputs)
        readers_[static_cast<size_t>(input)].push_back(static_cast<int>(f));
    for (int f = 0; f < static_cast<int>(forms_.size()); ++f) tensors_.view(f) = unplaced(f);
    for (int f = 0; f < static_cast<int>(forms_.size()); ++f)
      if (!done_[static_cast<size_t>(f)]) add_step(f);
    tensors_.touch(plan_.prepared.output, static_cast<int>(plan_.steps.size()));
    plan_.arena_bytes = tensors_.place();
    for (Step& step : plan_.steps) place(step);
    plan_.logits = tensors_.view(plan_.prepared.output);
    plan_.fraction = form(plan_.prepared.output).fraction;
  }

 private:
  const Form& form(int f) const { return forms_[static_cast<size_t>(f)]; }
  const std::vector<int>& readers(int f) const { return readers_[static_cast<size_t>(f)]; }

  View unplaced(int f) const {
    int halo = 0;
    for (const int reader : readers(f))
      if (form(reader).rule == Rule::Layer)
        halo = std::max(halo, problem(form(reader).layer).shape.padding);
    const Form& one = form(f);
    return PlanTensors::shaped(
        one.shape, one.kind == FormKind::Stream ? Element::I32 : one.format.element(), halo);
  }

  const ConvProblem& problem(int layer) const {
    return plan_.prepared.layers[static_cast<size_t>(layer)].problem;
  }

  // Steps hold numbers of tensors in View::offset until all tensors have places.
  View named(int f) const {
    View view = tensors_.view(f);
    view.offset = f;
    return view;
  }
  View reads(int f) {
    tensors_.touch(f, here());
    return named(f);
  }
  View writes(int f, Step& step) {
    tensors_.touch(f, here());
    step.outputs.push_back({named(f), form(f).format.zero, f});
    done_[static_cast<size_t>(f)] = true;
    return named(f);
  }
  int here() const { return static_cast<int>(plan_.steps.size()); }

  void place(View& view) const {
    view.offset = tensors_.view(static_cast<int>(view.offset)).offset;
  }

  void add_step(int f) {
    Step step;
    const Form& one = form(f);
    step.rows = static_cast<int>(one.shape.height);
    step.channels = static_cast<int>(one.shape.channels);
    step.work = one.shape.height * one.shape.width * one.shape.channels;
    switch (one.rule) {
      case Rule::Pixels:
      case Rule::Table:
        step.what = InputStep{writes(f, step), one.table.empty() ? nullptr : one.table.data(),
                              nullptr, nullptr};
        break;
      case Rule::Layer:
        step.what = layer(f, step);
        break;
      case Rule::Add:
        step.what = addition(f, step);
        break;
      case Rule::Recode:
        step.what = recoding(one.inputs[0], step);
        break;
      case Rule::Average:
      case Rule::Maximum:
        step.what = pool(f, step);
        break;
      case Rule::Shuffle:
      case Rule::Flatten:
        step.what = move(f, step);
        break;
    }
    plan_.steps.push_back(std::move(step));
  }

  /// Codes made from stream f, as targets of the step that makes it.
  std::vector<CodeTarget> recodes(int f, Step& step) {
    std::vector<CodeTarget> targets;
    for (const int reader : readers(f))
      if (form(reader).rule == Rule::Recode)
        targets.push_back({form(reader).requant.view(), writes(reader, step)});
    return targets;
  }

  /// Something else than codes needs the stream.
  bool stays(int f) const {
    return f == plan_.prepared.output ||
           std::any_of(readers(f).begin(), readers(f).end(),
                       [&](int reader) { return form(reader).rule != Rule::Recode; });
  }

  /// The addition that can be joined to layer form f: of two streams, the other one computed
  /// before, and the only reader of f. -1 when there is none.
  int joined_addition(int f) const {
    if (f == plan_.prepared.output || readers(f).size() != 1) return -1;
    const Form& reader = form(readers(f)[0]);
    if (reader.rule != Rule::Add || reader.inputs.size() != 2) return -1;
    return done_[static_cast<size_t>(other_input(reader, f))] ? readers(f)[0] : -1;
  }
  static int other_input(const Form& addition, int f) {
    return addition.inputs[addition.inputs[0] == f ? 1 : 0];
  }

  ConvStep layer(int f, Step& step) {
    const Form& one = form(f);
    ConvStep conv;
    conv.layer = one.layer;
    conv.problem = problem(one.layer);
    conv.call.input = reads(one.inputs[0]);
    conv.call.borders = plan_.prepared.layers[static_cast<size_t>(one.layer)].borders.view();
    step.work *= conv.problem.shape.taps();
    plan_.scratch_bytes =
        std::max(plan_.scratch_bytes, static_cast<int64_t>(kernels_.scratch_bytes(conv.problem)));
    if (one.kind == FormKind::Codes)
      direct_codes(f, conv, step);
    else
      stream(f, conv, step);
    return conv;
  }

  /// All codes of the layer's value, which are the forms from f on.
  void direct_codes(int f, ConvStep& conv, Step& step) {
    for (int each = f; each < static_cast<int>(forms_.size()) && form(each).rule == Rule::Layer &&
                       form(each).layer == conv.layer;
         ++each)
      conv.targets.push_back({form(each).requant.view(), writes(each, step)});
  }

  void stream(int f, ConvStep& conv, Step& step) {
    Epilogue& epilogue = conv.call.epilogue;
    epilogue.to_stream = true;
    epilogue.requant = form(f).requant.view();
    int last = f;
    done_[static_cast<size_t>(f)] = true;
    if (const int addition = joined_addition(f); addition >= 0) {
      last = addition;
      epilogue.has_addend = true;
      epilogue.addend = reads(other_input(form(addition), f));
      epilogue.add_least = form(addition).least;
      epilogue.add_most = form(addition).most;
      done_[static_cast<size_t>(addition)] = true;
    }
    epilogue.store_stream = stays(last);
    if (epilogue.store_stream) epilogue.stream = writes(last, step);
    conv.targets = recodes(last, step);
  }

  CombineStep addition(int f, Step& step) {
    CombineStep combine;
    for (const int input : form(f).inputs) combine.inputs.push_back(reads(input));
    combine.call.least = form(f).least;
    combine.call.most = form(f).most;
    combine.call.store_stream = stays(f);
    if (combine.call.store_stream) combine.call.stream = writes(f, step);
    done_[static_cast<size_t>(f)] = true;
    combine.targets = recodes(f, step);
    return combine;
  }

  CombineStep recoding(int stream, Step& step) {
    CombineStep combine;
    combine.inputs = {reads(stream)};
    combine.call.least = INT32_MIN;
    combine.call.most = INT32_MAX;
    combine.targets = recodes(stream, step);
    return combine;
  }

  PoolStep pool(int f, Step& step) {
    PoolStep pool;
    pool.call = pool_of(graph_, form(f).value);
    pool.average = form(f).rule == Rule::Average;
    pool.call.input = reads(form(f).inputs[0]);
    pool.call.output = writes(f, step);
    step.work *= int64_t{pool.call.kernel_height} * pool.call.kernel_width;
    return pool;
  }

  MoveStep move(int f, Step& step) {
    MoveStep move = move_of(graph_, form(f).value);
    move.input = reads(form(f).inputs[0]);
    move.output = writes(f, step);
    return move;
  }

  /// Numbers of tensors become places.
  void place(Step& step) const {
    for (Step::Output& output : step.outputs) place(output.view);
    if (auto* input = std::get_if<InputStep>(&step.what)) {
      place(input->to);
    } else if (auto* conv = std::get_if<ConvStep>(&step.what)) {
      place(conv->call.input);
      Epilogue& epilogue = conv->call.epilogue;
      if (epilogue.has_addend) place(epilogue.addend);
      if (epilogue.store_stream) place(epilogue.stream);
      for (CodeTarget& target : conv->targets) place(target.to);
      epilogue.codes = conv->targets;
    } else if (auto* combine = std::get_if<CombineStep>(&step.what)) {
      for (View& one : combine->inputs) place(one);
      if (combine->call.store_stream) place(combine->call.stream);
      for (CodeTarget& target : combine->targets) place(target.to);
      combine->call.inputs = combine->inputs;
      combine->call.codes = combine->targets;
    } else if (auto* pool = std::get_if<PoolStep>(&step.what)) {
      place(pool->call.input);
      place(pool->call.output);
    } else if (auto* move = std::get_if<MoveStep>(&step.what)) {
      place(move->input);
      place(move->output);
    }
  }

  const Graph& graph_;
  const Kernels& kernels_;
  Plan& plan_;
  const std::vector<Form>& forms_;
  PlanTensors tensors_;
  std::vector<std::vector<int>> readers_;
  std::vector<bool> done_;
};

}  // namespace

std::unique_ptr<const Plan> make_plan(const Source& source, const std::vector<Precision>& asked,
                                      const Kernels& kernels) {
  auto plan = std::make_unique<Plan>();
  plan->precisions = asked;
  plan->is_float = asked[0].is_float();
  if (plan->is_float) {
    plan_float(source, kernels, *plan);
  } else {
    plan->prepared = prepare(source, asked);
    Planner(source, kernels, *plan).run();
  }
  if (plan->arena_bytes > kMostArenaBytes)
    fail(fmt::format("model '{}'", source.model().spec.name),
         fmt::format("one image needs {} MiB of memory; at most {} MiB are given.",
                     plan->arena_bytes >> 20, kMostArenaBytes >> 20));
  return plan;
}

}  // namespace instantnet::runtime
