#include "instantnet/core/tree.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/helpers.h"
#include "instantnet/core/rng.h"

namespace instantnet {
namespace {

using test::error_of;
using testing::HasSubstr;

std::string error_of_yaml(const std::string& text) {
  return error_of([&] { parse_yaml(text, "a.yaml"); });
}

Tree value_of(const std::string& text) {
  return parse_yaml("x: " + text, "a.yaml").entries[0].second;
}

// ---- Reading.

TEST(ParseYaml, KeepsOrderKindsAndLines) {
  const Tree tree = parse_yaml("b: 1\na:\n  - x\n  - [2, three]\nc:\n  d: null\n", "a.yaml");
  ASSERT_EQ(tree.kind, Tree::Kind::Map);
  ASSERT_EQ(tree.entries.size(), 3u);
  EXPECT_EQ(tree.entries[0].first, "b");
  EXPECT_EQ(tree.find("b")->where(), "a.yaml:1");
  EXPECT_EQ(tree.find("a")->items[0].where(), "a.yaml:3");
  EXPECT_EQ(tree.find("a")->items[1].items[1].as_string(), "three");
  EXPECT_EQ(tree.find("c")->where(), "a.yaml:5");  // of the key, not of what stands below
  EXPECT_EQ(tree.find("c")->find("d")->kind, Tree::Kind::Null);
  EXPECT_EQ(tree.find("nothing"), nullptr);
}

TEST(ParseYaml, ReadsJson) {
  const Tree tree = parse_yaml("{\"a\":1,\n\t\"b\": [true, null, \"x\\n\\u00e9\\/\"]}");
  EXPECT_EQ(tree.find("a")->as_int(), 1);
  EXPECT_TRUE(tree.find("b")->items[0].as_bool());
  EXPECT_EQ(tree.find("b")->items[1].kind, Tree::Kind::Null);
  EXPECT_EQ(tree.find("b")->items[2].as_string(), "x\n\xc3\xa9/");
}

TEST(ParseYaml, ReadsNothingAsNull) {
  for (const char* text : {"", "\n", "# only a comment\n", "---\n", "~"})
    EXPECT_EQ(parse_yaml(text).kind, Tree::Kind::Null) << text;
}

TEST(ParseYaml, ReadsWindowsLinesAndAByteOrderMark) {
  EXPECT_EQ(parse_yaml("\xEF\xBB\xBFx: 1\r\ny: 2\r\n"), parse_yaml("x: 1\ny: 2\n"));
}

TEST(ParseYaml, KnowsQuotedFromPlain) {
  EXPECT_FALSE(value_of("8").quoted);
  EXPECT_TRUE(value_of("'8'").quoted);
  EXPECT_TRUE(value_of("\"8\"").quoted);
  EXPECT_TRUE(value_of("''").quoted);
  EXPECT_EQ(value_of("''").kind, Tree::Kind::Scalar);
  EXPECT_EQ(value_of("").kind, Tree::Kind::Null);
}

TEST(ParseYaml, RefusesBadSyntaxWithItsLine) {
  EXPECT_THAT(error_of_yaml("a: 1\nb: [1, 2\n"), HasSubstr("a.yaml:"));
  EXPECT_THAT(error_of_yaml("a: 1\nb: [1, 2\n"),
              HasSubstr("not valid YAML: end of sequence flow not found."));
  EXPECT_THAT(error_of_yaml("a: 1\nb: 2: 3\n"), HasSubstr("a.yaml:2: not valid YAML"));
  EXPECT_THAT(error_of([] { parse_yaml("a: ]"); }), HasSubstr("line 1: not valid YAML"));
}

TEST(ParseYaml, RefusesADuplicateKey) {
  EXPECT_EQ(error_of_yaml("a: 1\nb: 2\na: 3\n"), "a.yaml:3: the key 'a' is there twice; keep one.");
}

TEST(ParseYaml, RefusesKeysThatAreNotText) {
  EXPECT_EQ(error_of_yaml("[1, 2]: 3\n"), "a.yaml:1: a key is a list or a map; give text.");
  EXPECT_EQ(error_of_yaml("~: 3\n"), "a.yaml:1: a key is empty or null; give text, or quote it.");
}

TEST(ParseYaml, RefusesAnchorsAliasesAndTags) {
  EXPECT_EQ(error_of_yaml("a: &x 1\nb: *x\n"),
            "a.yaml:1: anchors (&name) are not read; write the value out.");
  EXPECT_THAT(error_of_yaml("a: &x [1]\n"), HasSubstr("anchors"));
  EXPECT_THAT(error_of_yaml("a: *x\n"), HasSubstr("a.yaml:1: "));
  EXPECT_EQ(error_of_yaml("a: !!int 1\n"),
            "a.yaml:1: the tag 'tag:yaml.org,2002:int' is not read; leave it out.");
}

TEST(ParseYaml, RefusesASecondDocument) {
  const char* said = "a second document, or something that is not part of the first, begins here.";
  EXPECT_EQ(error_of_yaml("a: 1\n---\nb: 2\n"), std::string("a.yaml:2: ") + said);
  EXPECT_EQ(error_of_yaml("[1]\n[2]\n"), std::string("a.yaml:2: ") + said);
}

TEST(ParseYaml, RefusesBytesThatAreNotText) {
  EXPECT_EQ(error_of_yaml("a: 1\nb: \xff\n"),
            "a.yaml:2: the text is not UTF-8; save the file as UTF-8.");
  for (const char* bad : {"\x80", "\xC3", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80",
                          "\xF4\x90\x80\x80", "\xF0\x80\x80\x80", "\xE2\x82"})
    EXPECT_THAT(error_of_yaml(bad), HasSubstr("not UTF-8"));
  EXPECT_EQ(error_of_yaml("a: \x04\n"),
            "a.yaml:1: the control character 0x04 is not allowed; write it as \"\\x04\".");
  EXPECT_THAT(error_of_yaml(std::string("a: \0", 4)), HasSubstr("0x00"));
}

TEST(ParseYaml, RefusesDeepNesting) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(error_of_yaml(nested(64)), "no error");
  EXPECT_EQ(error_of_yaml(nested(65)),
            "a.yaml:1: lists and maps are nested deeper than 64 levels.");
}

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(ParseYaml, RefusesHostileTextWithASentence) {
  for (const std::string piece : {"[", "{", "- ", "? ", "a: ", "{a: ", "[[", "!", "&", "!<", "\"",
                                  "---\n", "- [\n", ": ", "{? "})
    EXPECT_THAT(error_of_yaml(repeated(piece, 300001)), HasSubstr("a.yaml")) << piece;
}

TEST(ParseYaml, ReadsHostileTextThatIsYaml) {
  EXPECT_EQ(parse_yaml(repeated("'", 300000)).as_string(), std::string(149999, '\''));
  EXPECT_EQ(parse_yaml(repeated("|\n ", 3)).as_string(), "|\n|\n");
  EXPECT_EQ(parse_yaml(repeated("#", 300000)).kind, Tree::Kind::Null);
}

TEST(ParseYaml, RefusesMoreThanAMillionValues) {
  EXPECT_EQ(error_of_yaml("[" + repeated("1,", 1000001) + "]"),
            "a.yaml:1: there are more than 1000000 values.");
}

TEST(ParseYaml, SurvivesRandomDamage) {
  const std::string good =
      "train:\n  epochs: 3  # passes\n  bits: [4, 8]\n  name: \"a\\tb\"\nloss: {kind: 'cdt', w: "
      "1e-3}\ntext: |\n  one\n  two\n";
  const std::string alphabet = "[]{}:,-?!&*|>'\"%@`#\n \t~ax0";
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    Rng rng(seed);
    std::string text = good;
    for (uint64_t n = 1 + rng.below(6); n > 0; --n) {
      const size_t at = rng.below(text.size());
      if (rng.flip())
        text[at] = alphabet[rng.below(alphabet.size())];
      else if (rng.flip())
        text.erase(at, 1 + rng.below(4));
      else
        text.insert(at, 1 + rng.below(3), alphabet[rng.below(alphabet.size())]);
    }
    SCOPED_TRACE("seed " + std::to_string(seed));
    try {
      const Tree tree = parse_yaml(text);
      EXPECT_EQ(parse_yaml(print_yaml(tree)), tree) << text;
    } catch (const Error&) {
    }
  }
}

