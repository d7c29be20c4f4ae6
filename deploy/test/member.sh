# The part "member" of deploy/test/run replaces members of etcd that lost their disks. Source this file; do not run it.

member() {
  log "member: a member of etcd loses its disk while the cluster changes; replace it, then lose the leader's disk"
  reset_blox $THREE
  local port n=1 target victim other volume
  for port in 3000 3001 2000 2001; do await "port $port is ready" ready $port; done
  environment first >/dev/null
  verify 1 css css2
  for target in etcd-2 leader; do
    victim=$target
    [ $target != leader ] || victim=$(leader) # it may be etcd-2 again
    volume=${PROJECT}_$victim
    [ "$victim" != etcd ] || volume=${PROJECT}_etcd-1
    compose rm --stop --force "$victim" >/dev/null 2>&1
    docker volume rm "$volume" >/dev/null
    sim 'instances?cluster=default&count=1' -X POST >/dev/null
    kill_task
    verify $n css css2
    environment "without-$target" >/dev/null
    n=$((n + 1))
    verify $n css css2
    COMPOSE_PROJECT_NAME=$PROJECT "$COPY/deploy/docker/etcd.sh" replace "$victim" >"$COPY/replace.log" 2>&1 || { cat "$COPY/replace.log"; fail "failed to replace $victim"; }
    for port in 3000 3001 2000 2001; do await "port $port is ready" ready $port; done
    await "all members have the same data" same_data
    verify $n css css2
    echo "$victim: lost its disk and was replaced"
  done
  for other in etcd etcd-2 etcd-3; do # the new members count for the quorum
    compose stop "$other" >/dev/null 2>&1
    kill_task
    verify $n css css2
    environment "while-$other-is-down" >/dev/null
    n=$((n + 1))
    verify $n css css2
    compose start "$other" >/dev/null 2>&1
    await "all members have the same data" same_data
  done
}
same_data() { # all three members have the same hash at the same revision
  compose exec -T etcd etcdctl endpoint hashkv --cluster --write-out json </dev/null 2>/dev/null |
    jq -e 'length == 3 and (map(.HashKV.hash) | unique | length == 1)' >/dev/null
}
