#!/bin/sh
# rootfs.sh DIRECTORY: the root file system of our images, from Debian packages: the C library and what links to it, public
# certificates, and a name for the user. Nothing is installed or run in it, so any Debian can make it.
set -eu
root=$1; work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkdir -p "$root"; root=$(cd "$root" && pwd)
cd "$work"; chmod 777 .
apt-get update -qq
apt-get download -qq libc6 libgcc-s1 ca-certificates >/dev/null
for deb in *.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work" --one-top-level=all; done

# Of the packages only what a program needs when it runs.
lib=$(dirname "$(find all -name libc.so.6 | head -1)"); to=$root/${lib#all/}
mkdir -p "$to" "$root/lib64" "$root/etc/ssl/certs" "$root/tmp"; chmod 1777 "$root/tmp"
for name in libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 librt.so.1 libresolv.so.2 libnss_dns.so.2 libnss_files.so.2 libgcc_s.so.1; do
  find all -name "$name" -exec cp -L {} "$to/" \;
done
find all -name 'ld-linux*' -type f -exec cp {} "$to/" \;
for loader in "$to"/ld-linux*; do      # the path that programs name: /lib64 on x86-64, /lib elsewhere
  case $loader in *x86-64*) at=lib64 ;; *) at=lib ;; esac
  ln -s "${to#"$root"}/$(basename "$loader")" "$root/$at/"
done
find all/usr/share/ca-certificates -name '*.crt' -exec cat {} + >"$root/etc/ssl/certs/ca-certificates.crt"
echo 'nonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin' >"$root/etc/passwd"
echo 'nonroot:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
