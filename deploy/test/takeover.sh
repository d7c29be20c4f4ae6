# The part "takeover" of deploy/test/run: v0.3's records, copied from its etcd into a new one. Sourced, not run.
# The source is etcd's image, or OLD_ETCD_IMAGE, such as quay.io/coreos/etcd:v3.0.15 as v0.3 had it.
takeover() {
  say "takeover: v0.3's records, copied from its etcd into a new one as deploy/README.md has it"
  fresh $ALONE
  environment first >/dev/null
  as_it_should 1 css
  await "the deployment is completed" settled first
  local image key started total
  image=${OLD_ETCD_IMAGE:-$(sed -n 's/^ *image: \(.*etcd:.*\)/\1/p' "$SOURCE/docker-compose.yml" | head -1)}
  docker run --detach --name "$PROJECT-old" --network "${PROJECT}_default" --network-alias old-etcd "$image" \
    /usr/local/bin/etcd --listen-client-urls http://0.0.0.0:2379 --advertise-client-urls http://old-etcd:2379 >/dev/null
  old() { compose exec -T etcd etcdctl --endpoints http://old-etcd:2379 "$@"; }
  await "the old etcd" old get health
  compose stop daemon-scheduler cluster-state-service >/dev/null 2>&1
  for key in $(compose exec -T etcd etcdctl get --prefix ecs/ --keys-only); do
    case $key in
      ecs/environment/*) compose exec -T etcd etcdctl get --print-value-only "$key" </dev/null | v0_3 | old put "$key" ;;
      ecs/task/* | ecs/instance/*) compose exec -T etcd etcdctl get --print-value-only "$key" </dev/null | old put "$key" ;;
    esac
  done >/dev/null
  total=$(old get --prefix ecs/ --keys-only </dev/null | grep -c .)
  [ "$total" = 7 ] || fail "$total records, of an environment and three instances with a task each"
  compose rm --stop --force etcd >/dev/null 2>&1
  docker volume rm "${PROJECT}_etcd" >/dev/null
  sim 'instances?cluster=default&count=1' -X POST >/dev/null # nobody sees it come
  started=$(truth)

  compose up -d --no-build etcd >/dev/null 2>&1
  compose run --rm --no-deps -T --name "$PROJECT-mirror" etcd etcdctl --endpoints http://old-etcd:2379 make-mirror --prefix ecs/ http://etcd:2379 >"$COPY/mirror.log" 2>&1 </dev/null &
  copied() { [ "$(compose exec -T etcd etcdctl get --prefix ecs/ --keys-only </dev/null | grep -c .)" = "$total" ]; }
  await "all records are copied" copied
  docker rm --force "$PROJECT-mirror" >/dev/null
  wait $! || true
  compose up -d --no-build >/dev/null 2>&1
  await "ready again" ready 3000
  await "ready again" ready 2000
  as_it_should 1 css # the fourth instance has its task, too
  [ -z "$(comm -23 <(echo "$started") <(truth))" ] || fail "what v0.3 had started is not what runs"
  ds environments/first/deployments | jq -e '.items | length == 1 and .[0].status == "completed"' >/dev/null || fail "its deployment: $(ds environments/first/deployments)"
}
v0_3() { # an environment as v0.3 writes it, which never clears the last field of the first line
  jq -c '.InProgressDeploymentID = (.Deployments | keys[0]) | {Token, Name, DesiredTaskDefinition, DesiredTaskCount, Cluster, Health, PendingDeploymentID, InProgressDeploymentID,
    Deployments: (.Deployments | map_values({ID, Status, Health, TaskDefinition, DesiredTaskCount, Token, FailedInstances, StartTime, EndTime}))}'
}
