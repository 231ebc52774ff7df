#include "instantnet/cli/precisions.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include "instantnet/core/error.h"
#include "instantnet/core/tree.h"

namespace instantnet::cli {
namespace {

/// "layer=4,other=w4a8" as a map.
Tree parse_pairs(const std::string& text) {
  Tree map = Tree::map();
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    const std::string pair = text.substr(at, comma - at);
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0)
      fail("--precisions",
           fmt::format("'{}' is not LAYER=BITS; give for example stem=8,fc=w4a8.", pair));
    map.set(pair.substr(0, equals), Tree::of(pair.substr(equals + 1)));
    at = comma + 1;
  }
  return map;
}

size_t find_layer(const std::vector<NamedLayer>& all, const std::string& name) {
  std::vector<std::string> names;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].name == name) return i;
    names.push_back(all[i].name);
  }
  fail("layer", fmt::format("there is no convolution or linear layer '{}'{}", name,
                            suggestion(name, names)));
}

}  // namespace

std::vector<int> parse_bits(const std::string& text, const std::vector<int>& all,
                            const CheckWidth& check) {
  if (text == "all") return all;
  std::vector<int> bits;
  const char *at = text.data(), *const end = at + text.size();
  while (true) {
    int one = 0;
    const auto [after, error] = std::from_chars(at, end, one);
    if (error != std::errc() || (after != end && *after != ','))
      fail("--bits",
           fmt::format("'{}' is no list of bit-widths; give all, or for example 4,8.", text));
    check(one);
    if (std::find(bits.begin(), bits.end(), one) != bits.end())
      fail("--bits", fmt::format("{} is given twice in '{}'.", one, text));
    bits.push_back(one);
    if (after == end) return bits;
    at = after + 1;
  }
}

std::vector<Precision> parse_precisions(const std::string& given, const NetworkSpec& spec,
                                        int others, const CheckWidth& check) {
  const bool inline_pairs = given.find('=') != std::string::npos;
  const Tree map = inline_pairs ? parse_pairs(given) : read_yaml(given);
  const std::string where = inline_pairs ? "--precisions" : given;
  if (map.kind != Tree::Kind::Map)
    fail(where, "is no map; give lines such as 'stem: 8' or 'fc: w4a8'.");
  const std::vector<NamedLayer> all = layers(spec);
  std::vector<Precision> precisions(all.size(), Precision{others, others});
  for (const auto& [name, value] : map.entries) {
    const size_t at = find_layer(all, name);
    precisions[at] = parse_precision(value.as_string(), where + ": " + name);
    if (all[at].bits != 0)
      fail(where, fmt::format("layer '{}' always runs at {} bits; name switchable layers only.",
                              name, all[at].bits));
    check(precisions[at].weight);
    check(precisions[at].activation);
  }
  return precisions;
}

}  // namespace instantnet::cli
