#!/usr/bin/env bash
# volumes.sh DIRECTORY N: N volumes of the class `shared`, which pods on any node may mount and write to. Made by hand, since the cluster
# has no provisioner; claims bind to them as they would to a network file system, also those
# that name no class.
set -euo pipefail
cat <<C
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: shared
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: kubernetes.io/no-provisioner
C
for n in $(seq "$2"); do
  mkdir -p -m 0777 "$1/$n"; chmod 0777 "$1/$n"
  cat <<C
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: shared-$n}
spec:
  storageClassName: shared
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteMany, ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: $1/$n, type: Directory}
C
done
