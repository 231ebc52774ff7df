// The families of networks the zoo draws from. `options` are complete here: no zeros left for sizes
// or classes.
#pragma once

#include <string>

#include "instantnet/net/spec.h"
#include "instantnet/net/zoo.h"

namespace instantnet {

/// ResNet for small images (He et al., CVPR 2016, section 4.2): three stages of 16, 32, 64 channels
/// with `blocks` basic blocks each, so 6 * blocks + 2 layers. Shortcuts that change shape are 1x1
/// convolutions with batch norm (option B; the paper uses option A).
NetworkSpec small_resnet(const std::string& name, int64_t blocks, int64_t stem_stride,
                         const ZooOptions& options);

/// ResNet-18 (He et al., CVPR 2016, table 1).
NetworkSpec resnet18(const ZooOptions& options);
/// ResNet-50 with the stride in the 3x3 convolution of a block ("v1.5"; the paper has it in the
/// first 1x1), the variant behind the usual 4.09 G multiply-accumulates.
NetworkSpec resnet50(const ZooOptions& options);

/// MobileNetV2 at width 1 (Sandler et al., CVPR 2018, table 2).
NetworkSpec mobilenetv2(const ZooOptions& options);
/// MobileNetV2 for 32x32 images: stem with stride 1, and strides 1, 1, 2, 2, 1, 2, 1 of the seven
/// stages (the paper has 2, and 1, 2, 2, 2, 1, 2, 1), so that the last image is 4x4; 87.96 M
/// multiply-accumulates in convolutions. No dropout.
NetworkSpec mobilenetv2_cifar(const ZooOptions& options);
/// A small one for grey 28x28 images in little time: stem with stride 2, seven blocks of 8 to 40
/// channels, header of 160; about as many multiply-accumulates as resnet8-s2.
NetworkSpec mobilenetv2_s2(const ZooOptions& options);

/// AlexNet in one tower (Krizhevsky, arXiv:1404.5997), as torchvision has it. The first fully
/// connected layer takes whatever the convolutions leave (6x6 for 224x224).
NetworkSpec alexnet(const ZooOptions& options);
/// VGG16 without batch norm (Simonyan and Zisserman, ICLR 2015, configuration D). As above (7x7 for
/// 224x224).
NetworkSpec vgg16(const ZooOptions& options);

/// The search space's network with one operator in all cells.
NetworkSpec space_of(const std::string& op, const ZooOptions& options);

}  // namespace instantnet
