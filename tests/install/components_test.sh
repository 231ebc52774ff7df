#!/usr/bin/env bash
# Installs the components mapper and program, and train where it was built, and meets them as users do: consumer projects by
# CMake and by pkg-config, every header on its own, the program with its pages.
# components_test.sh BUILD SOURCE CXX_COMPILER TORCH(ON|OFF)
set -euo pipefail
build=$1 source=$2 cxx=$3 torch=$4

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
stop() { echo "components_test: $*" >&2; exit 1; }

cmake --install "$build" --component mapper --prefix "$prefix" >"$work/log"
moved() { mv "$prefix" "$work/$1" && prefix=$work/$1; }
moved elsewhere  # nothing in it may know where it was installed

# consume NAME: builds the project against the prefix and runs it.
consume() {
  cmake -S "$source/tests/install/consumers/$1" -B "$work/$1" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$cxx" \
    >"$work/log" 2>&1 && cmake --build "$work/$1" >>"$work/log" 2>&1 || { cat "$work/log"; stop "the consumer of $1 does not build"; }
  "$work/$1/consumer"
}
consume mapper >"$work/said"
grep -q '^4 bits: [0-9]* pJ, [0-9]* cycles, proven$' "$work/said" || stop "the consumer of mapper maps nothing"
grep -q "'simple4' is neither a preset nor a file, did you mean 'simple3'?" "$work/said" || stop "no sentence for a mistake"

export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name instantnet-mapper.pc)")
lib=$(dirname "$PKG_CONFIG_PATH")
# shellcheck disable=SC2046  # flags are words
"$cxx" -std=c++20 "$source/tests/install/consumers/mapper/main.cpp" -o "$work/by_pkg_config" \
  $(pkg-config --cflags --libs instantnet-mapper) -Wl,-rpath,"$lib"
"$work/by_pkg_config" | cmp - "$work/said"

# A component that is not there is told by name.
cmake -S "$source/tests/install/consumers/train" -B "$work/none" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$cxx" \
  >"$work/log" 2>&1 && stop "train was found though it is not installed"
tr -s ' \n' ' ' <"$work/log" | grep -q "component 'train' of InstantNet is not installed" || stop "no sentence about the missing component"

# Headers stand on their own: each is the first that its own source includes, or else is compiled here.
headers=0
while IFS= read -r header; do
  ((++headers))
  grep -sm1 '^#include' "$source/src/${header%.h}.cpp" | grep -qF "\"$header\"" ||
    echo "#include <$header>" >"$work/header_$headers.cpp"
done < <(cd "$prefix/include" && find instantnet -name '*.h')
((headers > 40)) || stop "only $headers headers are installed"
"$cxx" -std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Werror -I"$prefix/include" "$work"/header_*.cpp
for so in "$lib"/*.so; do
  readelf -d "$so" | grep NEEDED | grep -E 'torch|c10' && stop "$so needs torch"
done

if [ "$torch" = ON ]; then
  cmake --install "$build" --component train --prefix "$prefix" >"$work/log"
  consume train | tee "$work/said"
  grep -q '^8 bits: 2 x 10$' "$work/said" || stop "the consumer of train computes nothing"
  # shellcheck disable=SC2046
  "$cxx" -std=c++20 "$source/tests/install/consumers/train/main.cpp" -o "$work/by_pkg_config" \
    $(pkg-config --cflags --libs instantnet-train) -Wl,-rpath,"$lib"
  "$work/by_pkg_config" | cmp - "$work/said"
fi

cmake --install "$build" --component program --prefix "$prefix" >"$work/log"
"$prefix/bin/instantnet" --version >/dev/null
for page in share/man/man1/instantnet.1.gz share/bash-completion/completions/instantnet share/zsh/site-functions/_instantnet; do
  [ -s "$prefix/$page" ] || stop "$page is not installed"
done
grep -rlI "$build" "$prefix" && stop "these files name the build folder"
echo "components_test: fine; $headers headers"
