// Reads the sources and holds the rooms to the table of ARCHITECTURE.md: who may use whom, where
// torch may appear, what a public header may include, and that only cli prints, exits or reads the
// environment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

// ---- The table.

struct Room {
  std::set<std::string> may_use;
  bool torch = false;
};

const std::map<std::string, Room>& rooms() {
  static const std::map<std::string, Room> table = {
      {"core", {{}}},
      {"net", {{"core"}}},
      {"images", {{"core"}}},
      {"mapper", {{"core", "net"}}},
      {"runtime", {{"core", "net"}}},
      {"interop", {{"core", "net", "runtime", "mapper"}}},
      {"bundle", {{"core", "net", "mapper", "runtime"}}},
      {"flow", {{"core", "images"}}},
      {"report", {{"core", "net", "mapper", "bundle"}}},
      {"quant", {{"core", "net"}, true}},
      {"nn", {{"core", "net", "quant"}, true}},
      {"data", {{"core", "images"}, true}},
      {"train", {{"core", "net", "quant", "nn", "data"}, true}},
      {"nas", {{"core", "net", "quant", "nn", "data", "train"}, true}},
      {"freeze", {{"core", "net", "quant", "nn", "runtime"}, true}},
  };
  return table;
}

constexpr const char* kProgram = "cli";  // may use all rooms, print, exit

// ---- Reading sources.

struct Source {
  std::string path;  // relative to src/instantnet: "core/tree.cpp"
  std::string room() const { return path.substr(0, path.find('/')); }
  bool is_header() const { return path.ends_with(".h"); }
  std::vector<std::string>
      lines;  // comments and the text of literals blanked out, except in #include
};

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Where the literal or comment that starts at `at` ends, or `at` when none starts there.
size_t end_of_quiet(const std::string& text, size_t at) {
  const auto after = [&](const std::string& end, size_t from) {
    const size_t found = text.find(end, from);
    return found == std::string::npos ? text.size() : found + end.size();
  };
  if (text.compare(at, 2, "//") == 0) return std::min(text.find('\n', at), text.size());
  if (text.compare(at, 2, "/*") == 0) return after("*/", at + 2);
  if (text.compare(at, 2, "R\"") == 0) {
    const size_t open = text.find('(', at);
    return open == std::string::npos ? text.size()
                                     : after(")" + text.substr(at + 2, open - at - 2) + "\"", open);
  }
  const bool digit_before = at > 0 && std::isalnum(static_cast<unsigned char>(text[at - 1])) != 0;
  if (text[at] != '"' && (text[at] != '\'' || digit_before)) return at;  // 1'000 is no literal
  size_t end = at + 1;
  while (end < text.size() && text[end] != text[at] && text[end] != '\n')
    end += text[end] == '\\' ? 2 : 1;
  return std::min(end + 1, text.size());
}

/// The text with comments and literals turned into blanks; lines stay lines, and #include lines
/// stay as they are.
std::string without_quiet(const std::string& text) {
  std::string out = text;
  for (size_t at = 0; at < text.size();) {
    const size_t line = text.rfind('\n', at) + 1;
    const size_t end = end_of_quiet(text, at);
    const bool include =
        text[at] == '"' && text.substr(line, at - line).find("#include") != std::string::npos;
    for (size_t i = at; i < end && !include; ++i)
      if (text[i] != '\n') out[i] = ' ';
    at = std::max(end, at + 1);
  }
  return out;
}

std::vector<Source> sources_of(const fs::path& root) {
  std::vector<Source> sources;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const std::string extension = entry.path().extension().string();
    if (!entry.is_regular_file() || (extension != ".h" && extension != ".cpp")) continue;
    Source source{fs::relative(entry.path(), root).string(), {}};
    std::istringstream text(without_quiet(read(entry.path())));
    for (std::string line; std::getline(text, line);) source.lines.push_back(line);
    sources.push_back(std::move(source));
  }
  std::sort(sources.begin(), sources.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  return sources;
}

// ---- Rules. Each says what is wrong with a line, or nothing.

std::string without_blanks_before(const std::string& text) {
  const size_t at = text.find_first_not_of(" \t");
  return at == std::string::npos ? std::string() : text.substr(at);
}

/// "torch/torch.h" of a line that includes it, or nothing.
std::string included(const std::string& line) {
  std::string rest = without_blanks_before(line);
  if (!rest.starts_with('#')) return {};
  rest = without_blanks_before(rest.substr(1));
  if (!rest.starts_with("include")) return {};
  const size_t open = rest.find_first_of("<\""), close = rest.find_first_of(">\"", open + 1);
  if (open == std::string::npos || close == std::string::npos) return {};
  return rest.substr(open + 1, close - open - 1);
}

bool is_torch(const std::string& header) {
  for (const char* prefix : {"torch/", "ATen/", "c10/", "caffe2/"})
    if (header.starts_with(prefix)) return true;
  return false;
}

