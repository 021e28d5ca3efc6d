#!/usr/bin/env bash
# Takes the cluster away, with all it made. What was built stays in the cache.
here=$(cd "$(dirname "$0")" && pwd); . "$here/env.sh"
[ -e "$RUN" ] || { echo "there is no cluster in $RUN"; exit 0; }
for n in "$RUN"/node*/; do [ -d "$n" ] && "$here/node.sh" kill "$(basename "$n" | tr -dc 0-9)"; done
for p in "$RUN"/*.pid; do [ -f "$p" ] && kill -9 "$(cat "$p")" 2>/dev/null; done
for _ in $(seq 50); do
  alive=; for p in "$RUN"/*.pid; do [ -f "$p" ] && kill -0 "$(cat "$p")" 2>/dev/null && alive=yes; done
  [ -z "$alive" ] && break
  sleep 0.1
done
awk -v run="$RUN/" 'index($2, run) == 1 {print $2}' /proc/mounts | sort -r | xargs -r -n1 umount -l
# Namespaces of pods are made by the network plug-in, and have its name in front.
for net in $(ip netns list | awk '/^(ws-(cp|n[0-9]+)|cni-)/ {print $1}'); do ip netns del "$net"; done
find /sys/fs/cgroup -depth -type d -path '*/ws-n*' -exec rmdir {} + 2>/dev/null
rm -rf "$RUN"
