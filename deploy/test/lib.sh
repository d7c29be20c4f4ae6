# Functions that the parts of deploy/test/run share. Source this file; do not run it.

log() { printf '== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# await CONDITION COMMAND... retries a command until it succeeds. It fails after five minutes and prints the condition.
await() {
  local condition=$1 deadline=$((SECONDS + 300))
  shift
  until "$@"; do
    [ $SECONDS -lt $deadline ] || fail "timed out after five minutes: $condition"
    sleep 0.3
  done
}

# install_missing PROGRAM PACKAGE... installs missing programs as root with apt-get, else fails with the command to run.
install_missing() {
  local missing=() install
  while [ $# -gt 0 ]; do
    command -v "$1" >/dev/null || missing+=("$2")
    shift 2
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  install="apt-get install -y --no-install-recommends ${missing[*]}"
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || fail "missing programs; run: $install"
  log "installing: $install"
  { apt-get update && DEBIAN_FRONTEND=noninteractive $install; } >/dev/null || fail "failed to install: $install"
}

# Requests to the services and the simulator at this run's address. TLS contains curl's options for https.
service() { curl -s ${TLS:-} "${@:2}" "http${TLS:+s}://$ADDRESS:$1"; }
css() { service "3000/v1/$1" --fail-with-body; }
css2() { service "3001/v1/$1" --fail-with-body; }
ds() { service "2000/v1/$1" --fail-with-body "${@:2}"; }
sim() { curl -s --fail-with-body "http://$ADDRESS:4566/_sim/$1" "${@:2}"; }

# request PATH [CURL'S ARGUMENTS] sets STATUS and BODY to the response of daemon-scheduler. It returns 1 if the service is
# unavailable, so a retry may succeed: there is no connection, or the response is 503.
request() {
  local failure=0
  BODY=$(service "2000/v1/$1" -w '\n%{http_code}' "${@:2}") || failure=$?
  case $failure in
    0) ;;
    6 | 7 | 28 | 35 | 52 | 55 | 56) return 1 ;; # curl's codes of failed connections
    *) fail "request $1: curl exited with $failure" ;;
  esac
  STATUS=${BODY##*$'\n'}
  BODY=${BODY%$'\n'*}
  [ "$STATUS" != 503 ]
}
# succeeded OPERATION fails the test unless the response to the last request is 200.
succeeded() { [ "$STATUS" = 200 ] || fail "$1: $STATUS $BODY"; }

# One line per task that is not STOPPED: live_tasks from the simulator; listed_tasks CSS from cluster-state-service, where
# CSS is css or css2.
live_tasks() { sim state | jq -r '.tasks[] | select(.lastStatus != "STOPPED") | .arn + " " + .lastStatus' | sort; }
listed_tasks() { "$1" tasks | jq -r '.items[].entity | select(.lastStatus != "STOPPED") | .taskARN + " " + .lastStatus' | sort; }
matches_ecs() { local t; t=$(live_tasks) && [ -n "$t" ] && [ "$t" = "$(listed_tasks "$1")" ]; }

# one_task_per_instance N succeeds if every ACTIVE instance has N RUNNING tasks and no other task is live.
one_task_per_instance() {
  sim state | jq -e --argjson n "$1" '
    [.instances[] | select(.status == "ACTIVE") | .arn] as $instances
    | [.tasks[] | select(.lastStatus != "STOPPED")] as $live
    | ($instances | length > 0) and ($live | length == ($instances | length) * $n) and ($live | all(.lastStatus == "RUNNING"))
      and ($instances | all(. as $i | [$live[] | select(.instanceArn == $i)] | length == $n))' >/dev/null
}
no_duplicate_tasks() { sim counters | jq -e '(.violations // []) | length == 0' >/dev/null || fail "two tasks of one deployment ran on one instance"; }
deployments_completed() { ds "environments/$1/deployments" | jq -e '.items | length > 0 and all(.status == "completed")' >/dev/null; }

export COMPOSE=${COMPOSE:-$(command -v docker-compose || echo docker compose)} # Compose version 1 or 2
compose() { $COMPOSE --project-name "$PROJECT" "$@"; }

# ready PORT succeeds if /v1/ready returns 200.
ready() { service "$1/v1/ready" -f -o /dev/null; }
