// The formats on disk, one file each; only open.cpp chooses between them.
#pragma once

#include <memory>
#include <string>

#include "instantnet/images/dataset.h"

namespace instantnet::images {

/// MNIST's IDX files: {train,t10k}-{images-idx3,labels-idx1}-ubyte, '.' for the second
/// '-' too, plain or with .gz.
bool looks_like_idx(const std::string& folder);
std::unique_ptr<Dataset> open_idx(const std::string& folder, Part part);

/// CIFAR's binary version (Krizhevsky 2009): records of one label byte (CIFAR-100: coarse, fine)
/// and 3 * 32 * 32 bytes, planes R, G, B. The files lie in `folder` or in its subfolder
/// cifar-10-batches-bin or cifar-100-binary.
bool looks_like_cifar10(const std::string& folder);
std::unique_ptr<Dataset> open_cifar10(const std::string& folder, Part part);
bool looks_like_cifar100(const std::string& folder);
std::unique_ptr<Dataset> open_cifar100(const std::string& folder, Part part, bool coarse);

/// JPEG and PNG files in train/CLASS/ and val/CLASS/ (or test/CLASS/), classes numbered in the
/// order of their sorted names. Tiny-ImageNet's own layout too: train/CLASS/images/, val/images/
/// with val/val_annotations.txt. Names of classes from words.txt ("CLASS<tab>name") where there is
/// one.
bool looks_like_folder(const std::string& folder);
std::unique_ptr<Dataset> open_folder(const std::string& folder, Part part);

}  // namespace instantnet::images
