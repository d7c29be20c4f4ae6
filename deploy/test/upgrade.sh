# The part "upgrade" of deploy/test/run: from another version of the services to this one and back, one replica at a time.
# Sourced, not run. FROM is the git revision of the other version, one whose images have a health check; by default the latest release's tag.

# version_of builds the images of a revision, under the version of that name, with the Dockerfile of today.
version_of() {
  local from=$COPY/from
  rm -rf "$from" && mkdir "$from"
  git -C "$SOURCE" archive "$1" | tar -x -C "$from"
  cp "$SOURCE/deploy/docker/Dockerfile" "$from/deploy/docker/"
  make -C "$from" docker IMAGES="cluster-state-service daemon-scheduler" VERSION="$2" COMMIT="$1" >"$COPY/images.log" 2>&1 ||
    { tail -20 "$COPY/images.log"; fail "the images of $1"; }
}

# replace puts another version into the place of one replica.
replace() { BLOX_VERSION=$2 compose up -d --no-deps --no-build --timeout 10 "$1" >"$COPY/up.log" 2>&1 || { cat "$COPY/up.log"; fail "another $1"; }; }

# wishes is what users have asked for: it has to outlive every change of version.
wishes() { ds environments | jq -S '[.items[] | {name, taskDefinition, revision, deploymentConfiguration, instanceGroup, deploymentToken}]'; }

upgrade() {
  FROM=${FROM:-$(git -C "$SOURCE" describe --tags --abbrev=0 2>/dev/null || true)}
  [ -n "$FROM" ] || { say "upgrade: left out, there is no other version; FROM=<git revision> names one"; return; }
  say "upgrade: from $FROM to this version and back, one replica at a time, while the cluster changes"
  version_of "$FROM" other
  docker tag bloxoss/ecs-sim:{$BLOX_VERSION,other} # always today's
  BLOX_VERSION=other fresh $THREE
  local port n=1 version service before
  for port in 3000 3001 2000 2001; do await "port $port" ready $port; done
  environment first >/dev/null
  as_it_should 1 css css2
  for version in $BLOX_VERSION other; do
    for service in cluster-state-service daemon-scheduler-2 daemon-scheduler cluster-state-service-2; do
      before=$(wishes)
      sim 'instances?cluster=default&count=1' -X POST >/dev/null
      replace $service $version
      kill_task
      for port in 3000 3001 2000 2001; do await "port $port" ready $port; done
      [ "$before" = "$(wishes)" ] || fail "what was asked for before $service became $version: $before"
      as_it_should $n css css2
      environment "during-$n" >/dev/null # while both versions serve
      n=$((n + 1))
      as_it_should $n css css2
      echo "$service: is now $version"
    done
    if [ $version = $BLOX_VERSION ]; then
      ds "environments/first?deploymentToken=$(ds environments/first | jq -r .deploymentToken)" -X PATCH \
        -d '{"deploymentConfiguration":{"minimumHealthyPercent":50},"readinessAttribute":"blox.ready"}' >/dev/null
    fi
  done
  ds environments/first/pause -X POST >/dev/null # a record written by the other version, which may not know what is in it
  ds environments/first/resume -X POST >/dev/null
  compose exec -T etcd etcdctl get ecs/environment/first | grep -q blox.ready || fail "a field of another version is lost"
  for n in $(seq 1 $((n - 1))); do await "during-$n is completed" settled "during-$n"; done
  docker image rm --force bloxoss/{cluster-state-service,daemon-scheduler,ecs-sim}:other >/dev/null
}
