// The manual page: man(7) macros.
#include <fmt/format.h>

#include <string>

#include "instantnet/cli/completion_text.h"

namespace instantnet::cli {
namespace {

/// A line of text for roff: hyphens that are typed as such, no line that is a request.
std::string roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if (c == '\'')
      out += "\\(aq";
    else if (c == '`')
      out += "\\(ga";
    else if (c == '^')
      out += "\\(ha";
    else if (c == '~')
      out += "\\(ti";
    else
      out += c;
  }
  return out.starts_with('.') ? "\\&" + out : out;
}

/// Text that stays as it is, line by line.
std::string preformatted(const std::string& text) {
  std::string out = ".PP\n.EX\n";
  for (size_t from = 0; from < text.size();) {
    const size_t end = std::min(text.find('\n', from), text.size());
    out += roff(text.substr(from, end - from)) + "\n";
    from = end + 1;
  }
  while (out.ends_with("\n\n")) out.pop_back();
  return out + ".EE\n";
}

std::string bold(const std::string& text) { return "\\fB" + roff(text) + "\\fR"; }

std::string entry(const Argument& argument) {
  std::string names;
  for (const std::string& name : argument.names) names += (names.empty() ? "" : ", ") + bold(name);
  if (!argument.value.empty() && argument.names.front().starts_with('-'))
    names += " \\fI" + roff(argument.value) + "\\fR";
  return ".TP\n" + names + "\n" + roff(argument.sentence) + ".\n";
}

std::string section_of(const Command& verb) {
  std::string text = fmt::format(".SS \"{}\"\n{}.\n.PP\n{}\n", roff(full_name(verb)),
                                 roff(verb.sentence), bold(usage(verb)));
  for (const Argument& one : verb.positionals) text += entry(one);
  for (const Argument& one : verb.options) text += entry(one);
  if (!verb.notes.empty()) text += preformatted(verb.notes);
  return text;
}

constexpr const char* kDescription = R"(.SH DESCRIPTION
.B instantnet
trains convolutional networks that switch between bit\-widths from one inference to the next,
finds the best mapping of every layer on a device, and runs the result as integers.
Each task is a verb.
Commands that print a result take
.B \-\-json
and then print JSON.
)";

constexpr const char* kEnd = R"(.SH "EXIT STATUS"
.TP
.B 0
Done.
.TP
.B 2
A mistake in the command line, a file or the data; standard error has one sentence.
.TP
.B 70
An error of the program itself.
.TP
.B 130
Interrupted; what was done is saved.
.SH "SEE ALSO"
The pages of the documentation folder, share/doc below the prefix.
)";

}  // namespace

std::string manual_page(const Command& program, const std::string& version) {
  std::string text = fmt::format(
      ".TH INSTANTNET 1 \"\" \"{}\" \"User Commands\"\n.SH NAME\ninstantnet \\- train, map and run "
      "networks that switch bit\\-widths\n.SH SYNOPSIS\n.B instantnet\n.I "
      "verb\n[\\fIarguments\\fR]\n"
      ".br\n.B instantnet\n[\\fB\\-\\-help\\fR] [\\fB\\-\\-version\\fR]\n",
      version);
  text += kDescription;
  text += ".SH OPTIONS\n";
  for (const Argument& one : program.options) text += entry(one);
  text += ".SH VERBS\n";
  for (const Command* verb : all_verbs(program)) text += section_of(*verb);
  return text + kEnd;
}

}  // namespace instantnet::cli
