#include "instantnet/cli/torch/scores.h"

#include <utility>

namespace instantnet::cli {

Tree accuracy_tree(const std::vector<std::string>& names, const train::Evaluation& evaluation) {
  Tree tree = Tree::map();
  for (size_t i = 0; i < names.size(); ++i)
    tree.set(names[i], Tree::of(evaluation.scores.at(i).accuracy));
  return tree;
}

Tree loss_tree(const std::vector<std::string>& names, const train::Evaluation& evaluation) {
  Tree tree = Tree::map();
  for (size_t i = 0; i < names.size(); ++i)
    tree.set(names[i], Tree::of(evaluation.scores.at(i).loss));
  return tree;
}

Tree scores_tree(const std::vector<std::string>& names, const train::Evaluation& evaluation) {
  return Tree::map()
      .set("images", Tree::of(evaluation.images))
      .set("accuracy", accuracy_tree(names, evaluation))
      .set("loss", loss_tree(names, evaluation));
}

std::vector<std::string> width_names(const std::vector<int>& bits) {
  std::vector<std::string> names;
  for (const int one : bits) names.push_back(std::to_string(one));
  return names;
}

}  // namespace instantnet::cli
