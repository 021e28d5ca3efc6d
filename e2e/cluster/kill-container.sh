#!/usr/bin/env bash
# kill-container.sh N ID: kill -9 of the processes of a container on node N. From inside, the first process of a container cannot be
# killed: the kernel protects it from its own namespace.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); . "$here/env.sh"
pid=$(ctr -a "$RUN/node$1/containerd.sock" -n k8s.io tasks list | awk -v id="$2" '$1 == id {print $2}')
[ -n "$pid" ] || { echo "no container $2 runs on node $1" >&2; exit 1; }
kill -9 "$pid"
