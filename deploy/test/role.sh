# The parts "role", "sso" and "fips" of deploy/test/run use docker-compose.yml with an AWS that awsstandin completes:
# credentials of an EC2 instance's role and of IAM Identity Center, and endpoints with HTTPS. Source this file; do not
# run it.

# aws_overlay writes aws.yml: the simulator beside stand-ins that the variables METADATA and SSO configure.
aws_overlay() {
  local etcd
  etcd=$(sed -n 's/^ *image: \(.*etcd:.*\)/\1/p' "$SOURCE/docker-compose.yml" | head -1)
  mkdir -p "$BLOX_AWS" && chmod 755 "$COPY" "$BLOX_AWS"
  CGO_ENABLED=0 go build -C "$SOURCE" -trimpath -o "$COPY/awsstandin" ./deploy/test/awsstandin
  cat >"$COPY/aws.yml" <<END
x-standin: &standin
  image: $etcd
  volumes: ["$COPY:/standin:ro"]
services:
  ecs-sim:
    image: bloxoss/ecs-sim:$BLOX_VERSION
    command: [--instances, "3", --task-definition, agent, --region, us-east-1, --queue, blox_queue]
    ports: ["$ADDRESS:4566:4566"]
  metadata:
    <<: *standin
    command: [/standin/awsstandin, metadata, "\${HOP_LIMIT:-2}"]
  sso:
    <<: *standin
    command: [/standin/awsstandin, sso, /standin/tls/client/cert.pem, /standin/tls/client/key.pem]
    networks: {default: {aliases: [$PORTAL]}}
  endpoints:
    <<: *standin
    command: [/standin/awsstandin, https, /standin/tls/client/cert.pem, /standin/tls/client/key.pem, "http://ecs-sim:4566"]
    networks: {default: {aliases: [$FIPS]}}
  cluster-state-service: {depends_on: {ecs-sim: {condition: service_healthy}}}
END
}
PORTAL=portal.sso.us-east-1.amazonaws.com
FIPS="ecs-fips.us-east-1.amazonaws.com, sqs-fips.us-east-1.amazonaws.com"

# stand_in_certificates NAME... makes a certificate that only the CA bundle verifies.
stand_in_certificates() {
  "$COPY/deploy/docker/certificates.sh" "$@" >/dev/null
  chmod a+r "$COPY/tls/client/ca.pem"
}
# aws_file NAME writes standard input to a file of ~/.aws as the aws command line does: all at once.
aws_file() {
  mkdir -p "$(dirname "$BLOX_AWS/$1")"
  cat >"$BLOX_AWS/$1.new"
  chmod -R a+rX "$BLOX_AWS"
  mv "$BLOX_AWS/$1.new" "$BLOX_AWS/$1"
}
# reset_aws STANDIN resets Blox and starts a stand-in, without the services.
reset_aws() {
  down
  rm -f "$COPY/.env"
  export COMPOSE_FILE=docker-compose.yml:aws.yml
  recreate etcd ecs-sim "$1"
}
start_services() { compose up -d --no-build cluster-state-service daemon-scheduler >"$COPY/up.log" 2>&1 || { cat "$COPY/up.log"; fail "docker-compose up failed"; }; }
recreate() { compose up -d --no-build --no-deps "$@" >/dev/null 2>&1 || fail "failed to recreate $*"; }
# without_credentials TEXT succeeds if cluster-state-service is not ready and reports the text.
without_credentials() { ! ready 3000 && { service 3000/v1/ready | grep "$1" >/dev/null || compose logs --no-color cluster-state-service | grep "$1" >/dev/null; }; }
started_at() { docker inspect --format '{{.State.StartedAt}}' "$(compose ps -q cluster-state-service)"; }
# served STANDIN TEXT prints how many different texts a stand-in has logged.
served() { compose logs --no-color "$1" | grep -o "$2" | sort -u | wc -l; }

