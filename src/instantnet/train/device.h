// The device a run computes on, checked before anything starts.
#pragma once

#include <string>
#include <string_view>

namespace instantnet::train {

/// Error (`where` first) unless `name` is cpu, or cuda or cuda:N with such a device in this
/// machine.
void check_device(const std::string& name, std::string_view where);

}  // namespace instantnet::train
