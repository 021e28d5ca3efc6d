#!/usr/bin/env bash
# load.sh IMAGE.tar…: puts images on every node that runs, since there is no registry to pull them from.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); . "$here/env.sh"
for socket in "$RUN"/node*/containerd.sock; do
  for tar in "$@"; do ctr -a "$socket" -n k8s.io images import "$tar" >/dev/null; done
done
