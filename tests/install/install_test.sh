#!/usr/bin/env bash
# Installs the runtime into a fresh folder, builds the examples against it by CMake and by
# pkg-config, runs them, and looks at what the library needs and shows.
# install_test.sh BUILD SOURCE MAKE_MODEL C_COMPILER CXX_COMPILER
set -euo pipefail
build=$1 source=$2 make_model=$3 cc=$4 cxx=$5

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
stop() { echo "install_test: $*" >&2; exit 1; }

cmake --install "$build" --component runtime --prefix "$prefix" >"$work/log"
"$make_model" "$work/model.spnet"

# The header is C89.
echo '#include <instantnet/runtime/instantnet.h>' |
  "$cc" -std=c89 -pedantic -Wall -Wextra -Werror -I"$prefix/include" -fsyntax-only -x c -

cmake -S "$source/examples" -B "$work/examples" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" \
  -DCMAKE_CXX_COMPILER="$cxx" >>"$work/log" 2>&1 || { cat "$work/log"; stop "the examples do not configure"; }
cmake --build "$work/examples" >>"$work/log" 2>&1 || { cat "$work/log"; stop "the examples do not build"; }
"$work/examples/classify" "$work/model.spnet" >"$work/c"
"$work/examples/classify_static" "$work/model.spnet" >"$work/static"
"$work/examples/switching" "$work/model.spnet" 2>"$work/times" | tee "$work/both" | grep -v '^mixed' >"$work/cpp"
cmp "$work/c" "$work/cpp"
cmp "$work/c" "$work/static"
grep -q '^ 8 bits: class' "$work/c" || stop "classify printed no class"
grep -q '^mixed: class' "$work/both" || stop "switching ran no mix of widths"
"$work/examples/budget" "$work/model.spnet" >"$work/budget"
grep -q '^budget  9.0:  8 bits' "$work/budget" || stop "a budget of 9 did not give 8 bits"
grep -q '^budget  1.0:  2 bits (too much)' "$work/budget" || stop "a budget below all was not told"
"$work/examples/classify" "$work/none.spnet" 2>"$work/refused" && stop "a missing file was read"
grep -q 'none.spnet' "$work/refused" || stop "no sentence about the missing file"

export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name instantnet-runtime.pc)")
lib=$(dirname "$PKG_CONFIG_PATH")
flags() { pkg-config --define-variable=prefix="$prefix" "$@" instantnet-runtime; }
# shellcheck disable=SC2046  # flags are words
"$cc" "$source/examples/classify.c" -o "$work/by_pkg_config" $(flags --cflags --libs) -Wl,-rpath,"$lib"
"$work/by_pkg_config" "$work/model.spnet" | cmp - "$work/c"

so=$lib/libinstantnet_runtime.so
nm -D --defined-only "$so" | awk '{print $3}' | grep -v '^instantnet_' && stop "the library shows more than its C functions"
readelf -d "$so" | grep NEEDED | grep -E 'torch|yaml|fmt' && stop "the library needs what it must not"
cp -L "$so" "$work/stripped.so"
strip "$work/stripped.so"
size=$(stat -c %s "$work/stripped.so")
((size < 1000000)) || stop "the stripped library has $size bytes"
echo "install_test: fine; the stripped library has $size bytes"
