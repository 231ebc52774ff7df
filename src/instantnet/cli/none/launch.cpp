// Without libtorch there is nothing to prepare.
#include "instantnet/cli/launch.h"

namespace instantnet::cli {

void prepare_process(int, char**) {}

}  // namespace instantnet::cli