/// The C++ standard library has no folder and no ending. Intrinsics are the compiler's own, as it
/// is.
bool is_standard(const std::string& header) {
  return header.find_first_of("/.") == std::string::npos || header == "immintrin.h" ||
         header == "stddef.h" || header == "arm_neon.h";
}

std::string joined(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "nothing" : text;
}

std::string breach_of_include(const Source& source, const std::string& header) {
  const Room& room = rooms().at(source.room());
  if (header.starts_with("instantnet/")) {
    const std::string used = header.substr(11, header.find('/', 11) - 11);
    if (used == source.room() || room.may_use.count(used) != 0) return {};
    return "includes " + header + ": " + source.room() + " may use " + joined(room.may_use);
  }
  if (room.torch) return {};
  if (is_torch(header))
    return "includes " + header + ": " + source.room() + " is built without torch";
  if (source.is_header() && !is_standard(header))
    return "includes " + header + ": a header of " + source.room() +
           " may include the standard library and instantnet/ only";
  return {};
}

/// An identifier in a line, with the character before it and the one after it, blanks left out.
struct Word {
  std::string text;
  char before = ' ', after = ' ';
};

std::vector<Word> words_of(const std::string& line) {
  const auto in_word = [](char c) {
    return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0;
  };
  std::vector<Word> words;
  char before = ' ';
  for (size_t at = 0; at < line.size();) {
    size_t end = at;
    while (end < line.size() && in_word(line[end])) ++end;
    if (end == at) {
      if (line[at] != ' ') before = line[at];
      ++at;
      continue;
    }
    const size_t next = line.find_first_not_of(' ', end);
    words.push_back(
        {line.substr(at, end - at), before, next == std::string::npos ? ' ' : line[next]});
    before = ' ';
    at = end;
  }
  return words;
}

std::string breach_of_word(const Word& word) {
  static const std::set<std::string> streams = {"cout", "cerr", "clog", "stdout", "stderr"};
  static const std::set<std::string> printing = {"printf", "vprintf", "puts", "putchar", "perror"};
  static const std::set<std::string> exits = {"exit", "_exit", "_Exit", "quick_exit", "abort"};
  static const std::set<std::string> environment = {"getenv", "secure_getenv"};
  const bool call = word.after == '(' && word.before != '.' && word.before != '>';  // no member
  if (streams.count(word.text) != 0 || (call && printing.count(word.text) != 0))
    return "prints; only cli may";
  if (call && exits.count(word.text) != 0) return "exits; only cli may";
  if (call && environment.count(word.text) != 0) return "reads the environment; only cli may";
  return {};
}

std::string breach_of_code(const Source& source, const std::string& line) {
  if (source.is_header()) return {};
  for (const Word& word : words_of(line)) {
    const std::string breach = breach_of_word(word);
    if (!breach.empty()) return breach;
  }
  return {};
}

/// "src/instantnet/net/spec.cpp:3: includes ..." for every breach below `root` (src/instantnet).
std::vector<std::string> breaches(const fs::path& root) {
  std::vector<std::string> found;
  for (const Source& source : sources_of(root)) {
    if (source.room() == kProgram) continue;
    const bool known = rooms().count(source.room()) != 0;
    if (!known)
      found.push_back("src/instantnet/" + source.path + ":1: lies in no room of the table");
    for (size_t i = 0; known && i < source.lines.size(); ++i) {
      const std::string header = included(source.lines[i]);
      const std::string breach = header.empty() ? breach_of_code(source, source.lines[i])
                                                : breach_of_include(source, header);
      if (!breach.empty())
        found.push_back("src/instantnet/" + source.path + ":" + std::to_string(i + 1) + ": " +
                        breach + ".");
    }
  }
  return found;
}

// ---- The real sources.

TEST(Layers, EveryRoomKeepsToItsTable) {
  const fs::path root = fs::path(INSTANTNET_SOURCE_DIR) / "src" / "instantnet";
  EXPECT_GT(sources_of(root).size(), 10u);
  EXPECT_THAT(breaches(root), IsEmpty());
}

TEST(Layers, TheTableHasNoCircle) {
  for (const auto& [name, room] : rooms())
    for (const std::string& used : room.may_use) {
      EXPECT_EQ(rooms().at(used).may_use.count(name), 0u)
          << name << " and " << used << " use each other";
      EXPECT_TRUE(room.torch || !rooms().at(used).torch) << name << " gets torch through " << used;
    }
}

// ---- The checker itself, on planted breaches.

