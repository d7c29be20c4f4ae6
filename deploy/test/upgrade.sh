# The part "upgrade" of deploy/test/run upgrades and downgrades one replica at a time. Source this file; do not run it.
# FROM is the git revision of the other version. Its binaries need the flag --healthcheck. deploy/test/run sets the default, the latest release's tag.

# build_images REVISION VERSION builds the images of a revision with today's Dockerfile and tags them with VERSION.
build_images() {
  local from=$COPY/from
  rm -rf "$from" && mkdir "$from"
  git -C "$SOURCE" archive "$1" | tar -x -C "$from"
  cp "$SOURCE/deploy/docker/Dockerfile" "$from/deploy/docker/"
  make -C "$from" docker IMAGES="cluster-state-service daemon-scheduler" VERSION="$2" COMMIT="$1" >"$COPY/images.log" 2>&1 ||
    { tail -20 "$COPY/images.log"; fail "failed to build the images of $1"; }
}

# replace SERVICE VERSION replaces one replica.
replace() { BLOX_VERSION=$2 compose up -d --no-deps --no-build --timeout 10 "$1" >"$COPY/up.log" 2>&1 || { cat "$COPY/up.log"; fail "failed to replace $1"; }; }

# specifications prints the users' specifications, which every version must preserve.
specifications() { ds environments | jq -S '[.items[] | {name, taskDefinition, revision, deploymentConfiguration, instanceGroup, deploymentToken}]'; }

upgrade() {
  [ -n "$FROM" ] || { log "upgrade: skipped, no release found; set FROM=<git revision>"; return; }
  log "upgrade: from $FROM to this version and back, one replica at a time, while the cluster changes"
  build_images "$FROM" other
  docker tag bloxoss/ecs-sim:{$BLOX_VERSION,other} # both versions use today's simulator
  BLOX_VERSION=other reset_blox $THREE
  local port n=1 version service before
  for port in 3000 3001 2000 2001; do await "port $port is ready" ready $port; done
  environment first >/dev/null
  verify 1 css css2
  for version in $BLOX_VERSION other; do
    for service in cluster-state-service daemon-scheduler-2 daemon-scheduler cluster-state-service-2; do
      before=$(specifications)
      sim 'instances?cluster=default&count=1' -X POST >/dev/null
      replace $service $version
      kill_task
      for port in 3000 3001 2000 2001; do await "port $port is ready" ready $port; done
      [ "$before" = "$(specifications)" ] || fail "specifications changed when $service became $version; before: $before"
      verify $n css css2
      environment "during-$n" >/dev/null # while both versions run
      n=$((n + 1))
      verify $n css css2
      echo "$service: is now $version"
    done
    if [ $version = $BLOX_VERSION ]; then
      ds "environments/first?deploymentToken=$(ds environments/first | jq -r .deploymentToken)" -X PATCH \
        -d '{"deploymentConfiguration":{"minimumHealthyPercent":50},"readinessAttribute":"blox.ready"}' >/dev/null
    fi
  done
  ds environments/first/pause -X POST >/dev/null # the other version rewrites a record with fields that it may not know
  ds environments/first/resume -X POST >/dev/null
  compose exec -T etcd etcdctl get ecs/environment/first | grep -q blox.ready || fail "a rewrite lost a field of this version"
  for n in $(seq 1 $((n - 1))); do await "during-$n is completed" deployments_completed "during-$n"; done
  docker image rm --force bloxoss/{cluster-state-service,daemon-scheduler,ecs-sim}:other >/dev/null
}
