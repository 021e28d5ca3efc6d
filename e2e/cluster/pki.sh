#!/usr/bin/env bash
# Certificates and kubeconfigs of the cluster, into $RUN/pki. They are for a month and for nobody else: nothing here is a secret.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); . "$here/env.sh"
mkdir -p "$RUN/pki"; cd "$RUN/pki"

openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=watershed-test -days 30 2>/dev/null
openssl genrsa -out sa.key 2048 2>/dev/null
openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null

# cert NAME SUBJECT [ALTERNATIVE-NAMES]
cert() {
  openssl req -new -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out "$1.crt" \
    -extfile <(printf "extendedKeyUsage=serverAuth,clientAuth\n%s" "${3:+subjectAltName=$3}") 2>/dev/null
}
# kubeconfig NAME: for who has the certificate NAME.
kubeconfig() {
  local k=(kubectl config --kubeconfig="$1.conf")
  "${k[@]}" set-cluster ws --server="https://$CP:6443" --certificate-authority=ca.crt --embed-certs
  "${k[@]}" set-credentials "$1" --client-certificate="$1.crt" --client-key="$1.key" --embed-certs
  "${k[@]}" set-context ws --cluster=ws --user="$1"
  "${k[@]}" use-context ws
} >/dev/null

service=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local
cert apiserver /CN=kube-apiserver "$service,IP:10.96.0.1,IP:$CP,IP:127.0.0.1"
cert kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
cert front-proxy /CN=front-proxy-client
cert admin /O=system:masters/CN=admin
cert controller-manager /CN=system:kube-controller-manager
cert scheduler /CN=system:kube-scheduler
cert proxy /CN=system:kube-proxy
for c in admin controller-manager scheduler proxy; do kubeconfig "$c"; done
for i in $(seq "$NODES"); do
  cert "node$i" "/O=system:nodes/CN=system:node:node$i" "DNS:node$i,IP:$(node_ip "$i")"
  kubeconfig "node$i"
done
