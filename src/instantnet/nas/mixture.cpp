#include "instantnet/nas/mixture.h"

#include <algorithm>

namespace instantnet::nas {

nn::Gates gates_of(const Supernet& supernet, const Rows& weights) {
  nn::Gates gates;
  for (size_t i = 0; i < supernet.cells.size(); ++i) {
    const MixedCell& cell = supernet.cells[i];
    const int last = *std::max_element(cell.input_of.begin(), cell.input_of.end());
    std::vector<double> values(static_cast<size_t>(std::max(last, cell.identity)) + 1, 0.0);
    for (size_t k = 0; k < cell.input_of.size(); ++k) {
      if (cell.input_of[k] >= 0) values[static_cast<size_t>(cell.input_of[k])] = weights[i][k];
      if (cell.identity >= 0) values[static_cast<size_t>(cell.identity)] += weights[i][k];
    }
    gates[cell.mix] = std::move(values);
  }
  return gates;
}

Rows weight_gradients(const Supernet& supernet, const nn::Gates& gate_gradients) {
  Rows rows;
  for (const MixedCell& cell : supernet.cells) {
    const std::vector<double>& gradients = gate_gradients.at(cell.mix);
    std::vector<double> row;
    for (const int input : cell.input_of)
      row.push_back((input >= 0 ? gradients[static_cast<size_t>(input)] : 0.0) +
                    (cell.identity >= 0 ? gradients[static_cast<size_t>(cell.identity)] : 0.0));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace instantnet::nas
