# What the parts of deploy/test/run share. Sourced, not run.

say() { printf '== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# await tries a command until it succeeds, for at most two minutes; the first word says what is awaited.
await() {
  local what=$1 until=$((SECONDS + 120))
  shift
  until "$@"; do
    [ $SECONDS -lt $until ] || fail "not within two minutes: $what"
    sleep 0.3
  done
}

# needs installs programs that are missing, where it may and can, or says how: PROGRAM PACKAGE...
needs() {
  local missing=() install
  while [ $# -gt 0 ]; do
    command -v "$1" >/dev/null || missing+=("$2")
    shift 2
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  install="apt-get install -y --no-install-recommends ${missing[*]}"
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || fail "needed: $install"
  say "needed: $install"
  { apt-get update && DEBIAN_FRONTEND=noninteractive $install; } >/dev/null || fail "needed: $install"
}

# The services on the address of this run, and the simulator's own truth. TLS has curl's options for https.
service() { curl -s ${TLS:-} "${@:2}" "http${TLS:+s}://$ADDRESS:$1"; }
css() { service "3000/v1/$1" --fail-with-body; }
css2() { service "3001/v1/$1" --fail-with-body; }
ds() { service "2000/v1/$1" --fail-with-body "${@:2}"; }
sim() { curl -s --fail-with-body "http://$ADDRESS:4566/_sim/$1" "${@:2}"; }

# What lives, a line each: of the simulator, and of cluster-state-service by the function that asks it.
truth() { sim state | jq -r '.tasks[] | select(.lastStatus != "STOPPED") | .arn + " " + .lastStatus' | sort; }
copy() { "$1" tasks | jq -r '.items[].entity | select(.lastStatus != "STOPPED") | .taskARN + " " + .lastStatus' | sort; }
agree() { local t; t=$(truth) && [ -n "$t" ] && [ "$t" = "$(copy "$1")" ]; }

# one_each: every ACTIVE instance has one RUNNING task for each of so many environments, and nothing else lives.
one_each() {
  sim state | jq -e --argjson n "$1" '
    [.instances[] | select(.status == "ACTIVE") | .arn] as $instances
    | [.tasks[] | select(.lastStatus != "STOPPED")] as $live
    | ($instances | length > 0) and ($live | length == ($instances | length) * $n) and ($live | all(.lastStatus == "RUNNING"))
      and ($instances | all(. as $i | [$live[] | select(.instanceArn == $i)] | length == $n))' >/dev/null
}
no_violation() { sim counters | jq -e '(.violations // []) | length == 0' >/dev/null || fail "two tasks of one deployment lived on one instance"; }
settled() { ds "environments/$1/deployments" | jq -e '.items | length > 0 and all(.status == "completed")' >/dev/null; }

export COMPOSE=${COMPOSE:-$(command -v docker-compose || echo docker compose)} # one may be chosen, of version 1 or 2
compose() { $COMPOSE --project-name "$PROJECT" "$@"; }

# ready: the address answers /v1/ready with 200.
ready() { service "$1/v1/ready" -f -o /dev/null; }
