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
  command -v moto_server >/dev/null || { log "changesets: skipped, moto_server not found"; return; }
  log "changesets: create and update the stacks in moto; the table has the types that moto skips"
  local url=http://$ADDRESS:5567 moto
  moto_server --host "$ADDRESS" --port 5567 >"$COPY/moto.log" 2>&1 &
  moto=$!
  await "moto is ready" curl -sf -o /dev/null "$url/moto-api/"
  moto_python "$SOURCE/deploy/test/changesets.py" "$url" "$SOURCE/deploy" || { tail -5 "$COPY/moto.log"; kill $moto; fail "a change set failed"; }
  kill $moto
  wait $moto 2>/dev/null || true
}

# moto_python runs the Python that moto_server and cfn-lint use.
moto_python() {
  local program
  program=$(pyenv which moto_server 2>/dev/null || command -v moto_server)
  "$(sed -n '1s/^#!//p' "$program")" "$@"
}
