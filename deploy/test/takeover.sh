# The part "takeover" of deploy/test/run copies records of v0.3 into a new etcd. Source this file; do not run it.
# OLD_ETCD_IMAGE sets the image of the old etcd, for example quay.io/coreos/etcd:v3.0.15 of v0.3. The default is today's.
takeover() {
  log "takeover: copy the records of v0.3 into a new etcd with the command of deploy/docs/upgrade.md"
  start_blox $ALONE
  environment first >/dev/null
  verify 1 css
  await "the deployment is completed" deployments_completed first
  local image key started total
  image=${OLD_ETCD_IMAGE:-$(sed -n 's/^ *image: \(.*etcd:.*\)/\1/p' "$SOURCE/docker-compose.yml" | head -1)}
  docker run --detach --name "$PROJECT-old" --network "${PROJECT}_default" --network-alias old-etcd "$image" \
    /usr/local/bin/etcd --listen-client-urls http://0.0.0.0:2379 --advertise-client-urls http://old-etcd:2379 >/dev/null
  old_etcdctl() { compose exec -T etcd etcdctl --endpoints http://old-etcd:2379 "$@"; }
  await "the old etcd is ready" old_etcdctl get health
  compose stop daemon-scheduler cluster-state-service >/dev/null 2>&1
  for key in $(compose exec -T etcd etcdctl get --prefix ecs/ --keys-only); do
    case $key in
      ecs/environment/*) compose exec -T etcd etcdctl get --print-value-only "$key" </dev/null | v0_3 | old_etcdctl put "$key" ;;
      ecs/task/* | ecs/instance/*) compose exec -T etcd etcdctl get --print-value-only "$key" </dev/null | old_etcdctl put "$key" ;;
    esac
  done >/dev/null
  total=$(old_etcdctl get --prefix ecs/ --keys-only </dev/null | grep -c .)
  [ "$total" = 7 ] || fail "found $total records; expected 7: one environment and three instances with a task each"
  compose rm --stop --force etcd >/dev/null 2>&1
  docker volume rm "${PROJECT}_etcd" >/dev/null
  sim 'instances?cluster=default&count=1' -X POST >/dev/null # joins while no service runs
  started=$(live_tasks)

  compose up -d --no-build etcd >/dev/null 2>&1
  compose run --rm --no-deps -T --name "$PROJECT-mirror" etcd etcdctl --endpoints http://old-etcd:2379 make-mirror --prefix ecs/ http://etcd:2379 >"$COPY/mirror.log" 2>&1 </dev/null &
  all_copied() { [ "$(compose exec -T etcd etcdctl get --prefix ecs/ --keys-only </dev/null | grep -c .)" = "$total" ]; }
  await "all records are copied" all_copied
  docker rm --force "$PROJECT-mirror" >/dev/null
  wait $! || true
  compose up -d --no-build >/dev/null 2>&1
  await "cluster-state-service is ready" ready 3000
  await "daemon-scheduler is ready" ready 2000
  verify 1 css # the fourth instance also gets a task
  [ -z "$(comm -23 <(echo "$started") <(live_tasks))" ] || fail "tasks of v0.3 stopped"
  ds environments/first/deployments | jq -e '.items | length == 1 and .[0].status == "completed"' >/dev/null || fail "wrong deployment: $(ds environments/first/deployments)"
}
# v0_3 converts an environment to v0.3's record. v0.3 never clears InProgressDeploymentID.
v0_3() {
  jq -c '.InProgressDeploymentID = (.Deployments | keys[0]) | {Token, Name, DesiredTaskDefinition, DesiredTaskCount, Cluster, Health, PendingDeploymentID, InProgressDeploymentID,
    Deployments: (.Deployments | map_values({ID, Status, Health, TaskDefinition, DesiredTaskCount, Token, FailedInstances, StartTime, EndTime}))}'
}
