#!/usr/bin/env bash
# Looks after the etcd of docker-compose.yml: a backup of it, back to a backup, and room when it is full.
# With overlays, say them in COMPOSE_FILE, as in COMPOSE_FILE=docker-compose.yml:deploy/docker/replicas.yml
set -euo pipefail

usage() {
  echo "usage: $0 backup FILE | restore FILE | room" >&2
  echo "  backup   takes a snapshot of etcd into FILE while everything runs" >&2
  echo "  restore  goes back to FILE: stops the services, gives every member of etcd new data, and starts them again" >&2
  echo "  room     compacts and defragments a full etcd and lifts its alarm" >&2
  exit 2
}

case "${1:-}:$#" in
  backup:2) mkdir -p "$(dirname "$2")"; folder=$(cd "$(dirname "$2")" && pwd) ;;
  restore:2) [ -f "$2" ] || { echo "there is no $2" >&2; exit 1; }; folder=$(cd "$(dirname "$2")" && pwd) ;;
  room:1) ;;
  *) usage ;;
esac
name=$(basename "${2:-}")
cd "$(dirname "$0")/../.."

COMPOSE=${COMPOSE:-$(command -v docker-compose || echo docker compose)}
compose() { $COMPOSE "$@"; }
etcdctl() { compose exec -T etcd etcdctl "$@"; }
services() { compose config --services | grep "^$1"; }

# tool runs a program of etcd's image beside what runs: MEMBER, how the folder of backups is mounted, and what to run.
tool() {
  local member=$1 mount=$2
  shift 2
  compose run --rm --no-deps -T --volume "$folder:/backup:$mount" "$member" "$@"
}

backup() {
  compose run --rm --no-deps -T --user "$(id -u):$(id -g)" --volume "$folder:/backup" \
    etcd etcdctl --endpoints http://etcd:2379 snapshot save "/backup/$name"
  tool etcd ro etcdutl snapshot status "/backup/$name" --write-out table
}

# A member with old data must never meet one with restored data, or old records are mixed into the restored ones: all stop
# first, and the token makes them another cluster. Revisions must never go backwards, for clients resume with them: they
# jump over all that were given out after the backup, and the older ones count as compacted. What was known of ECS is old:
# cluster-state-service answers only once it has compared again, so it must not find the record of an earlier comparison.
restore() {
  local members cluster='' member data
  members=$(services etcd)
  data=restored-$(date -u +%Y%m%dT%H%M%SZ)
  for member in $members; do cluster+="${cluster:+,}$member=http://$member:2380"; done
  for member in $members; do
    tool "$member" ro etcdutl snapshot restore "/backup/$name" --data-dir "/var/lib/etcd/$data" \
      --bump-revision 1000000000 --mark-compacted \
      --initial-cluster-token "$data" --name "$member" --initial-cluster "$cluster" --initial-advertise-peer-urls "http://$member:2380"
  done
  compose stop $(services daemon-scheduler) $(services cluster-state-service) $members
  remember BLOX_ETCD_DATA "$data"
  compose up -d $members
  for _ in $(seq 60); do
    if etcdctl endpoint health --cluster 2>/dev/null; then
      etcdctl del --prefix ecs/reconciled/
      compose up -d
      echo "restored; .env says so. What etcd had before is still in its volumes."
      return
    fi
    sleep 1
  done
  echo "etcd does not come up with what was restored; without BLOX_ETCD_DATA in .env it has what it had before" >&2
  exit 1
}

# remember sets a variable in .env, which docker-compose reads.
remember() {
  touch .env
  local others
  others=$(grep -v "^$1=" .env || true)
  printf '%s\n' ${others:+"$others"} "$1=$2" > .env # in place, as who may read it stays so
  unset "$1"
}

room() {
  local revision
  revision=$(etcdctl endpoint status --write-out json | grep -o '"revision":[0-9]*' | head -1 | cut -d: -f2)
  # A full etcd takes minutes for what etcdctl waits five seconds for.
  etcdctl --command-timeout 30m compact --physical "$revision" || echo "not compacted; it goes on with what was before" >&2
  etcdctl --command-timeout 30m defrag --cluster
  etcdctl alarm disarm
}

"$1"
