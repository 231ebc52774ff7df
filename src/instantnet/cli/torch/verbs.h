// The verbs of the program that need torch, one file each.
#pragma once

namespace CLI {
class App;
}

namespace instantnet::cli {

/// `instantnet search`: which network.
void add_search(CLI::App& app);
/// `instantnet pipeline`: all of it from one config.
void add_pipeline(CLI::App& app);
/// `instantnet train`: a network from a config.
void add_train(CLI::App& app);
/// `instantnet eval`: a checkpoint on a test set, at every bit-width.
void add_eval(CLI::App& app);
/// `instantnet freeze`: a checkpoint as one file of integers.
void add_freeze(CLI::App& app);
/// `instantnet import`: a checkpoint of the InstantNet authors' PyTorch code.
void add_import(CLI::App& app);

}  // namespace instantnet::cli
