// What a shell can complete for an argument.
#pragma once

#include <string>
#include <vector>

#include "instantnet/cli/command_table.h"

namespace instantnet::cli {

/// Of the verb at `path`, the argument `name` ("--out", "MODEL"). Choices that a description starts
/// with ("edp|energy: ...") are taken from there; names of networks, devices and formats from where
/// they are defined; kinds of files go by the argument's name.
Values values_of(const std::vector<std::string>& path, const std::string& name,
                 const std::string& description);

}  // namespace instantnet::cli