role() {
  log "role: credentials of a stand-in of an EC2 instance's metadata (IMDSv2, hop limit); then of a file that appears while a service runs"
  local started
  local -x AWS_PROFILE='' AWS_CA_BUNDLE='' AWS_REGION=us-east-1 AWS_ENDPOINT_URL=http://ecs-sim:4566 BLOX_AWS=$COPY/aws HOP_LIMIT=2
  local -x AWS_EC2_METADATA_SERVICE_ENDPOINT=http://metadata:8080
  aws_overlay
  reset_aws metadata
  start_services
  await "daemon-scheduler is ready" ready 2000
  environment first >/dev/null
  verify 1 css
  [ "$(served metadata 'credentials to [0-9.]*')" = 2 ] || fail "expected both services to use the role"

  HOP_LIMIT=1 recreate metadata
  recreate --force-recreate cluster-state-service
  await "cluster-state-service reports that it has no credentials" without_credentials "no AWS credentials found"
  started=$(started_at)
  recreate metadata # aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2
  await "cluster-state-service uses the role after the hop limit has become 2" ready 3000
  [ "$started" = "$(started_at)" ] || fail "cluster-state-service was restarted"
  echo "a hop limit of 1 hides the role from containers; 2 shows it, without a restart"

  AWS_EC2_METADATA_SERVICE_ENDPOINT=http://metadata:1 recreate cluster-state-service # an instance without a role
  await "cluster-state-service reports that it has no credentials" without_credentials "no AWS credentials found"
  started=$(started_at)
  printf '[default]\naws_access_key_id = any\naws_secret_access_key = any\n' | aws_file credentials
  await "cluster-state-service uses the new file" ready 3000
  verify 1 css
  [ "$started" = "$(started_at)" ] || fail "cluster-state-service was restarted"
  down
}
# aws sso login writes a token into sso/cache. The name of the file is the SHA-1 of the session's name.
sso_login() { # TOKEN EXPIRES
  printf '{"startUrl": "https://example.awsapps.com/start", "region": "us-east-1", "accessToken": "%s", "expiresAt": "%s"}' "$1" "$2" |
    aws_file "sso/cache/$(printf corporate | sha1sum | cut -d' ' -f1).json"
}
sso() {
  log "sso: a profile of IAM Identity Center; sign in again while the services run"
  local started
  local -x AWS_PROFILE=corporate AWS_CA_BUNDLE=$COPY/tls/client/ca.pem AWS_REGION='' AWS_ENDPOINT_URL=http://ecs-sim:4566 BLOX_AWS=$COPY/aws-sso
  aws_overlay
  stand_in_certificates $PORTAL
  aws_file config <<'END'
[profile corporate]
region = us-east-1
sso_session = corporate
sso_account_id = 123456789012
sso_role_name = operator
[sso-session corporate]
sso_region = us-east-1
sso_start_url = https://example.awsapps.com/start
END
  sso_login expired 2020-01-01T00:00:00Z
  reset_aws sso
  recreate cluster-state-service
  recreate daemon-scheduler
  await "cluster-state-service reports the expired token" without_credentials "expired"
  started=$(started_at)
  sso_login revoked 2099-01-01T00:00:00Z
  await "the portal refuses a revoked token" refused_token
  sso_login renewed 2099-01-01T00:00:00Z
  await "cluster-state-service uses the new token" ready 3000
  await "daemon-scheduler uses the new token" ready 2000
  environment first >/dev/null
  verify 1 css
  [ "$started" = "$(started_at)" ] || fail "cluster-state-service was restarted"
  [ "$(served sso 'credentials to [0-9.]*')" = 2 ] || fail "expected both services to use the portal"
  down
}
refused_token() { [ "$(served sso 'refused [0-9.]*')" -gt 0 ]; }

fips() {
  log "fips: FIPS endpoints over HTTPS with a certificate that only the CA bundle verifies"
  local name
  local -x AWS_PROFILE='' AWS_REGION=us-east-1 AWS_ENDPOINT_URL='' AWS_USE_FIPS_ENDPOINT=true BLOX_AWS=$COPY/aws-fips
  local -x AWS_CA_BUNDLE=$COPY/tls/client/ca.pem
  aws_overlay
  stand_in_certificates ${FIPS//,/}
  printf '[default]\naws_access_key_id = any\naws_secret_access_key = any\n' | aws_file credentials
  reset_aws endpoints
  start_services
  await "daemon-scheduler is ready" ready 2000
  environment first >/dev/null
  verify 1 css
  for name in ${FIPS//,/}; do [ "$(served endpoints "served $name over https")" = 1 ] || fail "no call of $name"; done
  AWS_CA_BUNDLE='' recreate cluster-state-service
  await "cluster-state-service rejects the certificate without the bundle" without_credentials x509
  down
}
