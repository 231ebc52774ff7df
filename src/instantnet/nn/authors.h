// Checkpoints of the InstantNet authors' PyTorch code (RICE-EIC/InstantNet), in and out: their
// names, their network, their settings.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "instantnet/net/spec.h"
#include "instantnet/net/zoo.h"
#include "instantnet/nn/model.h"

namespace instantnet::nn {

using NamedTensors = std::map<std::string, at::Tensor>;

/// The tensors of a file of Python's torch.save, by name: those of the dictionary that was saved,
/// or of the one dictionary in it that holds a state ("state_dict", "model", ...). "module."
/// (DataParallel) is taken off the names. Values that are not tensors are left out. Error naming
/// the file when it is no such file, is cut short or damaged, or holds no dictionary with tensors;
/// it says how to save it again.
NamedTensors read_pytorch(const std::string& path);

/// alpha (cells, 9) of the authors' arch.pt -> the operator with the largest weight, one a cell.
/// Error (`where` first) for another shape or not-a-number.
std::vector<std::string> operators_from_alpha(const at::Tensor& alpha, const std::string& where);

/// The network that the state dictionary `state` is of. Operators, channels and classes are read
/// from the shapes, and must agree with `operators` when those are given (not empty). What shapes
/// do not tell (layers per stage, strides, image size) is taken from `structure`, whose defaults
/// are the authors' network for CIFAR. Error (`where` first) naming the cell.
NetworkSpec authors_spec(const NamedTensors& state, const std::vector<std::string>& operators,
                         SpaceOptions structure, const std::string& where);

/// The bit-widths a state was most likely trained for: [4, 8, 12, 16, 32] with five batch norms a
/// layer, [4, 5, 6, 8] with four. Error asking for them otherwise.
std::vector<int> authors_bits(const NamedTensors& state, const std::string& where);

/// How the authors' code quantizes and normalises (cdt-spnas-behaviour, sections 1.1 and 1.2): sbm,
/// one activation range for all bit-widths with momentum .9 from zero, one batch norm in stem and
/// header.
ModelOptions authors_model_options();

/// The model with the authors' values. Every tensor of the model must be there in its shape, and
/// every name known. Names that are known and have no use (the batch norm that their class
/// inherits, ranges of float32 layers) go to `ignored` when given. Error listing the first few
/// missing, misshapen or unknown names.
SwitchableModel model_from_authors(const NamedTensors& state, const NetworkSpec& spec,
                                   const std::vector<int>& bits, const std::string& where,
                                   std::vector<std::string>* ignored = nullptr);

/// The state dictionary of the authors' code for a model of the search space with
/// authors_model_options, tensors without use included (at their initial values), so that
/// load_state_dict takes it. Copies.
NamedTensors to_authors(const SwitchableModel& model);

}  // namespace instantnet::nn
