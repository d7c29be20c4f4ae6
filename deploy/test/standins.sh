#!/usr/bin/env bash
# Builds stand-ins for the images golang and etcd if the registry cannot be reached, from this machine's Go and etcd's Go
# modules. It keeps existing images. Only the tests use it. `standins.sh remove` removes the stand-ins.
# FROM is a git revision that the golang image must be able to build, too.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/test/lib.sh
golang=$(sed -n 's/^FROM \(golang:[^ ]*\).*/\1/p' deploy/docker/Dockerfile)
etcd=$(sed -n 's/^ *image: \(.*etcd:.*\)/\1/p' docker-compose.yml | head -1)
label=blox.stand-in
# modules_of_from prints a file with the modules of FROM, if it is set.
modules_of_from() { [ -z "${FROM:-}" ] || git show "$FROM:$1"; }
checksum=$({ cat go.mod go.sum deploy/test/tools/go.sum deploy/test/standins.sh; modules_of_from go.sum; } | sha256sum | cut -d' ' -f1)

if [ "${1:-}" = remove ]; then
  for image in $(docker image ls --quiet --filter "label=$label"); do docker image rm --force "$image" >/dev/null; done
  exit
fi

# missing IMAGE succeeds if the image does not exist or is an outdated stand-in.
missing() {
  local found
  found=$(docker image inspect --format "here {{index .Config.Labels \"$label\"}}" "$1" 2>/dev/null) || return 0
  [ "$found" != "here " ] && [ "$found" != "here $checksum" ]
}
root=$(mktemp -d)
trap 'chmod -R u+w "$root"; rm -rf "$root"' EXIT

if missing "$golang"; then
  static() { [[ $(ldd "$(command -v busybox)" 2>&1 || true) =~ not\ a\ dynamic|statically\ linked ]]; } # the image contains no libraries
  if command -v busybox >/dev/null && ! static; then install_missing busybox-static busybox-static; else install_missing busybox busybox-static; fi
  mkdir -p "$root"/go/{bin,tmp,root,etc/ssl/certs,usr/local}
  cp -L "$(command -v busybox)" "$root/go/bin/busybox"
  for applet in sh mkdir cp echo cat ls; do ln -s busybox "$root/go/bin/$applet"; done
  cp -a "$(go env GOROOT)" "$root/go/usr/local/go"
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/go/etc/ssl/certs/"
  download() { GOMODCACHE="$root/modules" GOPROXY="file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" GOFLAGS=-modcacherw go mod download; }
  download
  if [ -n "${FROM:-}" ]; then
    mkdir "$root/from"
    for file in go.mod go.sum; do modules_of_from $file >"$root/from/$file"; done
    (cd "$root/from" && download)
  fi
  mv "$root/modules/cache/download" "$root/go/modules" # the build needs no module proxy
  tar -C "$root/go" -c . | docker import --change "LABEL $label=$checksum" \
    --change 'ENV PATH=/usr/local/go/bin:/bin GOPROXY=file:///modules GOSUMDB=off' - "$golang" >/dev/null
  echo "stand-in: $golang ($(go version))"
fi

if missing "$etcd"; then
  mkdir -p "$root"/etcd/{usr/local/bin,var/lib/etcd,tmp}
  for program in server:etcd etcdctl:etcdctl etcdutl:etcdutl; do
    CGO_ENABLED=0 go build -C deploy/test/tools -trimpath -o "$root/etcd/usr/local/bin/${program#*:}" "go.etcd.io/etcd/${program%:*}/v3"
  done
  version=$("$root/etcd/usr/local/bin/etcd" --version | sed -n 's/^etcd Version: //p')
  [ "${etcd##*:}" = "v$version" ] || { echo "docker-compose.yml uses $etcd, but deploy/test/tools builds $version" >&2; exit 1; }
  tar -C "$root/etcd" -c . | docker import --change "LABEL $label=$checksum" \
    --change 'ENV PATH=/usr/local/bin' --change 'WORKDIR /var/lib/etcd' --change 'CMD ["/usr/local/bin/etcd"]' - "$etcd" >/dev/null
  echo "stand-in: $etcd"
fi
