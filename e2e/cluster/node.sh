#!/usr/bin/env bash
# node.sh start|stop|kill|routes|prepare N
#   start    brings the node up, also after stop or kill
#   stop     ends its agents; its pods go on, as when a kubelet crashes
#   kill     a power cut: the cable first, so that nobody hears a connection end, then agents and all pods
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); . "$here/env.sh"; i=$2; N="$RUN/node$i"; cd "$RUN"
start() { local name=$1; shift; setsid nsenter --net="/run/netns/ws-n$i" "$@" >>"$RUN/log/$name.log" 2>&1 </dev/null & echo $! >"$RUN/$name.pid"; }
agents() {
  for p in "kubelet$i" "proxy$i" "containerd$i"; do
    [ -f "$p.pid" ] && kill -9 "$(cat "$p.pid")" 2>/dev/null
    rm -f "$p.pid"
  done
  true
}
routes() {
  ip -n "ws-n$i" route replace default via $CP              # kube-proxy needs a route for service addresses
  for j in $(seq "$NODES"); do [ "$i" = "$j" ] || ip -n "ws-n$i" route replace "10.244.$j.0/24" via "$(node_ip "$j")"; done
}
prepare() {
  mkdir -p "$N"/{containerd,state,kubelet,cni,logs,manifests}
  for c in /sys/fs/cgroup/*/; do      # cgroup v1: a root in each hierarchy
    [ -e "$c/cgroup.procs" ] && [ -e "$c/release_agent" -o -e "$c/notify_on_release" ] && [ "$c" != /sys/fs/cgroup/unified/ ] || continue
    mkdir -p "$c/ws-n$i"
    for f in cpus mems; do [ -e "$c/cpuset.$f" ] && cat "$c/cpuset.$f" >"$c/ws-n$i/cpuset.$f"; done
    true
  done
  if [ -e /sys/fs/cgroup/cgroup.subtree_control ]; then      # v2: one tree, whose controllers have to be handed down
    echo "+cpu +cpuset +memory +pids" >/sys/fs/cgroup/cgroup.subtree_control
    mkdir -p "/sys/fs/cgroup/ws-n$i"
    echo "+cpu +cpuset +memory +pids" >"/sys/fs/cgroup/ws-n$i/cgroup.subtree_control"
  fi
  cat >"$N/cni/10-ws.conflist" <<C
{"cniVersion": "1.0.0", "name": "ws", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$N/ipam", "ranges": [[{"subnet": "10.244.$i.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
C
  cat >"$N/containerd.toml" <<C
version = 2
root = "$N/containerd"
state = "$N/state"
[grpc]
  address = "$N/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "watershed.test/pause:1"
  restrict_oom_score_adj = true        # root without CAP_SYS_RESOURCE may not lower it, and runc then fails
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$N/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
C
  cat >"$N/kubelet.yaml" <<C
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $RUN/pki/ca.crt}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix://$N/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /ws-n$i
failCgroupV1: false
failSwapOn: false
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
resolvConf: $RUN/resolv.conf
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
staticPodPath: $N/manifests
podLogsDir: $N/logs
tlsCertFile: $RUN/pki/node$i.crt
tlsPrivateKeyFile: $RUN/pki/node$i.key
nodeStatusUpdateFrequency: 2s
C
}
case $1 in
routes) routes ;;
prepare) prepare ;;
start)
  ip -n ws-cp link set "v$i" up
  until_ok 5 routes
  start "containerd$i" containerd --config "$N/containerd.toml"
  until_ok 30 ctr -a "$N/containerd.sock" version
  if [ ! -e "$N/images" ]; then
    for image in "$CACHE"/images/*.tar; do ctr -a "$N/containerd.sock" -n k8s.io images import "$image" >/dev/null; done
    touch "$N/images"
  fi
  start "kubelet$i" "$KUBE" kubelet --config "$N/kubelet.yaml" --kubeconfig "pki/node$i.conf" --hostname-override "node$i" \
    --node-ip "$(node_ip "$i")" --root-dir "$N/kubelet"
  start "proxy$i" "$KUBE" kube-proxy --kubeconfig pki/proxy.conf --proxy-mode nftables --hostname-override "node$i" \
    --cluster-cidr 10.244.0.0/16 --bind-address "$(node_ip "$i")" --metrics-bind-address 127.0.0.1:10249 \
    --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0 ;;
stop) agents ;;
kill)
  ip -n ws-cp link set "v$i" down
  agents
  # Under cgroup v2 there is one tree, under v1 one for each controller; every process is in the one named here.
  tree=/sys/fs/cgroup; [ -d $tree/pids ] && tree=$tree/pids
  # What is listed may have ended already, or may just be forking: again, until nothing is left.
  for _ in 1 2 3 4 5; do
    pids=$(find "$tree/ws-n$i" -name cgroup.procs -exec cat {} + 2>/dev/null || true)
    [ -z "$pids" ] && break
    # shellcheck disable=SC2086
    kill -9 $pids 2>/dev/null || true
    sleep 0.05
  done
  for p in $(pgrep -f "containerd-shim.*$N/" || true); do kill -9 "$p" 2>/dev/null || true; done ;;
*) sed -n '2,5s/^# //p' "$0"; exit 2 ;;
esac