/// A folder of planted sources.
class Planted {
 public:
  Planted() {
    std::string name = (fs::temp_directory_path() / "instantnet-layers-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    root_ = name;
  }
  ~Planted() { fs::remove_all(root_); }
  Planted& file(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
    return *this;
  }
  std::vector<std::string> breaches() const { return ::breaches(root_); }

 private:
  fs::path root_;
};

std::vector<std::string> breaches_in(const std::string& path, const std::string& text) {
  return Planted().file(path, text).breaches();
}

TEST(LayersChecker, AcceptsWhatTheTableAllows) {
  Planted planted;
  planted.file("core/a.h", "#include <string>\n#include \"instantnet/core/b.h\"\n")
      .file("core/a.cpp", "#include <fmt/format.h>\n#include <unistd.h>\n")
      .file("train/a.h", "#include <ATen/core/Tensor.h>\n#include \"instantnet/nn/a.h\"\n")
      .file("cli/main.cpp",
            "#include \"instantnet/train/a.h\"\nint main() { std::cout << 1; exit(1); }\n");
  EXPECT_THAT(planted.breaches(), IsEmpty());
}

TEST(LayersChecker, FindsARoomThatMayNotBeUsed) {
  EXPECT_THAT(
      breaches_in("net/a.cpp", "\n#include \"instantnet/nn/layer.h\"\n"),
      ElementsAre("src/instantnet/net/a.cpp:2: includes instantnet/nn/layer.h: net may use core."));
  EXPECT_THAT(
      breaches_in("core/sub/a.h", "#  include <instantnet/net/spec.h>\n"),
      ElementsAre(
          "src/instantnet/core/sub/a.h:1: includes instantnet/net/spec.h: core may use nothing."));
  EXPECT_THAT(breaches_in("train/a.cpp", "#include \"instantnet/cli/verbs.h\"\n").size(), 1u);
}

TEST(LayersChecker, FindsEveryPairThatTheTableLacks) {
  for (const auto& [name, room] : rooms())
    for (const auto& [used, unused] : rooms()) {
      const bool allowed = name == used || room.may_use.count(used) != 0;
      EXPECT_EQ(breaches_in(name + "/a.h", "#include \"instantnet/" + used + "/x.h\"\n").empty(),
                allowed)
          << name << " " << used;
    }
}

TEST(LayersChecker, FindsTorchWhereItMayNotBe) {
  for (const char* header : {"torch/torch.h", "ATen/core/Tensor.h", "c10/util/Optional.h"})
    for (const auto& [name, room] : rooms())
      EXPECT_EQ(breaches_in(name + "/a.cpp", std::string("#include <") + header + ">\n").empty(),
                room.torch)
          << name;
  EXPECT_THAT(
      breaches_in("net/a.cpp", "#include <torch/torch.h>\n"),
      ElementsAre(
          "src/instantnet/net/a.cpp:1: includes torch/torch.h: net is built without torch."));
}

TEST(LayersChecker, FindsThirdPartyHeadersInPublicHeaders) {
  EXPECT_THAT(
      breaches_in("core/a.h", "#include <vector>\n#include <fmt/format.h>\n"),
      ElementsAre(
          "src/instantnet/core/a.h:2: includes fmt/format.h: a header of core may include the "
          "standard library and instantnet/ only."));
  EXPECT_THAT(breaches_in("core/a.h", "#include <unistd.h>\n").size(), 1u);
}

TEST(LayersChecker, FindsPrintingExitingAndTheEnvironment) {
  for (const char* code : {"std::cout << 1;", "std::cerr << 1;", "std::printf(\"x\");",
                           "fprintf(stderr, \"x\");", "std::puts(\"x\");"})
    EXPECT_THAT(breaches_in("net/a.cpp", code),
                ElementsAre("src/instantnet/net/a.cpp:1: prints; only cli may."))
        << code;
  for (const char* code : {"exit(1);", "std::exit(1);", "::_exit(1);", "abort();"})
    EXPECT_THAT(breaches_in("train/a.cpp", code),
                ElementsAre("src/instantnet/train/a.cpp:1: exits; only cli may."))
        << code;
  EXPECT_THAT(breaches_in("net/a.cpp", "\n\nstd::getenv(\"HOME\");"),
              ElementsAre("src/instantnet/net/a.cpp:3: reads the environment; only cli may."));
}

TEST(LayersChecker, IgnoresCommentsLiteralsAndOtherNames) {
  for (const char* code :
       {"// std::cout << 1;", "/* exit(1);\n getenv( */", "f(\"exit(1); // \\\" stderr\");",
        "R\"(exit(1) \" stderr)\";", "on_exit(1);", "loop.exit();", "std::fprintf(stream_, \"x\");",
        "snprintf(b, 1, \"\");", "int n = 1'000; // exit(1)", "char c = '\"'; // exit("})
    EXPECT_THAT(breaches_in("core/progress.cpp", code), IsEmpty()) << code;
}

TEST(LayersChecker, SeesCodeBehindCommentsAndLiterals) {
  for (const char* code : {"/* a */ exit(1);", "f(\"a\"); exit(1);", "f('\"'); exit(1);",
                           "R\"(\")\"; exit(1);", "n = 1'000; exit('a');"})
    EXPECT_THAT(breaches_in("net/a.cpp", code).size(), 1u) << code;
}

TEST(LayersChecker, FindsAFolderThatIsNoRoom) {
  EXPECT_THAT(breaches_in("utils/a.h", "\n"),
              ElementsAre("src/instantnet/utils/a.h:1: lies in no room of the table"));
}

}  // namespace
