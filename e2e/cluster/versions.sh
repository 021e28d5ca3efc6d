# What the cluster is made of. Kubernetes and CoreDNS are pinned in kube/go.mod and dns/go.mod, with the hashes of all they need.
HELM=v3.19.0
METRICS_SERVER=v0.7.2      # v0.8.0 is missing from the checksum database
VERSITYGW=v1.8.0           # an S3 server that honours If-None-Match: *
# From Debian. runc comes with containerd; conntrack and nft are called by kube-proxy; busybox is for probes; buildah builds our images.
PACKAGES="containerd runc containernetworking-plugins nftables conntrack iproute2 etcd-server busybox-static buildah gcc libc6-dev openssl python3"
