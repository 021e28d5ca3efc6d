# What the scripts share; source it. CACHE keeps what was built, RUN what belongs to the cluster that runs.
CACHE=${WATERSHED_CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/watershed/cluster}
RUN=${WATERSHED_CLUSTER_RUN:-$CACHE/run}
NODES=${NODES:-3}
CP=172.30.0.1                             # the control plane, and S3
S3_KEY=watershed S3_SECRET=watershed-secret
KUBE="$CACHE/bin/kube"
node_ip() { echo 172.30.0.$((10 + $1)); }
inside() { nsenter --net="/run/netns/$1" "${@:2}"; }      # not 'ip netns exec': that remounts /sys and hides the cgroups from the kubelet
until_ok() {
  local deadline=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || { echo "gave up waiting for: $*" >&2; return 1; }
    sleep 0.2
  done
}
