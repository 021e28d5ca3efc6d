#!/usr/bin/env bash
# Everything the cluster needs, from packages, into $CACHE: about nine minutes on two cores the first time, nothing after. Each part
# is named by its version (those with a go.mod by a hash over it), so another version is another file and old ones stay usable;
# $CACHE/bin holds links to the wanted ones. HEAVY, if set, is put before each compilation (a lock, nice, …).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); . "$here/env.sh"; . "$here/versions.sh"
parts="$CACHE/parts"; mkdir -p "$parts" "$CACHE/bin" "$CACHE/images"
export GOTOOLCHAIN=local

# shellcheck disable=SC2086  # words are wanted
missing=$(for p in $PACKAGES; do dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || echo "$p"; done)
if [ -n "$missing" ]; then
  apt-get update -qq
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

# part NAME VERSION COMMAND…: runs COMMAND with the file to make as its last word, unless it is there.
part() {
  local name=$1 file="$parts/$1-$2"; shift 2
  if [ ! -x "$file" ]; then
    echo "building $(basename "$file")"
    ${HEAVY:-} "$@" "$file.new"
    mv "$file.new" "$file"
  fi
  ln -sfn "../parts/$(basename "$file")" "$CACHE/bin/$name"
}
key() { cat "$@" | sha256sum | cut -c1-12; }
version=$(sed -nE 's/^(require )?\s*k8s.io\/kubernetes (v[^ ]*)$/\2/p' "$here/kube/go.mod" | head -1)
base=k8s.io/component-base/version
stamp="-s -w -X $base.gitVersion=$version -X $base.gitMajor=1 -X $base.gitMinor=$(cut -d. -f2 <<<"$version")"
CGO_ENABLED=1 part kube "$version-$(key "$here"/kube/{go.mod,go.sum,main.go})" go -C "$here/kube" build -trimpath -ldflags "$stamp" -o
export CGO_ENABLED=0
part coredns "$(key "$here"/dns/{go.mod,go.sum,main.go})" go -C "$here/dns" build -trimpath -ldflags "-s -w" -o
part helm "$HELM" "$here/go-install.sh" "helm.sh/helm/v3/cmd/helm@$HELM"
part metrics-server "$METRICS_SERVER" "$here/go-install.sh" "sigs.k8s.io/metrics-server/cmd/metrics-server@$METRICS_SERVER"
part versitygw "$VERSITYGW" "$here/go-install.sh" "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW"
part pause "$(key "$here/pause.c")" gcc -static -O2 -s "$here/pause.c" -o
ln -sfn "$(command -v busybox)" "$CACHE/bin/busybox"

# Images of the cluster itself, which every node takes up when it starts.
image() {
  local out="$CACHE/images/$1.tar"
  [ "$out" -nt "$here/image.py" ] && [ "$out" -nt "$(readlink -f "$CACHE/bin/$1")" ] && return
  "$here/image.py" "$out" "watershed.test/$1:1" "${@:2}"
}
for name in pause coredns metrics-server; do image $name "--entry=/$name" "/$name=$CACHE/bin/$name"; done
links=()
for applet in sh sleep nslookup wget nc cat ls httpd hostname kill ps; do links+=("/bin/$applet->busybox"); done
image busybox --entry=/bin/sh "/bin/busybox=$(command -v busybox)" "${links[@]}"
