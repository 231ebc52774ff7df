// What the verbs that run a frozen network share: opening it, the precisions asked for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "instantnet/cli/frozen_scores.h"
#include "instantnet/runtime/session.h"

namespace instantnet::cli {

/// The file, ready to run with the kernels called `kernels` ("auto": the fastest).
std::shared_ptr<const runtime::Model> open_frozen(const std::string& path,
                                                  const std::string& kernels);

/// Error listing the widths there are when `bits` is not one of them.
void check_width(const runtime::IntModel& model, int bits);

/// One setting a width of `bits` ("all", "4,8"), or the mix in `precisions` (parse_precisions) when
/// that is not empty; layers it does not name run at the last of `bits` below 32.
std::vector<FrozenSetting> frozen_settings(const runtime::IntModel& model, const std::string& bits,
                                           const std::string& precisions);

/// `threads`, or one a core when it is 0.
int threads_or_all(int threads);

}  // namespace instantnet::cli
