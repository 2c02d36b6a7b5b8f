#!/bin/sh
# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# build.sh MINOR OUT_DIR: builds kube-apiserver and etcd from their published Go modules.
# Needs Go 1.26; scripts/control-plane brings it and skips the work when there is nothing to do.
# The first time takes about five minutes on two cores and 2 GB of build cache, then seconds.
set -eu
[ $# -eq 2 ] || { echo "usage: $0 MINOR OUT_DIR" >&2; exit 2; }
out=$(realpath -m -- "$2")
cd "$(dirname "$0")"
modules=$1/go.mod
mkdir -p "$out"
# The compiler collects its garbage less often: a tenth of the time.
export GOGC="${GOGC:-400}"

# Without -X the apiserver calls itself v0.0.0-master, and derives its feature gates from that.
kubernetes=v$(sed -n 's/^\tk8s.io\/kubernetes v//p' "$modules")
version=k8s.io/component-base/version.gitVersion

go build -modfile "$modules" -trimpath -ldflags "-s -w -X $version=$kubernetes" \
    -o "$out/kube-apiserver" ./kube-apiserver
go build -modfile "$modules" -trimpath -ldflags "-s -w" -o "$out/etcd" ./etcd
