# The part "stack" of deploy/test/run runs etcd and the services of BloxAws in Docker, with the environment variables of the
# template's task definitions, and the names that Cloud Map gives them. It follows the procedures of deploy/README.md for
# three members. Source this file; do not run it.

# stack_run SERVICE TASK [docker run's argument]... starts a task definition in the stack with PARAMETERS. A name ends with
# .blox.internal, and its volume stays when the container is removed.
stack_run() {
  local service=$1 task=$2
  shift 2
  local variable name secrets=()
  "$COPY/taskenv" "$SOURCE/deploy/aws/blox-aws.yml" "$task" $PARAMETERS >"$COPY/$service.all"
  grep -v "=$SECRET:" "$COPY/$service.all" >"$COPY/$service.env"
  for variable in $(grep "=$SECRET:" "$COPY/$service.all" || true); do # NAME=<ARN>:KEY::, as ECS resolves it
    name=${variable%%=*} variable=${variable%::}
    local -x "$name=$(jq -er ".${variable##*:}" "$COPY/secret.json")"
    secrets+=(-e "$name")
  done
  docker rm --force "$PROJECT-$service" >/dev/null 2>&1 || true
  docker run --detach --name "$PROJECT-$service" --network "$PROJECT" --network-alias "$service.blox.internal" --restart on-failure \
    --env-file "$COPY/$service.env" "${secrets[@]}" "$@" >/dev/null
}
SECRET=arn:aws:secretsmanager:us-east-1:123456789012:secret:blox
stack_etcd() { stack_run "$1" "$2" --volume "$PROJECT-$1:/var/lib/etcd" --volume "$COPY/etcd-tls:/tls:ro" "$ETCD_IMAGE" /usr/local/bin/etcd; }
stack_services() {
  local aws=(-e AWS_ENDPOINT_URL=http://ecs-sim:4566 -e AWS_ACCESS_KEY_ID=any -e AWS_SECRET_ACCESS_KEY=any)
  stack_run cluster-state-service StateTask "${aws[@]}" --publish "$ADDRESS:3000:3000" "bloxoss/cluster-state-service:$BLOX_VERSION"
  stack_run daemon-scheduler SchedulerTask "${aws[@]}" -e DS_CSS_ENDPOINTS=http${TLS:+s}://cluster-state-service.blox.internal:3000 \
    ${TLS:+-e DS_CSS_CA=env:BLOX_CA} \
    --publish "$ADDRESS:2000:2000" "bloxoss/daemon-scheduler:$BLOX_VERSION"
  await "cluster-state-service is ready" ready 3000
  await "daemon-scheduler is ready" ready 2000
}
# tool stands for the task EtcdTools: it runs a command beside the member MEMBER.
tool() {
  docker exec -e "ETCDCTL_ENDPOINTS=http${TLS:+s}://${MEMBER:-etcd}.blox.internal:2379" \
    ${TLS:+-e ETCDCTL_CACERT=/tls/ca.pem -e ETCDCTL_CERT=/tls/cert.pem -e ETCDCTL_KEY=/tls/key.pem} "$PROJECT-${MEMBER:-etcd}" "$@"
}
stack_member_id() { tool etcdctl member list | grep -F "//$1.blox.internal:2380" | cut -d, -f1; }
stack_healthy() { tool etcdctl endpoint health --cluster >/dev/null 2>&1; }
stack_voters() { [ "$(tool etcdctl member list | grep -c 'started.*false$')" = "$1" ]; }
stack_same_data() {
  tool etcdctl endpoint hashkv --cluster --write-out json 2>/dev/null | jq -e 'length == 3 and (map(.HashKV.hash) | unique | length == 1)' >/dev/null
}
remove() { tool etcdctl member remove "$(stack_member_id "$1")" >/dev/null 2>&1; } # etcd refuses while a member has just connected
promote() { tool etcdctl member promote "$(stack_member_id "$1")" >/dev/null 2>&1; }
stack_down() {
  docker rm --force --volumes $(docker ps --all --quiet --filter "name=^$PROJECT-") >/dev/null 2>&1 || true
  docker volume rm --force "$PROJECT"-etcd{,-2,-3} >/dev/null 2>&1 || true
  docker network rm "$PROJECT" >/dev/null 2>&1 || true
}

stack() {
  log "stack: etcd of BloxAws with one member grows to three; a member and its volume are lost and replaced; back to one"
  local PARAMETERS='' MEMBER=etcd n=1 victim ETCD_IMAGE
  ETCD_IMAGE=$(sed -n 's/^ *image: \(.*etcd:.*\)/\1/p' "$SOURCE/docker-compose.yml" | head -1)
  down
  stack_down
  go build -C "$SOURCE" -trimpath -o "$COPY/taskenv" ./deploy/test/taskenv
  docker network create "$PROJECT" >/dev/null
  stack_simulator
  stack_etcd etcd EtcdTask
  stack_services
  environment first >/dev/null
  verify 1 css

  # "Grow etcd to three members", steps 2 to 5
  tool etcdctl member update "$(tool etcdctl member list | cut -d, -f1)" --peer-urls http://etcd.blox.internal:2380 >/dev/null
  tool etcdctl member add etcd-2 --learner --peer-urls http://etcd-2.blox.internal:2380 >/dev/null
  tool etcdctl member add etcd-3 --learner --peer-urls http://etcd-3.blox.internal:2380 >/dev/null
  PARAMETERS="EtcdMembers=3"
  docker rm --force "$PROJECT-cluster-state-service" "$PROJECT-daemon-scheduler" >/dev/null # Replicas=0
  stack_etcd etcd EtcdTask
  stack_etcd etcd-2 EtcdTask2
  stack_etcd etcd-3 EtcdTask3
  for victim in etcd-2 etcd-3; do await "$victim is promoted" promote $victim; done
  stack_services
  await "three members vote" stack_voters 3
  verify 1 css
  echo "grew from one member to three; the environment and its tasks stayed"

  for victim in etcd etcd-2 etcd-3; do # an update replaces instances; each new one attaches the volume
    docker rm --force "$PROJECT-$victim" >/dev/null
    MEMBER=etcd-2
    [ $victim != etcd-2 ] || MEMBER=etcd
    kill_task
    verify $n css
    environment "without-$victim" >/dev/null
    n=$((n + 1))
    verify $n css
    stack_etcd $victim "EtcdTask$(sed 's/^etcd-*//' <<<$victim)"
    await "all members have the same data" stack_same_data
    echo "$victim: its instance was replaced"
  done

  for victim in etcd-3 etcd; do # "Replace a member of etcd"
    docker rm --force "$PROJECT-$victim" >/dev/null
    docker volume rm "$PROJECT-$victim" >/dev/null
    MEMBER=etcd-2
    kill_task
    verify $n css
    environment "lost-$victim" >/dev/null
    n=$((n + 1))
    verify $n css
    await "$victim is removed" remove $victim
    tool etcdctl member add $victim --learner --peer-urls "http://$victim.blox.internal:2380" >/dev/null
    stack_etcd $victim "EtcdTask$(sed 's/^etcd-*//' <<<$victim)"
    await "$victim is promoted" promote $victim
    await "all members have the same data" stack_same_data
    verify $n css
    echo "$victim: lost its volume and was replaced"
  done

  # "Shrink etcd to one member"
  MEMBER=etcd
  docker rm --force "$PROJECT-cluster-state-service" "$PROJECT-daemon-scheduler" >/dev/null # Replicas=0
  for victim in etcd-3 etcd-2; do
    await "$victim is removed" remove $victim
    docker rm --force "$PROJECT-$victim" >/dev/null
  done
  PARAMETERS=''
  stack_etcd etcd EtcdTask
  stack_services
  verify $n css
  await "one member votes" stack_voters 1
  echo "shrank from three members to one"
  stack_down
  stack_tls
}

stack_tls() {
  log "stack: create etcd with three members and TLS; replace a member; renew the certificates while the services run"
  local victim=etcd-2 MEMBER=etcd certificate TLS
  local PARAMETERS="EtcdMembers=3 EtcdClusterState=new TlsSecretArn=$SECRET"
  docker network create "$PROJECT" >/dev/null
  stack_simulator
  stack_certificates
  TLS="--cacert $COPY/etcd-tls/ca.pem"
  stack_etcd etcd EtcdTask
  stack_etcd etcd-2 EtcdTask2
  stack_etcd etcd-3 EtcdTask3
  await "all members are healthy" stack_healthy
  stack_voters 3 || fail "expected three voting members"
  stack_services
  environment first >/dev/null
  verify 1 css
  ! docker exec -e "ETCDCTL_CACERT=/tls/ca.pem" "$PROJECT-etcd" etcdctl --endpoints https://etcd.blox.internal:2379 get x >/dev/null 2>&1 ||
    fail "etcd accepted a client without a certificate"
  ! docker exec "$PROJECT-etcd" etcdctl --endpoints http://etcd.blox.internal:2379 get x >/dev/null 2>&1 || fail "etcd accepted plain http"

  PARAMETERS="EtcdMembers=3 TlsSecretArn=$SECRET"
  docker rm --force "$PROJECT-$victim" >/dev/null
  docker volume rm "$PROJECT-$victim" >/dev/null
  await "$victim is removed" remove $victim
  tool etcdctl member add $victim --learner --peer-urls "https://$victim.blox.internal:2380" >/dev/null
  stack_etcd $victim EtcdTask2
  await "$victim is promoted" promote $victim
  await "all members have the same data" stack_same_data
  verify 1 css
  echo "$victim: lost its volume and was replaced, over TLS"

  certificate=$(stack_certificate)
  stack_certificates # a timer of the instance stores the renewed ones
  [ -n "$certificate" ] && [ "$certificate" != "$(stack_certificate)" ] || fail "etcd did not load the renewed certificate"
  kill_task
  verify 1 css
  docker restart "$PROJECT-etcd" >/dev/null # its peers and the services accept the renewed certificate
  await "all members have the same data" stack_same_data
  stack_services # aws ecs update-service --force-new-deployment
  environment second >/dev/null
  verify 2 css
  stack_down
}
# stack_certificates does what deploy/aws/certificates.sh does with Secrets Manager, and an instance with the secret.
stack_certificates() {
  local file
  issue() { HOLDERS=$1 BLOX_TLS=$COPY/stack-tls "$COPY/deploy/docker/certificates.sh" "${@:2}" >/dev/null; }
  issue etcd etcd.blox.internal etcd-2.blox.internal etcd-3.blox.internal
  issue cluster-state-service cluster-state-service.blox.internal "$ADDRESS"
  issue daemon-scheduler daemon-scheduler.blox.internal "$ADDRESS"
  jq -n --rawfile ca "$COPY/stack-tls/authority/ca.pem" \
    --rawfile cluster_state_service_cert "$COPY/stack-tls/cluster-state-service/cert.pem" \
    --rawfile cluster_state_service_key "$COPY/stack-tls/cluster-state-service/key.pem" \
    --rawfile daemon_scheduler_cert "$COPY/stack-tls/daemon-scheduler/cert.pem" \
    --rawfile daemon_scheduler_key "$COPY/stack-tls/daemon-scheduler/key.pem" '$ARGS.named' >"$COPY/secret.json"
  mkdir -p "$COPY/etcd-tls"
  for file in ca cert key; do cp "$COPY/stack-tls/etcd/$file.pem" "$COPY/etcd-tls/$file.new" && mv "$COPY/etcd-tls/$file."{new,pem}; done
}
stack_certificate() {
  openssl s_client -connect "$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$PROJECT-etcd"):2379" \
    -cert "$COPY/etcd-tls/cert.pem" -key "$COPY/etcd-tls/key.pem" </dev/null 2>/dev/null | openssl x509 -noout -serial
}
stack_simulator() {
  docker run --detach --name "$PROJECT-sim" --network "$PROJECT" --network-alias ecs-sim --publish "$ADDRESS:4566:4566" "bloxoss/ecs-sim:$BLOX_VERSION" \
    --instances 3 --task-definition agent --region us-east-1 --queue blox_queue >/dev/null
}
