#!/usr/bin/env bash
# go-install.sh MODULE@VERSION FILE: a published Go command as FILE. (`go install` knows no -o.)
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
GOBIN="$dir" go install -trimpath -ldflags "-s -w" "$1"
mv "$dir"/* "$2"
