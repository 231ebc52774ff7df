// Arithmetic on shapes, as exporters write it before a Reshape, an Expand or a Slice: short integer
// lists are followed by value.
#include <algorithm>
#include <map>

#include "instantnet/interop/onnx_step.h"

namespace instantnet::interop {
namespace {

/// Elements are combined one by one; a single one goes with all of the other.
template <class Combine>
OnnxSizes elementwise(const OnnxStep& step, Combine combine) {
  const OnnxSizes& left = step.values(0);
  const OnnxSizes& right = step.values(1);
  if (left.size() != right.size() && left.size() != 1 && right.size() != 1)
    throw OnnxUnknown{"its operands differ in length"};
  const bool empty = left.empty() || right.empty();
  OnnxSizes result(empty ? 0 : std::max(left.size(), right.size()));
  for (size_t i = 0; i < result.size(); ++i)
    result[i] = combine(left[left.size() == 1 ? 0 : i], right[right.size() == 1 ? 0 : i]);
  return result;
}

[[noreturn]] void overflow() { throw OnnxUnknown{"its values are too large"}; }

int64_t sum(int64_t a, int64_t b) {
  int64_t c;
  if (__builtin_add_overflow(a, b, &c)) overflow();
  return c;
}

int64_t difference(int64_t a, int64_t b) {
  int64_t c;
  if (__builtin_sub_overflow(a, b, &c)) overflow();
  return c;
}

int64_t times(int64_t a, int64_t b) {
  int64_t c;
  if (__builtin_mul_overflow(a, b, &c)) overflow();
  return c;
}

/// Toward zero, as ONNX divides integers.
int64_t quotient(int64_t a, int64_t b) {
  if (b == 0 || (b == -1 && a == INT64_MIN)) overflow();
  return a / b;
}

OnnxSizes gathered(const OnnxStep& step) {
  const OnnxSizes& data = step.values(0);
  OnnxSizes result;
  for (const int64_t index : step.values(1)) result.push_back(data[step.axis(index, data.size())]);
  return result;
}

OnnxSizes joined(const OnnxStep& step) {
  OnnxSizes result;
  for (size_t i = 0; i < step.inputs(); ++i) {
    const OnnxSizes& part = step.values(i);
    result.insert(result.end(), part.begin(), part.end());
  }
  return result;
}

/// data[start:end] of a list; other steps than 1 do not occur in arithmetic on shapes.
OnnxSizes sliced(const OnnxStep& step) {
  const OnnxSizes& data = step.values(0);
  const OnnxSizes starts = step.list("starts", 1), ends = step.list("ends", 2);
  const OnnxSizes steps = step.optional_list("steps", 4).value_or(OnnxSizes{1});
  if (starts.size() != 1 || ends.size() != 1 || steps != OnnxSizes{1})
    throw OnnxUnknown{"it takes more than a stretch of a list"};
  const auto length = static_cast<int64_t>(data.size());
  const auto place = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? std::max(at, -length) + length : at, 0, length);
  };
  const int64_t from = place(starts[0]), to = std::max(place(ends[0]), from);
  return {data.begin() + from, data.begin() + to};
}

OnnxSizes shape_values(const OnnxStep& step) {
  const OnnxSizes& shape = step.shape(0);
  const auto rank = static_cast<int64_t>(shape.size());
  const auto place = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? std::max(at, -rank) + rank : at, 0, rank);
  };
  const int64_t from = place(step.number("start", 0));
  const int64_t to = std::max(place(step.number("end", rank)), from);
  return {shape.begin() + from, shape.begin() + to};
}

using ValueRule = OnnxSizes (*)(const OnnxStep&);

const std::map<std::string, ValueRule>& value_rules() {
  static const std::map<std::string, ValueRule> rules = {
      {"Shape", shape_values},
      {"Size", [](const OnnxStep& s) { return OnnxSizes{onnx_product(s.shape(0))}; }},
      {"Identity", [](const OnnxStep& s) { return s.values(0); }},
      {"Cast", [](const OnnxStep& s) { return s.values(0); }},
      {"Squeeze", [](const OnnxStep& s) { return s.values(0); }},
      {"Unsqueeze", [](const OnnxStep& s) { return s.values(0); }},
      {"Reshape", [](const OnnxStep& s) { return s.values(0); }},
      {"Gather", gathered},
      {"Concat", joined},
      {"Slice", sliced},
      {"Add", [](const OnnxStep& s) { return elementwise(s, sum); }},
      {"Sub", [](const OnnxStep& s) { return elementwise(s, difference); }},
      {"Mul", [](const OnnxStep& s) { return elementwise(s, times); }},
      {"Div", [](const OnnxStep& s) { return elementwise(s, quotient); }},
      {"Min",
       [](const OnnxStep& s) {
         return elementwise(s, [](int64_t a, int64_t b) { return std::min(a, b); });
       }},
      {"Max",
       [](const OnnxStep& s) {
         return elementwise(s, [](int64_t a, int64_t b) { return std::max(a, b); });
       }},
      {"Equal",
       [](const OnnxStep& s) {
         return elementwise(s, [](int64_t a, int64_t b) { return int64_t{a == b}; });
       }},
  };
  return rules;
}

}  // namespace

void infer_values(OnnxStep& step) {
  const auto rule = value_rules().find(step.node().op);
  if (rule == value_rules().end()) return;
  try {
    step.set_values(rule->second(step));
  } catch (const OnnxUnknown&) {
    // Values are known or not; a rule that needs them says what is missing.
  }
}

}  // namespace instantnet::interop
