#!/usr/bin/env bash
# Installs what InstantNet needs, through the system's package manager, and only what is missing.
set -euo pipefail

packages=(
  g++ cmake ninja-build make pkg-config
  libtorch-dev libdnnl-dev                                          # tensors, convolutions
  libyaml-cpp-dev nlohmann-json3-dev libcli11-dev libfmt-dev         # files, command line, text
  libssl-dev zlib1g-dev libopencv-imgcodecs-dev                      # digests, gzip, images
  libonnx-dev libprotobuf-dev protobuf-compiler                      # ONNX
  libgtest-dev libgmock-dev librapidcheck-dev libbenchmark-dev       # tests, benchmarks
  dataset-fashion-mnist                                              # images for the demo
)
light_packages=(
  g++ cmake ninja-build make pkg-config libyaml-cpp-dev nlohmann-json3-dev libcli11-dev libfmt-dev libssl-dev zlib1g-dev
  libonnx-dev libprotobuf-dev protobuf-compiler
  libopencv-imgcodecs-dev
  libgtest-dev libgmock-dev librapidcheck-dev
)
[ "${1:-}" = "light" ] && packages=("${light_packages[@]}")

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "setup: everything is installed already"
  exit 0
fi

run=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: run as root, or install: ${missing[*]}" >&2; exit 2; }
  run=(sudo)
fi
echo "setup: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${run[@]}" apt-get update -qq
"${run[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
echo "setup: done"
