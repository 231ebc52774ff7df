#!/usr/bin/env bash
# Builds the runtime for 64-bit Arm and runs its tests on emulated processors with and without dot
# products of bytes. aarch64_test.sh SOURCE BUILD; 77: something needed is missing.
set -euo pipefail
source=$1 build=$2

for program in aarch64-linux-gnu-g++ qemu-aarch64; do
  command -v "$program" >/dev/null && continue
  echo "aarch64_test: $program is missing; apt-get install g++-aarch64-linux-gnu qemu-user" >&2
  exit 77
done
if [ ! -f /usr/src/googletest/CMakeLists.txt ]; then
  echo "aarch64_test: GoogleTest's sources are missing; apt-get install libgtest-dev" >&2
  exit 77
fi

cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DINSTANTNET_DEVICE=ON \
  -DCMAKE_TOOLCHAIN_FILE="$source/cmake/aarch64-linux-gnu.cmake"
cmake --build "$build"
ctest --test-dir "$build" --output-on-failure
