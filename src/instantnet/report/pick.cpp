#include "instantnet/report/pick.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "instantnet/core/error.h"

namespace instantnet::report {

const Tree* find_at(const Tree& tree, std::initializer_list<const char*> path) {
  const Tree* at = &tree;
  for (const char* key : path) {
    at = at->kind == Tree::Kind::Map ? at->find(key) : nullptr;
    if (at == nullptr) return nullptr;
  }
  return at;
}

std::string text_at(const Tree& tree, std::initializer_list<const char*> path) {
  const Tree* found = find_at(tree, path);
  return found == nullptr || found->kind != Tree::Kind::Scalar ? std::string() : found->scalar;
}

int64_t int_at(const Tree& tree, std::initializer_list<const char*> path) {
  const Tree* found = find_at(tree, path);
  return found == nullptr ? 0 : found->as_int();
}

const Tree& need(const Tree& map, const char* key, const char* what) {
  const Tree* found = map.kind == Tree::Kind::Map ? map.find(key) : nullptr;
  if (found == nullptr) fail(map.where(), fmt::format("has no '{}'; {}.", key, what));
  return *found;
}

Tree number(const Tree& value) {
  const bool none = value.kind == Tree::Kind::Null ||
                    (value.kind == Tree::Kind::Scalar && !value.quoted &&
                     (value.scalar == ".nan" || value.scalar == ".inf" || value.scalar == "-.inf"));
  if (none) return {};
  value.as_double();
  return value;
}

Tree numbers(const Tree& map) {
  if (map.kind != Tree::Kind::Map)
    fail(map.where(), fmt::format("the value is {}; it should be a map of numbers.", map.given()));
  Tree all = Tree::map();
  for (const auto& [key, value] : map.entries) all.set(key, number(value));
  return all;
}

Tree number_list(const Tree& list) {
  if (list.kind != Tree::Kind::List)
    fail(list.where(),
         fmt::format("the value is {}; it should be a list of numbers.", list.given()));
  Tree all = Tree::list();
  for (const Tree& item : list.items) all.items.push_back(number(item));
  return all;
}

Tree text_list(const std::vector<std::string>& all) {
  Tree list = Tree::list();
  for (const std::string& one : all) list.items.push_back(Tree::of(one));
  return list;
}

int bits_of(const std::string& key, const Tree& value) {
  int bits = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), bits);
  if (error != std::errc() || end != key.data() + key.size() || bits < 1 || bits > 32)
    fail(value.where(), fmt::format("'{}' is no bit-width.", key));
  return bits;
}

void copy_number(Tree& to, const Tree& from, const char* key) {
  if (const Tree* found = from.find(key)) to.set(key, number(*found));
}

void copy_numbers(Tree& to, const Tree& from, const char* key) {
  if (const Tree* found = from.find(key)) to.set(key, numbers(*found));
}

void copy_text(Tree& to, const Tree& from, const char* key) {
  if (const Tree* found = from.find(key)) to.set(key, Tree::of(found->as_string()));
}

}  // namespace instantnet::report
