// The files of page/ and the chart library as text, put there by the build
// (cmake/InstantNetReport.cmake).
#pragma once

#include <string_view>

namespace instantnet::report {

extern const std::string_view kPageHtml, kPageStyle, kPageScript;
/// Empty when the program was built without it.
extern const std::string_view kCharts;

}  // namespace instantnet::report
