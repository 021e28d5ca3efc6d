#!/usr/bin/env bash
# in.sh COMMAND…: runs a command where the cluster's addresses are reachable, with its kubeconfig, kubectl and helm at hand.
here=$(cd "$(dirname "$0")" && pwd); . "$here/env.sh"
[ -e "$RUN/pki/admin.conf" ] || { echo "there is no cluster in $RUN: make cluster-up" >&2; exit 1; }
export KUBECONFIG="$RUN/pki/admin.conf" PATH="$CACHE/bin:$PATH"
exec nsenter --net=/run/netns/ws-cp "$@"