TEST(ReadYaml, NamesAFileThatIsMissing) {
  EXPECT_EQ(error_of([] { read_yaml("/nowhere/a.yaml"); }),
            "/nowhere/a.yaml: cannot be read: No such file or directory.");
}

TEST(ReadYaml, KeepsTheFileName) {
  const test::TempFolder folder;
  test::spill(folder / "a.yaml", "\nx: 1\n");
  EXPECT_EQ(read_yaml(folder / "a.yaml").find("x")->where(), folder / "a.yaml" + ":2");
}

// ---- Typed access.

TEST(Tree, ReadsBooleans) {
  for (const char* text : {"true", "True", "TRUE"}) EXPECT_TRUE(value_of(text).as_bool());
  for (const char* text : {"false", "False", "FALSE"}) EXPECT_FALSE(value_of(text).as_bool());
  for (const char* text : {"yes", "1", "'true'", "tRue", "[true]", ""})
    EXPECT_THAT(error_of([&] { value_of(text).as_bool(); }), HasSubstr("give true or false."))
        << text;
}

TEST(Tree, ReadsIntegers) {
  EXPECT_EQ(value_of("-12").as_int(), -12);
  EXPECT_EQ(value_of("+12").as_int(), 12);
  EXPECT_EQ(value_of("007").as_int(), 7);
  EXPECT_EQ(value_of("-9223372036854775808").as_int(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(value_of("18446744073709551615").as_uint(), std::numeric_limits<uint64_t>::max());
  for (const char* text : {"1.5", "1.0", "1e3", "9223372036854775808", "'8'", "1_000", "0x1F", "+",
                           "+-1", "'-'", "8 ball", "[8]", ""})
    EXPECT_THAT(error_of([&] { value_of(text).as_int(); }), HasSubstr("give an integer")) << text;
  for (const char* text : {"-1", "18446744073709551616", "1.5", "'8'"})
    EXPECT_THAT(error_of([&] { value_of(text).as_uint(); }), HasSubstr("give an integer >= 0"))
        << text;
}

TEST(Tree, ReadsNumbers) {
  EXPECT_EQ(value_of("3").as_double(), 3.0);
  EXPECT_EQ(value_of("1e-3").as_double(), 1e-3);
  EXPECT_EQ(value_of("+.5").as_double(), 0.5);
  EXPECT_EQ(value_of("5.").as_double(), 5.0);
  EXPECT_EQ(value_of("-1.25E+2").as_double(), -125.0);
  for (const char* text : {".inf", "-.inf", ".nan", "nan", "inf", "1e999", "'1.5'", ".", "e5", "1e",
                           "0x1p3", "1.5x", "{}", ""})
    EXPECT_THAT(error_of([&] { value_of(text).as_double(); }), HasSubstr("give a finite number."))
        << text;
}

TEST(Tree, ReadsAnyScalarAsText) {
  EXPECT_EQ(value_of("abc").as_string(), "abc");
  EXPECT_EQ(value_of("2024").as_string(), "2024");
  EXPECT_EQ(value_of("'8'").as_string(), "8");
  EXPECT_EQ(error_of([] { value_of("[a]").as_string(); }),
            "a.yaml:1: the value is a list; give a text.");
  EXPECT_EQ(error_of([] { value_of("").as_string(); }),
            "a.yaml:1: the value is empty; give a text.");
}

TEST(Tree, SaysWhatWasGiven) {
  EXPECT_EQ(error_of([] { value_of("abc").as_int(); }),
            "a.yaml:1: the value is 'abc'; give an integer (64 bits).");
  EXPECT_EQ(error_of([] { value_of("'8'").as_int(); }),
            "a.yaml:1: the value is the text '8'; give an integer (64 bits).");
  EXPECT_EQ(value_of("1.5").given(), "1.5");
  EXPECT_EQ(Tree::of(std::string(59, 'x') + "\xC3\xA9y").given(),
            "'" + std::string(59, 'x') + "...'");
  EXPECT_EQ(Tree::of("a\nb").given(), "'a b'");
}

TEST(Tree, TellsWhereAsFarAsItKnows) {
  EXPECT_EQ(value_of("1").where(), "a.yaml:1");
  EXPECT_EQ(parse_yaml("[1]").items[0].where(), "line 1");
  EXPECT_EQ(Tree::of(1).where(), "");
}

// ---- Making and comparing.

TEST(Tree, TextThatReadsAsSomethingElseIsQuoted) {
  for (const char* text : {"8", "-1.5", "1e5", "true", "FALSE", "null", "~", "", ".inf", ".nan"})
    EXPECT_TRUE(Tree::of(text).quoted) << text;
  for (const char* text : {"abc", "8x", "yes", "nan", "-", "1:30"})
    EXPECT_FALSE(Tree::of(text).quoted) << text;
}

TEST(Tree, ComparesContentAndWhetherItIsText) {
  EXPECT_EQ(value_of("'abc'"), value_of("abc"));
  EXPECT_EQ(value_of("8"), Tree::of(8));
  EXPECT_EQ(value_of("'8'"), Tree::of("8"));
  EXPECT_FALSE(Tree::of("8") == Tree::of(8));
  EXPECT_FALSE(Tree::of("true") == Tree::of(true));
  EXPECT_FALSE(Tree::of("") == Tree());
  EXPECT_FALSE(Tree::list() == Tree::map());
}

TEST(Tree, SetReplacesOrAppends) {
  Tree map = Tree::map();
  map.set("a", Tree::of(1)).set("b", Tree::of(2)).set("a", Tree::of(3));
  EXPECT_EQ(map.entries.size(), 2u);
  EXPECT_EQ(map.find("a")->as_int(), 3);
  EXPECT_THROW(Tree::list().set("a", Tree()), Bug);
}

TEST(Tree, DoublesReadBackAsTheSameBits) {
  EXPECT_EQ(Tree::of(0.1).scalar, "0.1");
  EXPECT_EQ(Tree::of(0.0001).scalar, "0.0001");
  EXPECT_EQ(Tree::of(3.0).scalar, "3");
  Rng rng(3);
  for (int i = 0; i < 2000; ++i) {
    const double value = std::ldexp(rng.uniform(-1, 1), static_cast<int>(rng.below(2000)) - 1000);
    EXPECT_EQ(Tree::of(value).as_double(), value) << "seed 3, draw " << i;
  }
  EXPECT_TRUE(std::signbit(Tree::of(-0.0).as_double()));
  EXPECT_EQ(Tree::of(std::nan("")).scalar, ".nan");
  EXPECT_EQ(Tree::of(-std::numeric_limits<double>::infinity()).scalar, "-.inf");
}

// ---- Writing YAML.

TEST(PrintYaml, IsEasyToRead) {
  const char* text =
      "name: run 1\n"
      "bits: [4, 8]\n"
      "none: []\n"
      "empty: {}\n"
      "missing: null\n"
      "text: \"8\"\n"
      "loss:\n"
      "  kind: cdt\n"
      "  weight: 0.1\n"
      "nodes:\n"
      "  - name: a\n"
      "    inputs: [\"x,y\", z]\n"
      "  - - [1, 2]\n"
      "    - [3]\n";
  EXPECT_EQ(print_yaml(parse_yaml(text)), text);
}

TEST(PrintYaml, QuotesWhatOtherReadersTakeForSomethingElse) {
  for (const char* text :
       {"yes", "No", "on", "OFF", "y", "1:30", "2024-01-02", "0x1F", "<<", "=", "1_000"})
    EXPECT_EQ(print_yaml(Tree::of(text)), fmt::format("\"{}\"\n", text));
}

TEST(PrintYaml, RefusesTextThatIsNotUtf8) {
  EXPECT_THAT(error_of([] { print_yaml(Tree::of("a\xff")); }),
              HasSubstr("is not UTF-8 and cannot be written."));
}

/// Strings that have broken YAML writers.
const std::vector<std::string>& nasty_texts() {
  static const std::vector<std::string> texts = {"",
                                                 " ",
                                                 "  lead",
                                                 "trail ",
                                                 "a: b",
                                                 "a:",
                                                 ": a",
                                                 "a #b",
                                                 "#a",
                                                 "a#b",
                                                 "- a",
                                                 "-",
                                                 "--",
                                                 "---",
                                                 "...",
                                                 "--- a",
                                                 "? a",
                                                 "?",
                                                 "! a",
                                                 "!a",
                                                 "&a",
                                                 "*a",
                                                 "|",
                                                 ">",
                                                 "'",
                                                 "\"",
                                                 "'a'",
                                                 "\"a\"",
                                                 "a'b",
                                                 "a\"b",
                                                 "\\",
                                                 "a\\nb",
                                                 "%a",
                                                 "@a",
                                                 "`a",
                                                 "[",
                                                 "]",
                                                 "{",
                                                 "}",
                                                 "[a]",
                                                 "{a: b}",
                                                 ",",
                                                 "a,b",
                                                 "a, b",
                                                 "8",
                                                 "-8",
                                                 "+8",
                                                 "0",
                                                 "08",
                                                 "1.5",
                                                 ".5",
                                                 "5.",
                                                 "1e5",
                                                 "1e-5",
                                                 "0x10",
                                                 "0o7",
                                                 "1_0",
                                                 "true",
                                                 "True",
                                                 "TRUE",
                                                 "false",
                                                 "yes",
                                                 "no",
                                                 "on",
                                                 "off",
                                                 "y",
                                                 "n",
                                                 "null",
                                                 "Null",
                                                 "NULL",
                                                 "~",
                                                 ".inf",
                                                 "-.inf",
                                                 ".nan",
                                                 ".NaN",
                                                 "nan",
                                                 "inf",
                                                 "1:30",
                                                 "2024-01-02",
                                                 "<<",
                                                 "=",
                                                 "a\nb",
                                                 "a\n",
                                                 "\na",
                                                 "\n",
                                                 "\n\n",
                                                 "a\n\n b\n",
                                                 "a\tb",
                                                 "\ta",
                                                 "a\t",
                                                 "\r",
                                                 "a\rb",
                                                 "\r\n",
                                                 std::string("\0", 1),
                                                 "\x01",
                                                 "\x04",
                                                 "\x1b[0m",
                                                 "\x7f",
                                                 "\xC2\x85",
                                                 "\xC2\xA0",
                                                 "\xE2\x80\xA8",
                                                 "\xEF\xBB\xBF",
                                                 "\xEF\xBF\xBF",
                                                 "\xEF\xBF\xBD",
                                                 "h\xC3\xA9",
                                                 "\xE6\xBC\xA2\xE5\xAD\x97",
                                                 "\xF0\x9F\x98\x80",
                                                 "a  b",
                                                 "a   #",
                                                 "/a/b.c",
                                                 "./a",
                                                 "../a",
                                                 "~/a",
                                                 "C:\\a",
                                                 "http://x/y?z=1&w",
                                                 "50%",
                                                 "a: b: c",
                                                 "key:value",
                                                 std::string(2000, 'k'),
                                                 std::string(2000, '\''),
                                                 "e",
                                                 "E5",
                                                 "+",
                                                 "+.",
                                                 "-.",
                                                 "."};
  return texts;
}

TEST(PrintYaml, ReadsBackAsTheSameForEveryNastyText) {
  for (const std::string& text : nasty_texts()) {
    Tree map = Tree::map();
    map.set(text, Tree::of(text)).set("list", Tree::list({Tree::of(text), Tree::of(text)}));
    map.set("deep", Tree::list({Tree::map().set(text, Tree::list({map})), Tree::of(text)}));
    const std::string printed = print_yaml(map);
    EXPECT_EQ(parse_yaml(printed), map) << printed;
    EXPECT_EQ(parse_yaml(print_yaml(Tree::of(text))), Tree::of(text)) << text;
    EXPECT_EQ(parse_yaml(printed).find("list")->items[0].as_string(), text);
  }
}

std::string random_text(Rng& rng) {
  if (rng.flip()) return nasty_texts()[rng.below(nasty_texts().size())];
  static const std::vector<std::string> pieces = {
      "a", "B",  "0",  "9", " ", ":", "#", "-", "\n",       "\t",
      "'", "\"", "\\", "[", "]", "{", "}", ",", "\xC3\xA9", "\xF0\x9F\x98\x80",
      "e", ".",  "~",  "&", "*", "!", "|", ">", "%",        "?"};
  std::string text;
  for (uint64_t n = rng.below(8); n > 0; --n) text += pieces[rng.below(pieces.size())];
  return text;
}

Tree random_leaf(Rng& rng) {
  switch (rng.below(6)) {
    case 0:
      return Tree();
    case 1:
      return Tree::of(rng.flip());
    case 2:
      return Tree::of(static_cast<int64_t>(rng.next()));
    case 3:
      return Tree::of(rng.normal() * std::pow(10, rng.uniform(-20, 20)));
    default:
      return Tree::of(random_text(rng));
  }
}

Tree random_tree(Rng& rng, int depth) {
  if (depth == 0 || rng.flip(0.3)) return random_leaf(rng);
  const uint64_t count = rng.below(4);
  Tree tree = rng.flip() ? Tree::list() : Tree::map();
  for (uint64_t i = 0; i < count; ++i) {
    if (tree.kind == Tree::Kind::List)
      tree.items.push_back(random_tree(rng, depth - 1));
    else
      tree.set(random_text(rng), random_tree(rng, depth - 1));
  }
  return tree;
}

TEST(PrintYaml, ReadsBackAsTheSameForRandomTrees) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    Rng rng(seed);
    const Tree tree = random_tree(rng, 5);
    const std::string printed = print_yaml(tree);
    ASSERT_EQ(error_of([&] { EXPECT_EQ(parse_yaml(printed), tree); }), "no error")
        << "seed " << seed << "\n"
        << printed;
  }
}

