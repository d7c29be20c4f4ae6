#!/usr/bin/env bash
# Creates the stack BloxLocal in moto and runs cluster-state-service with its queue. An ECS event on the event bus must
# reach GET /v1/tasks. deploy/test/run runs this script and sets its variables.
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

cleanup() {
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
trap cleanup EXIT
await "moto is ready" curl -sf -o /dev/null "$AWS_ENDPOINT_URL/moto-api/"

call cloudformation create-stack --stack-name BloxLocal --template-body "file://$SOURCE/deploy/docker/blox-local.yml" >/dev/null
call cloudformation wait stack-create-complete --stack-name BloxLocal
output() { call cloudformation describe-stacks --stack-name BloxLocal --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue" --output text; }
[ "$(output QueueName)" = blox_queue ] || fail "output QueueName: $(output QueueName)"
url=$(output QueueUrl)
call sqs get-queue-attributes --queue-url "$url" --attribute-names All >"$WORK/queue.json"
jq -e '.Attributes | (.RedrivePolicy | fromjson | .maxReceiveCount | tonumber) == 100
  and (.SqsManagedSseEnabled | tostring | ascii_downcase) == "true"' "$WORK/queue.json" >/dev/null || { cat "$WORK/queue.json"; fail "wrong attributes of the queue"; }
# moto neither creates queue policies nor checks permissions. cfn-lint and go test ./deploy check the policies.
# It also keeps an empty statement for each list of roles that is empty, and then refuses the policy: both are given.
call cloudformation create-stack --stack-name BloxLocalUser --capabilities CAPABILITY_IAM \
  --parameters ParameterKey=DaemonRoleArns,ParameterValue=arn:aws:iam::123456789012:role/daemon \
  ParameterKey=EnvironmentRoleArns,ParameterValue=arn:aws:iam::123456789012:role/environment \
  --template-body "file://$SOURCE/deploy/docker/blox-local-user.yml" >/dev/null
call cloudformation wait stack-create-complete --stack-name BloxLocalUser

call ecs create-cluster >/dev/null # ECS shows the account by the default cluster even if it does not exist; moto does not

docker run --detach --name "$PROJECT-etcd" --network host "$(sed -n 's/^ *image: \(.*etcd:.*\)/\1/p' "$SOURCE/docker-compose.yml")" \
  /usr/local/bin/etcd --listen-client-urls "http://$ADDRESS:23790" --advertise-client-urls "http://$ADDRESS:23790" \
  --listen-peer-urls "http://$ADDRESS:23800" >/dev/null
docker run --detach --name "$PROJECT-css" --network host -e AWS_ENDPOINT_URL -e AWS_REGION -e AWS_ACCESS_KEY_ID -e AWS_SECRET_ACCESS_KEY \
  "bloxoss/cluster-state-service:$BLOX_VERSION" --bind "$ADDRESS:3000" --etcd-endpoint "$ADDRESS:23790" --queue blox_queue >/dev/null
await "cluster-state-service is ready" ready 3000

# put FILE [SOURCE] sends an event; the default source is aws.ecs.
put() {
  jq -c --arg source "${2:-aws.ecs}" '[{Source: $source, DetailType: ."detail-type", Detail: (.detail | tojson), Resources: .resources}]' "$1" >"$WORK/entry.json"
  [ "$(call events put-events --entries "file://$WORK/entry.json" --query FailedEntryCount)" = 0 ] || fail "failed to put $1"
}
events=$SOURCE/internal/testenv/events
put "$events/task-ec2-running.json" my.own # the rule must not match it
put "$events/task-ec2-running.json"
put "$events/instance-active.json"
arn=$(jq -r .detail.taskArn "$events/task-ec2-running.json")
task_listed() { css tasks | jq -e --arg arn "$arn" '.items | length == 1 and .[0].entity.taskARN == $arn and .[0].entity.lastStatus == "RUNNING"' >/dev/null; }
instance_listed() { css instances | jq -e '.items | length == 1' >/dev/null; }
await "the event is in GET /v1/tasks" task_listed
await "the event is in GET /v1/instances" instance_listed
queue_empty() { [ "$(call sqs get-queue-attributes --queue-url "$url" --attribute-names All --query 'Attributes.[ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible]' --output text | tr -d '\t')" = 00 ]; }
await "the queue is empty" queue_empty
curl -s "http://$ADDRESS:3000/metrics" | grep '^blox_css_ingest_events_total'
