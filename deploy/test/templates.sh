# The part "templates" of deploy/test/run. Source this file; do not run it.

templates() {
  command -v cfn-lint >/dev/null || { log "templates: skipped, cfn-lint not found"; return; }
  log "templates: cfn-lint in ${REGIONS:=us-east-1 eu-west-1 cn-north-1 us-gov-west-1}"
  ! grep -nE '[:[] *[*&][a-z]+$' "$SOURCE"/deploy/*/blox-*.yml || fail "CloudFormation does not support YAML aliases"
  cfn-lint --regions $REGIONS -- "$SOURCE"/deploy/docker/blox-local*.yml "$SOURCE"/deploy/aws/*.yml
}
