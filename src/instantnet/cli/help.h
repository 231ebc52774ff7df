// How --help looks: 80 columns, defaults behind the sentences.
#pragma once

namespace CLI {
class App;
}

namespace instantnet::cli {

/// Sets the look of the help of `app` and of all its verbs; call when they are added.
void format_help(CLI::App& app);

}  // namespace instantnet::cli
