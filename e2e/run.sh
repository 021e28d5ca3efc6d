#!/usr/bin/env bash
# run.sh [--smoke] [CASE…]: the suite, with all it needs. Without KUBECONFIG it makes a cluster of its own, builds the images and loads
# them, and takes the cluster away afterwards (KEEP_CLUSTER=1 leaves it, and uses one that is there). With KUBECONFIG it runs against that
# cluster, whose nodes must have the images or be able to pull them: see e2e/README.md for what else it has to offer.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd); cd "$root"
target=${CARGO_TARGET_DIR:-$root/target}
images=${IMAGES:-$target/images}
profile=${PROFILE:-release}; folder=$profile; [ "$profile" = dev ] && folder=debug
timed() { local begun=$SECONDS; "${@:2}"; echo "      $1: $((SECONDS - begun)) s"; }

if [ -n "${KUBECONFIG:-}" ]; then
  ${HEAVY:-} cargo build --locked --profile "$profile" -p watershed-e2e
  exec "$target/$folder/watershed-e2e" "$@"
fi
wanted="worker operator suite"
case " $* " in *" --smoke "*) ;; *) wanted="$wanted rust-job" ;; esac
# shellcheck disable=SC2086  # words are wanted
timed "images" e2e/images/build.sh $wanted
if ! { [ -n "${KEEP_CLUSTER:-}" ] && e2e/cluster/in.sh kubectl get --raw /readyz >/dev/null 2>&1; }; then
  timed "cluster" e2e/cluster/up.sh
fi
[ -n "${KEEP_CLUSTER:-}" ] || trap 'e2e/cluster/down.sh' EXIT
timed "loading" e2e/cluster/load.sh "$images"/*.tar
WATERSHED_E2E_MACHINE="$root/e2e/cluster" WATERSHED_E2E_DUMP="$target/e2e" e2e/cluster/in.sh "$target/$folder/watershed-e2e" "$@"
