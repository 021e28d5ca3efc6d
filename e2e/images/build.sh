#!/usr/bin/env bash
# build.sh [worker|operator|suite|rust-job…]: images from the real Dockerfiles, as archives in $IMAGES, without a registry or a daemon.
#
# Programs come from this checkout's target directory, built with PROFILE (release; what is published uses dist, smaller and slower
# to link), and the root file system from Debian packages; both are handed to the Dockerfile in place of the stages that would pull.
# PROFILE=dev takes what the tests have compiled anyway: larger and slower, and good enough where times do not matter.
# HEAVY, if set, is put before each compilation.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd); cd "$root"
TAG=${TAG:-e2e}; PROFILE=${PROFILE:-release}
FOLDER=$PROFILE; [ "$PROFILE" = dev ] && FOLDER=debug
TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
IMAGES=${IMAGES:-$TARGET_DIR/images}
ROOTFS=${ROOTFS:-${XDG_CACHE_HOME:-$HOME/.cache}/watershed/rootfs-$(sha256sum e2e/images/rootfs.sh | cut -c1-12)}
wanted=("$@"); [ $# = 0 ] && wanted=(worker operator suite)
mkdir -p "$IMAGES"
[ -d "$ROOTFS/image" ] || { e2e/images/rootfs.sh "$ROOTFS.new/image"; mv "$ROOTFS.new" "$ROOTFS"; }

declare -A package=([worker]=watershed-cli [operator]=watershed-operator [suite]=watershed-e2e)
declare -A program=([worker]=watershed [operator]=watershed-operator [suite]=watershed-e2e [rust-job]=sessions)
declare -A file=([worker]=Dockerfile [operator]=Dockerfile [suite]=e2e/Dockerfile [rust-job]=examples/rust-job/Dockerfile)
packages=()
for image in "${wanted[@]}"; do [ -z "${package[$image]:-}" ] || packages+=(-p "${package[$image]}"); done
[ ${#packages[@]} = 0 ] || ${HEAVY:-} cargo build --locked --profile "$PROFILE" "${packages[@]}"
for image in "${wanted[@]}"; do
  from=$TARGET_DIR
  if [ "$image" = rust-job ]; then
    from=$TARGET_DIR/rust-job
    ${HEAVY:-} cargo build --release --features cluster --manifest-path examples/rust-job/Cargo.toml --target-dir "$from"
  fi
  stripped="$IMAGES/programs/$image"; mkdir -p "$stripped"
  built="$from/$([ "$image" = rust-job ] && echo release || echo "$FOLDER")/${program[$image]}"
  name="watershed.test/$image:$TAG"; out="$IMAGES/$image.tar"
  if [ "$out" -nt "$built" ] && [ "$out" -nt "${file[$image]}" ] && [ "$out" -nt "$0" ]; then continue; fi
  strip -o "$stripped/${program[$image]}" "$built"
  buildah --storage-driver vfs bud --quiet --isolation chroot --build-context "build=$stripped" --build-context "rootfs=$ROOTFS" \
    --target "$image" --file "${file[$image]}" --tag "$name" . >/dev/null
  rm -f "$out"
  buildah --storage-driver vfs push --quiet "$name" "oci-archive:$out:$name"
  buildah --storage-driver vfs rmi --force "$name" >/dev/null 2>&1 || true
  echo "$name: $(($(stat -c %s "$out") / 1000000)) MB in $out"
done
