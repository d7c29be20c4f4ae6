#!/usr/bin/env bash
# Backs up, restores and defragments the etcd of docker-compose.yml, and replaces a member of three.
# To use overlays, set COMPOSE_FILE, for example COMPOSE_FILE=docker-compose.yml:deploy/docker/replicas.yml
set -euo pipefail

usage() {
  echo "usage: $0 backup FILE | restore FILE | defrag | replace MEMBER" >&2
  echo "  backup   save a snapshot of etcd to FILE; the services keep running" >&2
  echo "  restore  stop the services, restore FILE into every member of etcd, and start the services" >&2
  echo "  defrag   compact and defragment an etcd that is out of space, and disarm its alarm" >&2
  echo "  replace  replace a member of three, such as etcd-2, that lost its data; deletes its volume" >&2
  exit 2
}

case "${1:-}:$#" in
  backup:2) mkdir -p "$(dirname "$2")"; folder=$(cd "$(dirname "$2")" && pwd) ;;
  restore:2) [ -f "$2" ] || { echo "file not found: $2" >&2; exit 1; }; folder=$(cd "$(dirname "$2")" && pwd) ;;
  defrag:1) ;;
  replace:2) member=$2 ;;
  *) usage ;;
esac
name=$(basename "${2:-}")
cd "$(dirname "$0")/../.."

COMPOSE=${COMPOSE:-$(command -v docker-compose || echo docker compose)}
compose() { $COMPOSE "$@"; }
etcdctl() { compose exec -T etcd etcdctl "$@"; }
services() { compose config --services | grep "^$1"; }

# tool MEMBER MODE COMMAND... runs a command in a new container of a member. MODE is the mount mode of the backup directory.
tool() {
  local member=$1 mode=$2
  shift 2
  compose run --rm --no-deps -T --volume "$folder:/backup:$mode" "$member" "$@"
}

backup() {
  compose run --rm --no-deps -T --user "$(id -u):$(id -g)" --volume "$folder:/backup" \
    etcd etcdctl --endpoints http://etcd:2379 snapshot save "/backup/$name"
  tool etcd ro etcdutl snapshot status "/backup/$name" --write-out table
}

# A member with old data would mix old records into the restored data. All members therefore stop first, and the token
# makes them a new cluster. Clients resume with revisions, so revisions must never decrease: they jump above every
# revision after the backup, and older revisions count as compacted. The restored copy of ECS is outdated. Without the
# record of the last reconciliation, cluster-state-service serves again only after it has reconciled.
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
  set_env BLOX_ETCD_DATA "$data"
  compose up -d $members
  for _ in $(seq 60); do
    if etcdctl endpoint health --cluster 2>/dev/null; then
      etcdctl del --prefix ecs/reconciled/
      compose up -d
      echo "restored; .env selects the restored data. The volumes keep the previous data."
      return
    fi
    sleep 1
  done
  echo "etcd failed to start with the restored data; to return to the previous data, remove BLOX_ETCD_DATA from .env" >&2
  exit 1
}

# set_env NAME VALUE sets a variable in .env, which docker-compose reads.
set_env() {
  touch .env
  local others
  others=$(grep -v "^$1=" .env || true)
  printf '%s\n' ${others:+"$others"} "$1=$2" > .env # rewrite in place to keep the permissions of the file
  unset "$1"
}

defrag() {
  local revision
  revision=$(etcdctl endpoint status --write-out json | grep -o '"revision":[0-9]*' | head -1 | cut -d: -f2)
  # etcdctl waits five seconds by default; a full etcd needs minutes.
  etcdctl --command-timeout 30m compact --physical "$revision" || echo "failed to compact; defragmenting without compaction" >&2
  etcdctl --command-timeout 30m defrag --cluster
  etcdctl alarm disarm
}

# replace deletes a member's data, removes the member from the cluster, and adds it anew as a learner, which does not
# count for the quorum. The learner copies the data of the others and becomes a voting member. A member that lost its
# data must not simply start again: it has forgotten its votes and writes that the others count on.
replace() {
  local others other volume
  others=$(services etcd | grep -vx "$member") || true
  services etcd | grep -qx "$member" && [ -n "$others" ] ||
    { echo "no member of three: $member; set COMPOSE_FILE, and choose one of: $(services etcd | tr '\n' ' ')" >&2; exit 2; }
  for other in $others; do
    on "$other" endpoint health >/dev/null 2>&1 ||
      { echo "$other is not healthy; without it, the other members have no quorum. Start it, or restore a backup" >&2; exit 1; }
  done
  compose up --no-start --no-deps --no-build "$member" >/dev/null 2>&1
  volume=$(docker inspect --format '{{range .Mounts}}{{if eq .Destination "/var/lib/etcd"}}{{.Name}}{{end}}{{end}}' "$(compose ps -q "$member")")
  compose rm --stop --force "$member"
  docker volume rm "$volume"
  for old in $(member_id "$member"); do on "$other" member remove "$old"; done
  on "$other" member add "$member" --learner --peer-urls "http://$member:2380"
  join
}

# join runs the member once with the state of a cluster that exists. Its next start needs no other configuration.
join() {
  local container id
  container=$(compose run --detach --no-deps --use-aliases -e ETCD_INITIAL_CLUSTER_STATE=existing "$member" | tail -1)
  id=$(member_id "$member")
  for _ in $(seq 300); do
    if on "$other" member promote "$id" 2>/dev/null; then
      docker stop --time 30 "$container" >/dev/null
      docker rm "$container" >/dev/null
      compose up -d --no-deps --no-build "$member"
      echo "replaced $member"
      return
    fi
    sleep 1
  done
  echo "$member has not copied the data within 5 minutes; it is a learner now. Read its log: docker logs $container" >&2
  exit 1
}

on() { compose exec -T "$1" etcdctl "${@:2}" </dev/null; } # MEMBER COMMAND...: etcdctl in a member's container
member_id() { on "$other" member list | grep -F "http://$1:2380," | cut -d, -f1; }

"$1"
