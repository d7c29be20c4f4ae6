#!/usr/bin/env bash
# The stack BloxLocal in moto's CloudFormation, and cluster-state-service on its queue: an event of ECS's shape that is put
# on the bus, as EventBridge would have it from ECS, arrives in GET /v1/tasks. Run by deploy/test/run, in whose words it talks.
set -euo pipefail
cd "$(dirname "$0")"
. ./lib.sh
SOURCE=$(cd ../.. && pwd)
WORK=$1
export AWS_ENDPOINT_URL=http://$ADDRESS:5566 AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any AWS_PAGER=
unset AWS_PROFILE AWS_CA_BUNDLE
call() { aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }
containers="$PROJECT-etcd $PROJECT-css"

end() {
  local status=$?
  trap - EXIT
  [ $status = 0 ] || { docker logs --tail 5 "$PROJECT-css" || true; tail -5 "$WORK/moto.log"; } || true
  docker rm --force $containers >/dev/null 2>&1 || true
  kill "$moto" 2>/dev/null || true
  wait "$moto" 2>/dev/null || true
  exit $status
}
moto_server --host "$ADDRESS" --port 5566 >"$WORK/moto.log" 2>&1 &
moto=$!
trap end EXIT
await "moto serves" curl -sf -o /dev/null "$AWS_ENDPOINT_URL/moto-api/"

call cloudformation create-stack --stack-name BloxLocal --template-body "file://$SOURCE/deploy/docker/blox-local.yml" >/dev/null
call cloudformation wait stack-create-complete --stack-name BloxLocal
output() { call cloudformation describe-stacks --stack-name BloxLocal --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue" --output text; }
[ "$(output QueueName)" = blox_queue ] || fail "output QueueName: $(output QueueName)"
url=$(output QueueUrl)
call sqs get-queue-attributes --queue-url "$url" --attribute-names All >"$WORK/queue.json"
jq -e '.Attributes | (.RedrivePolicy | fromjson | .maxReceiveCount | tonumber) == 100
  and (.SqsManagedSseEnabled | tostring | ascii_downcase) == "true"' "$WORK/queue.json" >/dev/null || { cat "$WORK/queue.json"; fail "the queue"; }
# moto makes no queue policies in CloudFormation, and asks nobody for permission; cfn-lint reads those.
call cloudformation create-stack --stack-name BloxLocalUser --capabilities CAPABILITY_IAM \
  --parameters ParameterKey=DaemonRoleArns,ParameterValue=arn:aws:iam::123456789012:role/daemon \
  --template-body "file://$SOURCE/deploy/docker/blox-local-user.yml" >/dev/null
call cloudformation wait stack-create-complete --stack-name BloxLocalUser

docker run --detach --name "$PROJECT-etcd" --network host "$(sed -n 's/^ *image: \(.*etcd:.*\)/\1/p' "$SOURCE/docker-compose.yml")" \
  /usr/local/bin/etcd --listen-client-urls "http://$ADDRESS:23790" --advertise-client-urls "http://$ADDRESS:23790" \
  --listen-peer-urls "http://$ADDRESS:23800" >/dev/null
docker run --detach --name "$PROJECT-css" --network host -e AWS_ENDPOINT_URL -e AWS_REGION -e AWS_ACCESS_KEY_ID -e AWS_SECRET_ACCESS_KEY \
  "bloxoss/cluster-state-service:$BLOX_VERSION" --bind "$ADDRESS:3000" --etcd-endpoint "$ADDRESS:23790" --queue blox_queue >/dev/null
await "cluster-state-service is ready" ready 3000

# put sends an event, with another source or kind if it is told so.
put() {
  jq -c --arg source "${2:-aws.ecs}" '[{Source: $source, DetailType: ."detail-type", Detail: (.detail | tojson), Resources: .resources}]' "$1" >"$WORK/entry.json"
  [ "$(call events put-events --entries "file://$WORK/entry.json" --query FailedEntryCount)" = 0 ] || fail "put $1"
}
events=$SOURCE/internal/testenv/events
put "$events/task-ec2-running.json" my.own # which the rule does not want
put "$events/task-ec2-running.json"
put "$events/instance-active.json"
arn=$(jq -r .detail.taskArn "$events/task-ec2-running.json")
arrived() { css tasks | jq -e --arg arn "$arn" '.items | length == 1 and .[0].entity.taskARN == $arn and .[0].entity.lastStatus == "RUNNING"' >/dev/null; }
instance() { css instances | jq -e '.items | length == 1' >/dev/null; }
await "the event is in GET /v1/tasks" arrived
await "the event is in GET /v1/instances" instance
emptied() { [ "$(call sqs get-queue-attributes --queue-url "$url" --attribute-names All --query 'Attributes.[ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible]' --output text | tr -d '\t')" = 00 ]; }
await "the queue is empty" emptied
curl -s "http://$ADDRESS:3000/metrics" | grep '^blox_css_ingest_events_total'
