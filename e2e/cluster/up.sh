#!/usr/bin/env bash
# A real Kubernetes on one machine, without Docker, a registry or a way out: each node is a network namespace with its own containerd,
# kubelet and kube-proxy; the control plane and S3 are in another. Then: in.sh kubectl get nodes
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); . "$here/env.sh"
[ "$(id -u)" = 0 ] || { echo "up.sh makes network namespaces and mounts: run it as root" >&2; exit 1; }
[ -e "$RUN" ] && { echo "there is a cluster already, or what is left of one, in $RUN: run down.sh first" >&2; exit 1; }
"$here/build.sh"
SECONDS=0
mkdir -p "$RUN/log"; cd "$RUN"
start() { local name=$1; shift; setsid "$@" >"$RUN/log/$name.log" 2>&1 </dev/null & echo $! >"$RUN/$name.pid"; }
k() { inside ws-cp kubectl --kubeconfig "$RUN/pki/admin.conf" "$@"; }

# Network: a bridge in the control plane's namespace, a veth to each node.
ip netns add ws-cp; ip -n ws-cp link set lo up
ip -n ws-cp link add ws0 type bridge; ip -n ws-cp addr add $CP/24 dev ws0; ip -n ws-cp link set ws0 up
inside ws-cp sysctl -qw net.ipv4.ip_forward=1
for i in $(seq "$NODES"); do
  ip netns add "ws-n$i"; ip -n "ws-n$i" link set lo up
  ip -n ws-cp link add "v$i" type veth peer name eth0 netns "ws-n$i"; ip -n ws-cp link set "v$i" master ws0 up
  ip -n "ws-n$i" addr add "$(node_ip "$i")/24" dev eth0; ip -n "ws-n$i" link set eth0 up
  inside "ws-n$i" sysctl -qw net.ipv4.ip_forward=1
  ip -n ws-cp route add "10.244.$i.0/24" via "$(node_ip "$i")"
done
ip -n ws-cp route add 10.96.0.0/16 via "$(node_ip 1)"        # service addresses, through the first node's kube-proxy
for i in $(seq "$NODES"); do "$here/node.sh" routes "$i"; done

"$here/pki.sh"

# Control plane.
start etcd nsenter --net=/run/netns/ws-cp etcd --data-dir etcd --listen-client-urls http://127.0.0.1:2379 \
  --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync --log-level warn
start apiserver nsenter --net=/run/netns/ws-cp "$KUBE" kube-apiserver --etcd-servers=http://127.0.0.1:2379 \
  --bind-address=0.0.0.0 --advertise-address=$CP --service-cluster-ip-range=10.96.0.0/16 \
  --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true --enable-aggregator-routing \
  --client-ca-file=pki/ca.crt --tls-cert-file=pki/apiserver.crt --tls-private-key-file=pki/apiserver.key \
  --service-account-key-file=pki/sa.pub --service-account-signing-key-file=pki/sa.key \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local \
  --kubelet-client-certificate=pki/kubelet-client.crt --kubelet-client-key=pki/kubelet-client.key \
  --kubelet-preferred-address-types=InternalIP \
  --requestheader-client-ca-file=pki/ca.crt --requestheader-allowed-names=front-proxy-client \
  --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group \
  --requestheader-username-headers=X-Remote-User \
  --proxy-client-cert-file=pki/front-proxy.crt --proxy-client-key-file=pki/front-proxy.key
until_ok 60 k get --raw /readyz
accounts="--use-service-account-credentials --root-ca-file=pki/ca.crt --service-account-private-key-file=pki/sa.key
  --cluster-signing-cert-file=pki/ca.crt --cluster-signing-key-file=pki/ca.key"
# The horizontal autoscaler looks every 15 s and waits 5 min before it shrinks anything, by default; a suite has no time for that.
soon="--node-monitor-grace-period=15s --node-monitor-period=2s --horizontal-pod-autoscaler-sync-period=5s
  --horizontal-pod-autoscaler-downscale-stabilization=20s --horizontal-pod-autoscaler-initial-readiness-delay=5s
  --horizontal-pod-autoscaler-cpu-initialization-period=20s"
for c in controller-manager scheduler; do
  own=; [ $c = controller-manager ] && own="$accounts $soon"
  # shellcheck disable=SC2086  # words are wanted
  start $c nsenter --net=/run/netns/ws-cp "$KUBE" kube-$c --kubeconfig=pki/$c.conf --authentication-kubeconfig=pki/$c.conf \
    --authorization-kubeconfig=pki/$c.conf --leader-elect=false --bind-address=127.0.0.1 $own
done

# S3, and volumes that every node may mount: directories of the machine.
mkdir -p s3/watershed; start s3 env ROOT_ACCESS_KEY=$S3_KEY ROOT_SECRET_KEY=$S3_SECRET \
  nsenter --net=/run/netns/ws-cp "$CACHE/bin/versitygw" --port $CP:7070 posix "$RUN/s3"
"$here/volumes.sh" "$RUN/shared" 24 | k apply -f - >/dev/null

echo "nameserver 10.96.0.10" >resolv.conf
for i in $(seq "$NODES"); do "$here/node.sh" prepare "$i"; "$here/node.sh" start "$i"; done
all_ready() { [ "$(k get nodes --no-headers | grep -cw Ready)" = "$NODES" ]; }
until_ok 90 all_ready
k apply -f "$here/addons.yaml" >/dev/null
k -n kube-system wait --for=condition=Available deploy/coredns deploy/metrics-server --timeout=90s >/dev/null
echo "ready in $SECONDS s: $NODES nodes; kubeconfig $RUN/pki/admin.conf (reachable with in.sh); S3 at http://$CP:7070"
