# The part "role" of deploy/test/run uses docker-compose.yml with the role of an EC2 instance, then with a profile that
# appears while a service runs. Source this file; do not run it.

role() {
  log "role: credentials from a stand-in of an EC2 instance's metadata; then from a file that is written while a service runs"
  local etcd started
  local -x AWS_PROFILE='' AWS_CA_BUNDLE='' AWS_REGION=us-east-1 AWS_ENDPOINT_URL=http://ecs-sim:4566 BLOX_AWS=$COPY/aws
  local -x AWS_EC2_METADATA_SERVICE_ENDPOINT=http://metadata:8080
  mkdir -p "$BLOX_AWS" && chmod 755 "$COPY" "$BLOX_AWS"
  etcd=$(sed -n 's/^ *image: \(.*etcd:.*\)/\1/p' "$SOURCE/docker-compose.yml" | head -1)
  CGO_ENABLED=0 go build -C "$SOURCE" -trimpath -o "$COPY/metadata" ./deploy/test/metadata
  cat >"$COPY/role.yml" <<END
services:
  ecs-sim:
    image: bloxoss/ecs-sim:$BLOX_VERSION
    command: [--instances, "3", --task-definition, agent, --region, us-east-1, --queue, blox_queue]
    ports: ["$ADDRESS:4566:4566"]
  metadata:
    image: $etcd
    command: [/metadata]
    volumes: ["$COPY/metadata:/metadata:ro"]
  cluster-state-service: {depends_on: {ecs-sim: {condition: service_healthy}, metadata: {condition: service_started}}}
END
  reset_blox docker-compose.yml:role.yml
  await "daemon-scheduler is ready" ready 2000
  environment first >/dev/null
  verify 1 css
  compose logs --no-color metadata >"$COPY/metadata.log"
  [ "$(grep -o 'credentials to [0-9.]*' "$COPY/metadata.log" | sort -u | wc -l)" = 2 ] || { cat "$COPY/metadata.log"; fail "expected both services to use the role"; }

  AWS_EC2_METADATA_SERVICE_ENDPOINT=http://metadata:1 # an instance without a role
  compose up -d --no-build --no-deps cluster-state-service >/dev/null 2>&1
  await "cluster-state-service reports that it has no credentials" without_credentials
  started=$(started_at)
  printf '[default]\naws_access_key_id = any\naws_secret_access_key = any\n' >"$BLOX_AWS/credentials.new"
  chmod 644 "$BLOX_AWS/credentials.new" && mv "$BLOX_AWS/credentials.new" "$BLOX_AWS/credentials"
  await "cluster-state-service uses the new file" ready 3000
  verify 1 css
  [ "$started" = "$(started_at)" ] || fail "cluster-state-service was restarted"
  down
}
without_credentials() { service 3000/v1/ready | grep NoCredentials >/dev/null || compose logs --no-color cluster-state-service | grep "no AWS credentials found" >/dev/null; }
started_at() { docker inspect --format '{{.State.StartedAt}}' "$(compose ps -q cluster-state-service)"; }
