// Parts of documents that other verbs wrote, with a sentence about what is not as they write it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "instantnet/core/tree.h"

namespace instantnet::report {

/// The entry of an entry ..., or nullptr.
const Tree* find_at(const Tree& tree, std::initializer_list<const char*> path);
/// Its text; empty when absent or no text.
std::string text_at(const Tree& tree, std::initializer_list<const char*> path);
/// Its value; 0 when absent. Error when it is no integer.
int64_t int_at(const Tree& tree, std::initializer_list<const char*> path);

/// The entry. Error "PLACE: has no 'key'; WHAT." when there is none.
const Tree& need(const Tree& map, const char* key, const char* what);

/// A finite number; null for nan and inf, which logs may hold. Error with file and line for
/// anything else.
Tree number(const Tree& value);
/// A map of numbers: losses by bit-width. Error likewise.
Tree numbers(const Tree& map);
/// A list of numbers, likewise.
Tree number_list(const Tree& list);
/// A list of texts.
Tree text_list(const std::vector<std::string>& all);
/// Keys of a map of bit-widths as integers; Error with file and line for one that is none.
int bits_of(const std::string& key, const Tree& value);

/// Copies `key` with its checked value; an absent one is left out.
void copy_number(Tree& to, const Tree& from, const char* key);
void copy_numbers(Tree& to, const Tree& from, const char* key);
void copy_text(Tree& to, const Tree& from, const char* key);

}  // namespace instantnet::report
