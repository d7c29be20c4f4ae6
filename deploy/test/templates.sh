# The parts "templates" and "changesets" of deploy/test/run check the templates without AWS. Source this file; do not run it.

templates() {
  command -v cfn-lint >/dev/null || { log "templates: skipped, cfn-lint not found"; return; }
  local aws_regions
  log "templates: cfn-lint in ${REGIONS:=us-east-1 eu-west-1 cn-north-1 us-gov-west-1}"
  ! grep -nE '[:[] *[*&][a-z]+$' "$SOURCE"/deploy/*/blox-*.yml || fail "CloudFormation does not support YAML aliases"
  cfn-lint --regions $REGIONS -- "$SOURCE"/deploy/docker/blox-local*.yml
  aws_regions=$REGIONS
  # These regions have no HTTP APIs of API Gateway.
  [ "$REGIONS" != ALL_REGIONS ] || aws_regions=$(moto_python -c 'from cfnlint.helpers import REGIONS
print(*(region for region in REGIONS if region not in ("ap-east-2", "ap-southeast-6")))')
  cfn-lint --regions $aws_regions -- "$SOURCE"/deploy/aws/*.yml
}

changesets() {
  command -v moto_server >/dev/null && command -v aws >/dev/null || { log "changesets: skipped, moto_server or aws not found"; return; }
  log "changesets: create and update the stacks in moto; the table has the types that moto skips"
  local url=http://$ADDRESS:5567 moto
  moto_server --host "$ADDRESS" --port 5567 >"$COPY/moto.log" 2>&1 &
  moto=$!
  await "moto is ready" curl -sf -o /dev/null "$url/moto-api/"
  moto_python "$SOURCE/deploy/test/changesets.py" "$url" "$SOURCE/deploy" || { tail -5 "$COPY/moto.log"; kill $moto; fail "a change set failed"; }
  secret "$url"
  kill $moto
  wait $moto 2>/dev/null || true
}

# secret creates and renews the certificates of BloxAws in moto.
secret() {
  local key first second
  local -x AWS_ENDPOINT_URL=$1 AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any AWS_PAGER=
  unset AWS_PROFILE AWS_CA_BUNDLE
  value() { aws secretsmanager get-secret-value --secret-id "$1" --query SecretString --output text; }
  "$SOURCE/deploy/aws/certificates.sh" blox | grep -q '^arn:aws:secretsmanager:us-east-1:[0-9]*:secret:blox-' || fail "expected the secret's ARN"
  first=$(value blox)
  "$SOURCE/deploy/aws/certificates.sh" blox >/dev/null
  second=$(value blox)
  [ "$(jq -r .ca <<<"$first")" = "$(jq -r .ca <<<"$second")" ] || fail "the renewal replaced the authority"
  [ "$(value blox-authority | jq -r .ca)" = "$(jq -r .ca <<<"$first")" ] || fail "the authority's secret has another certificate"
  for key in etcd cluster_state_service daemon_scheduler; do
    [ "$(jq -r .${key}_key <<<"$first")" != "$(jq -r .${key}_key <<<"$second")" ] || fail "the renewal kept the key of $key"
    openssl verify -CAfile <(jq -r .ca <<<"$second") <(jq -r .${key}_cert <<<"$second") >/dev/null || fail "the authority did not sign the certificate of $key"
  done
  echo "certificates.sh created and renewed the certificates in a secret"
}

# moto_python runs the Python that moto_server and cfn-lint use.
moto_python() {
  local program
  program=$(pyenv which moto_server 2>/dev/null || command -v moto_server)
  "$(sed -n '1s/^#!//p' "$program")" "$@"
}
