#include "instantnet/runtime/model_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "instantnet/core/checksum.h"
#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/format.h"
#include "instantnet/runtime/file_bytes.h"
#include "instantnet/runtime/model_sections.h"

namespace instantnet::runtime {
namespace {

constexpr std::string_view kMagic("SPNET\r\n\x1a", 8);
constexpr size_t kAlign = 64, kHeader = 32, kEntry = 40, kName = 16;
constexpr uint32_t kMostSections = 64;

size_t aligned(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

std::string header(std::string_view table, size_t sections, size_t file_bytes) {
  ByteWriter out;
  out.raw(kMagic);
  out.number(static_cast<uint32_t>(kModelFormat.newest));
  out.number(static_cast<uint32_t>(sections));
  out.number(static_cast<uint64_t>(file_bytes));
  out.number(checksum(table));
  return out.bytes();
}

/// What the header says, after everything it says was checked.
size_t section_count(std::string_view bytes, const std::string& where) {
  if (bytes.substr(0, kMagic.size()) != kMagic)
    fail(where, "this is not a model file; give one that `instantnet freeze` has written.");
  ByteReader in(bytes.substr(0, kHeader), where, 0);
  in.numbers<uint8_t>(kMagic.size());
  const auto version = in.number<uint32_t>();
  check_version(kModelFormat, version, where);
  const auto count = in.number<uint32_t>();
  if (count > kMostSections)
    in.fail_here(fmt::format("it lists {} sections; at most {} exist.", count, kMostSections));
  const auto size = in.number<uint64_t>();
  if (size != bytes.size())
    in.fail_here(fmt::format("the file should have {} bytes but has {}; it was cut or changed.",
                             size, bytes.size()));
  return count;
}

/// The next section's table entry; `end` is where the file's used part ends so far.
FileSection read_entry(ByteReader& in, std::string_view bytes, size_t end) {
  FileSection section;
  const std::vector<char> name = in.numbers<char>(kName);
  section.name.assign(name.begin(), std::find(name.begin(), name.end(), '\0'));
  section.offset = in.number<uint64_t>();
  section.bytes = in.number<uint64_t>();
  section.checksum = in.number<uint64_t>();
  if (section.offset != aligned(end) || section.offset > bytes.size() ||
      section.bytes > bytes.size() - section.offset)
    in.fail_here(
        fmt::format("section '{}' of {} bytes at byte {} does not lie in the file where "
                    "it should.",
                    section.name, section.bytes, section.offset));
  const std::string_view gap = bytes.substr(end, section.offset - end);
  if (std::any_of(gap.begin(), gap.end(), [](char c) { return c != 0; }))
    in.fail_here(fmt::format("the bytes before section '{}' are not zero; the file was changed.",
                             section.name));
  return section;
}

std::string_view part(std::string_view bytes, const FileSection& section) {
  return bytes.substr(section.offset, section.bytes);
}

}  // namespace

std::string print_container(const std::vector<Section>& all) {
  const size_t start = aligned(kHeader + kEntry * all.size());
  ByteWriter table;
  size_t end = start;
  for (const Section& section : all) {
    std::string name = section.name;
    name.resize(kName, '\0');
    table.raw(name);
    table.number(static_cast<uint64_t>(aligned(end)));
    table.number(static_cast<uint64_t>(section.bytes.size()));
    table.number(checksum(section.bytes));
    end = aligned(end) + section.bytes.size();
  }
  ByteWriter out;
  out.raw(header(table.bytes(), all.size(), end));
  out.raw(table.bytes());
  for (const Section& section : all) {
    out.align(kAlign);
    out.raw(section.bytes);
  }
  return out.bytes();
}

std::string print_model(const IntModel& model) {
  check(model);
  return print_container(print_sections(model));
}

std::vector<FileSection> parse_sections(std::string_view bytes, const std::string& where) {
  const size_t count = section_count(bytes, where);
  ByteReader start(bytes, where, 0);
  start.numbers<uint8_t>(kHeader - sizeof(uint64_t));
  const auto sum = start.number<uint64_t>();
  start.numbers<uint8_t>(count * kEntry);
  const std::string_view table = bytes.substr(kHeader, count * kEntry);
  if (checksum(table) != sum)
    fail(where, "the checksum of its table of sections does not fit; the file was changed.");
  ByteReader in(table, where, kHeader);
  std::vector<FileSection> found;
  size_t end = kHeader + count * kEntry;
  for (size_t i = 0; i < count; ++i) {
    found.push_back(read_entry(in, bytes, end));
    end = found.back().offset + found.back().bytes;
  }
  if (end != bytes.size())
    fail(where, fmt::format("{} bytes lie behind its last section.", bytes.size() - end));
  return found;
}

IntModel parse_model(std::string_view bytes, const std::string& where,
                     const std::shared_ptr<const void>& keeper) {
  std::vector<SectionView> all;
  for (const FileSection& section : parse_sections(bytes, where)) {
    const std::string_view content = part(bytes, section);
    if (checksum(content) != section.checksum)
      fail(where, fmt::format("the checksum of section '{}' (byte {}) does not fit; the file was "
                              "changed.",
                              section.name, section.offset));
    all.push_back({section.name, content, section.offset});
  }
  IntModel model = parse_model_sections(all, where, keeper);
  try {
    check(model);
  } catch (const Error& error) {
    fail(where, error.what());
  }
  return model;
}

void write_model(const IntModel& model, const std::string& path) {
  write_file_atomic(path, print_model(model));
}

IntModel read_model(const std::string& path) {
  const FileBytes file = map_file(path);
  return parse_model(file.bytes, path, file.keeper);
}

std::vector<FileSection> sections(const std::string& path) {
  const FileBytes file = map_file(path);
  std::vector<FileSection> found = parse_sections(file.bytes, path);
  for (FileSection& section : found) section.sha256 = sha256(part(file.bytes, section));
  return found;
}

}  // namespace instantnet::runtime
