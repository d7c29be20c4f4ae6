#!/usr/bin/env bash
# Creates the certificates of BloxAws in a secret of Secrets Manager, for the parameter TlsSecretArn, and prints its ARN.
# A second run renews the certificates with the same authority.
#
#   deploy/aws/certificates.sh SECRET_NAME
#
# The authority's key is in a second secret, SECRET_NAME-authority, which nothing in the stack can read. DAYS sets the
# validity of the certificates (365).
set -euo pipefail
[ $# = 1 ] || { echo "usage: $0 SECRET_NAME" >&2; exit 2; }
for program in aws jq openssl; do command -v $program >/dev/null || { echo "$program not found" >&2; exit 1; }; done
name=$1
here=$(cd "$(dirname "$0")" && pwd)
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# stored SECRET prints the secret's value, or nothing if the secret does not exist.
stored() {
  local value
  if value=$(aws secretsmanager get-secret-value --secret-id "$1" --query SecretString --output text 2>"$work/error"); then
    printf '%s' "$value"
  elif ! grep -q ResourceNotFoundException "$work/error"; then
    cat "$work/error" >&2
    return 1
  fi
}
# store SECRET DESCRIPTION FILE creates or updates a secret, and prints its ARN.
store() {
  aws secretsmanager put-secret-value --secret-id "$1" --secret-string "file://$3" --query ARN --output text 2>"$work/error" && return
  grep -q ResourceNotFoundException "$work/error" || { cat "$work/error" >&2; return 1; }
  aws secretsmanager create-secret --name "$1" --description "$2" --secret-string "file://$3" --query ARN --output text
}

authority=$(stored "$name-authority")
if [ -n "$authority" ]; then
  mkdir "$work/authority"
  for file in ca key; do jq -er .$file <<<"$authority" >"$work/authority/$file.pem"; done
fi
# issue HOLDERS NAME... creates certificates that are valid for the names.
issue() { HOLDERS=$1 BLOX_TLS=$work "$here/../docker/certificates.sh" "${@:2}" >/dev/null; }
issue etcd etcd.blox.internal etcd-2.blox.internal etcd-3.blox.internal
for service in cluster-state-service daemon-scheduler; do issue $service $service.blox.internal; done
if [ -z "$authority" ]; then
  jq -n --rawfile ca "$work/authority/ca.pem" --rawfile key "$work/authority/key.pem" '{ca: $ca, key: $key}' >"$work/authority.json"
  store "$name-authority" "Certificate authority of Blox" "$work/authority.json" >/dev/null
fi
jq -n --rawfile ca "$work/authority/ca.pem" \
  --rawfile etcd_cert "$work/etcd/cert.pem" --rawfile etcd_key "$work/etcd/key.pem" \
  --rawfile cluster_state_service_cert "$work/cluster-state-service/cert.pem" \
  --rawfile cluster_state_service_key "$work/cluster-state-service/key.pem" \
  --rawfile daemon_scheduler_cert "$work/daemon-scheduler/cert.pem" --rawfile daemon_scheduler_key "$work/daemon-scheduler/key.pem" \
  '$ARGS.named' >"$work/certificates.json"
store "$name" "Certificates of Blox" "$work/certificates.json"
