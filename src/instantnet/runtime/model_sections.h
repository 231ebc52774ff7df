// What stands in each section of a model file.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "instantnet/runtime/int_model.h"

namespace instantnet::runtime {

struct Section {
  std::string name, bytes;
};
std::vector<Section> print_sections(const IntModel& model);

/// A section in a file's bytes, and where in the file it begins.
struct SectionView {
  std::string name;
  std::string_view bytes;
  uint64_t offset = 0;
};
/// The model, not yet checked as a whole. Error for a section that is missing, unknown, or does not
/// read to its end. With a `keeper` of the bytes the largest tables are left in them.
IntModel parse_model_sections(const std::vector<SectionView>& sections, const std::string& where,
                              const std::shared_ptr<const void>& keeper);

}  // namespace instantnet::runtime
