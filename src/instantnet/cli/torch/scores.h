// Scores per bit-width as people and programs read them; what train and eval print.
#pragma once

#include <string>
#include <vector>

#include "instantnet/cli/print.h"
#include "instantnet/core/tree.h"
#include "instantnet/train/evaluate.h"

namespace instantnet::cli {

/// {"2": 0.81, "4": 0.84}: accuracies or losses by name of the setting ("8", "mixed").
Tree accuracy_tree(const std::vector<std::string>& names, const train::Evaluation& evaluation);
Tree loss_tree(const std::vector<std::string>& names, const train::Evaluation& evaluation);

/// {"images": N, "accuracy": {...}, "loss": {...}}
Tree scores_tree(const std::vector<std::string>& names, const train::Evaluation& evaluation);

/// "2", "4" of {2, 4}.
std::vector<std::string> width_names(const std::vector<int>& bits);

}  // namespace instantnet::cli
