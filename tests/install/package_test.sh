#!/usr/bin/env bash
# Makes the .deb of this build, looks into it, installs it into a root of its own by dpkg, twice, upgrades it, has the other
# flavour take its place and removes it again; in between, what is installed runs there by chroot. Who is not root sees it
# unpacked and run only. The root has the libraries that the program is linked with, and dpkg believes it has this machine's
# packages, so that it checks Depends.
# package_test.sh BUILD SOURCE MAKE_MODEL C_COMPILER
set -euo pipefail
build=$1 source=$2 make_model=$3 cc=$4
for tool in dpkg dpkg-deb dpkg-shlibdeps; do
  command -v "$tool" >/dev/null || { echo "package_test: skipped, because there is no $tool"; exit 77; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
stop() { echo "package_test: $*" >&2; exit 1; }
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; stop "$* failed"; }; }

quietly cpack -G DEB --config "$build/CPackConfig.cmake" -B "$work/made"
deb=$(echo "$work"/made/*.deb)
field() { dpkg-deb -f "$deb" "$1"; }
name=$(field Package) version=$(field Version)
case $name in
  instantnet) other=instantnet-light ;;
  instantnet-light) other=instantnet ;;
  *) stop "the package is called '$name'" ;;
esac

# ---- What is in it.
[ "$(field Conflicts)" = $other ] && [ "$(field Replaces)" = $other ] || stop "$name and $other could be installed together"
[ $name = instantnet ] || ! field Depends | grep -E 'torch|dnnl' || stop "the light package depends on torch"
dpkg-deb -c "$deb" | awk '{print $6}' >"$work/files"
for file in bin/instantnet share/man/man1/instantnet.1.gz share/bash-completion/completions/instantnet \
  share/zsh/vendor-completions/_instantnet "share/doc/$name/copyright" "share/doc/$name/changelog.gz" \
  include/instantnet/runtime/instantnet.h include/instantnet/mapper/plan.h lib/libinstantnet_runtime.so \
  lib/libinstantnet_mapper.so lib/pkgconfig/instantnet-runtime.pc lib/cmake/InstantNet/InstantNetConfig.cmake; do
  grep -qx "./usr/$file" "$work/files" || stop "$file is not in the package"
done
grep -vE '^\./usr/' "$work/files" | grep -v '^\./$' && stop "files outside of /usr"

# ---- Unpacked. Each library that is needed comes from the package or from one in Depends.
mkdir -p "$root"
dpkg-deb -x "$deb" "$work/unpacked"
lib=$work/unpacked/usr/lib
field Depends | tr ',' '\n' | sed 's/^ *//; s/ .*//' >"$work/depends"
for file in "$work"/unpacked/usr/bin/instantnet "$lib"/*.so; do
  for needed in $(objdump -p "$file" | awk '/NEEDED/ {print $2}'); do
    [ -e "$lib/$needed" ] && continue
    path=$(LD_LIBRARY_PATH=$lib ldd "$file" | awk -v n="$needed" '$1 == n {print $3}')
    [ "$path" ] || continue  # the loader itself
    owner=$( (dpkg -S "$path" || dpkg -S "/usr$path" || dpkg -S "$(readlink -f "$path")") 2>/dev/null | head -n 1 | cut -d : -f 1)
    [ -z "$owner" ] || grep -qx "$owner" "$work/depends" || stop "$file needs $needed of $owner, which Depends lacks"
  done
done
"$work/unpacked/usr/bin/instantnet" --version | grep "^instantnet $version" >/dev/null || stop "the unpacked program has another version"

"$make_model" "$work/model.spnet"
export PKG_CONFIG_PATH=$lib/pkgconfig
# shellcheck disable=SC2046  # flags are words
"$cc" "$source/examples/classify.c" -o "$work/classify" $(pkg-config --cflags --libs instantnet-runtime)

if [ "$(id -u)" -ne 0 ] || ! chroot / true 2>/dev/null; then
  LD_LIBRARY_PATH=$lib "$work/classify" "$work/model.spnet" | grep '^ 8 bits: class' >/dev/null || stop "the library classifies nothing"
  echo "package_test: fine; not root, so dpkg has not installed it"
  exit 0
fi

# ---- Installed into a root of its own.
mkdir -p "$root"/{bin,tmp,usr/lib,var/lib/dpkg/{info,updates,triggers}} "$root/etc"
cp /var/lib/dpkg/status "$root/var/lib/dpkg/status"
for file in /bin/sh /sbin/ldconfig "$work/unpacked/usr/bin/instantnet" "$lib"/*.so; do
  LD_LIBRARY_PATH=$lib ldd "$file" 2>/dev/null || true
done | grep -o '/[^ ]*' | grep -v "^$work" | sort -u | while IFS= read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
mkdir -p "$root/sbin"
cp -L /bin/sh "$root/bin/sh"
cp -L /sbin/ldconfig "$root/sbin/ldconfig"
cp "$work/classify" "$work/model.spnet" "$root/tmp"
cp /etc/ld.so.conf "$root/etc" 2>/dev/null || true
[ ! -d /etc/ld.so.conf.d ] || cp -r /etc/ld.so.conf.d "$root/etc"
dpkg_here() { quietly dpkg --root="$root" --log=/dev/null "$@"; }
state() { dpkg-query --admindir="$root/var/lib/dpkg" -W -f='${db:Status-Status} ${Version}' "$1" 2>/dev/null || true; }
works() {
  chroot "$root" /usr/bin/instantnet --version | grep '^instantnet ' >/dev/null || stop "$1: the program does not run"
  chroot "$root" /usr/bin/instantnet inspect /tmp/model.spnet >/dev/null || stop "$1: the program reads no model"
  chroot "$root" /tmp/classify /tmp/model.spnet | grep '^ 8 bits: class' >/dev/null || stop "$1: the library classifies nothing"
}

# again PACKAGE VERSION: the same package under another name or version.
again() {
  dpkg-deb -R "$deb" "$work/again"
  sed -i "s/^Package: .*/Package: $1/; s/^Version: .*/Version: $2/; s/^\(Conflicts\|Replaces\): .*/\1: $3/; /^Provides:/d" "$work/again/DEBIAN/control"
  quietly dpkg-deb -b -Zgzip -z1 "$work/again" "$work/$1_$2.deb"
  rm -r "$work/again"
}
again $name 99.0 $other
again $other 99.0 $name

dpkg_here -i "$deb"
works "installed"
dpkg_here -i "$deb"
works "installed twice"
dpkg_here -i "$work/${name}_99.0.deb"
[ "$(state $name)" = "installed 99.0" ] || stop "the upgrade left '$(state $name)'"
works "upgraded"
dpkg_here --force-downgrade -i "$deb"
dpkg_here -i "$work/${other}_99.0.deb"
[ "$(state $other)" = "installed 99.0" ] || stop "$other is '$(state $other)'"
case $(state $name) in installed*) stop "$name and $other are both installed" ;; esac
works "with $other in its place"
dpkg_here --purge $other
left=$(find "$root" -path "$root/usr/*instantnet*" -not -type d)
[ -z "$left" ] || stop "left behind: $left"
echo "package_test: fine; $(basename "$deb") has $(stat -c %s "$deb") bytes"
