# For CMAKE_TOOLCHAIN_FILE: Debian's cross compiler for 64-bit Arm; qemu-user runs its programs.
#   apt-get install g++-aarch64-linux-gnu qemu-user
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
# Tests run once on each of these: with dot products of bytes, and without.
set(INSTANTNET_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu)
set(INSTANTNET_EMULATED max cortex-a53)