// ---- Writing JSON.

TEST(PrintJson, WritesOneLine) {
  const Tree tree = parse_yaml("a: 1\nb: [true, null, '8', x\"y]\nc: {}\nd: []\ne: {f: -1.5e3}\n");
  EXPECT_EQ(print_json(tree),
            R"({"a": 1, "b": [true, null, "8", "x\"y"], "c": {}, "d": [], "e": {"f": -1.5e3}})");
}

TEST(PrintJson, IndentsMapsAndKeepsShortListsTogether) {
  EXPECT_EQ(
      print_json(parse_yaml("a: {b: [1, 2]}\nc: [{d: 1}]"), 2),
      "{\n  \"a\": {\n    \"b\": [1, 2]\n  },\n  \"c\": [\n    {\n      \"d\": 1\n    }\n  ]\n}");
}

TEST(PrintJson, WritesNumbersAsJsonAllowsThem) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"+8", "8"},      {"007", "7"},     {"-00", "-0"},    {".5", "0.5"},
      {"-.5", "-0.5"},  {"5.", "5"},      {"5.e3", "5e3"},  {"1E+05", "1e+05"},
      {"0.10", "0.10"}, {".inf", "null"}, {".nan", "null"}, {"0x1F", "\"0x1F\""}};
  for (const auto& [given, wanted] : cases) EXPECT_EQ(print_json(value_of(given)), wanted);
}

TEST(PrintJson, WritesWhatJsonReadersRead) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    Rng rng(seed);
    const Tree tree = random_tree(rng, 4);
    for (const int indent : {-1, 0, 2}) {
      const std::string printed = print_json(tree, indent);
      ASSERT_TRUE(nlohmann::json::accept(printed)) << "seed " << seed << "\n" << printed;
      EXPECT_EQ(nlohmann::ordered_json::parse(printed).dump(),
                nlohmann::ordered_json::parse(print_json(tree)).dump());
    }
  }
}

TEST(PrintJson, ReplacesBytesThatAreNotUtf8) {
  EXPECT_EQ(print_json(Tree::of("a\xff")), "\"a\xEF\xBF\xBD\"");
}

}  // namespace
}  // namespace instantnet
