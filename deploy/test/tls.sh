# The part "tls" of deploy/test/run tests tls.yml with the certificates of certificates.sh. Source this file; do not run it.

tls() {
  log "tls: require client certificates; renew certificates while the services run"
  local BLOX_UID TLS certificate container
  BLOX_UID=$(id -u) # the user who can read the keys
  export BLOX_UID
  "$COPY/deploy/docker/certificates.sh" "$ADDRESS"
  reset_blox $ALONE:deploy/docker/tls.yml # waits for --healthcheck over TLS
  TLS="--cacert $COPY/tls/client/ca.pem --cert $COPY/tls/client/cert.pem --key $COPY/tls/client/key.pem"
  await "daemon-scheduler is ready" ready 2000
  container=$(compose ps -q daemon-scheduler)
  healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$container")" = healthy ]; }
  await "daemon-scheduler is healthy" healthy
  for port in 2000 3000; do
    ! curl -s -o /dev/null --cacert "$COPY/tls/client/ca.pem" "https://$ADDRESS:$port/v1/ping" || fail "port $port accepted a client without a certificate"
    ! curl -s -o /dev/null --cert "$COPY/tls/client/cert.pem" --key "$COPY/tls/client/key.pem" "https://$ADDRESS:$port/v1/ping" ||
      fail "port $port: a client accepted a certificate of an unknown authority"
    ! curl -sf -o /dev/null "http://$ADDRESS:$port/v1/ping" || fail "port $port accepted plain http"
  done
  environment first >/dev/null
  verify 1 css
  certificate=$(served_certificate)
  [ -n "$certificate" ] || fail "the service shows no certificate"
  "$COPY/deploy/docker/certificates.sh" "$ADDRESS"
  certificate_renewed() { local now; now=$(served_certificate) && [ -n "$now" ] && [ "$now" != "$certificate" ]; }
  await "the new certificate is served" certificate_renewed
  kill_task
  environment second >/dev/null
  verify 2 css
  compose restart --timeout 10 cluster-state-service >/dev/null 2>&1 # daemon-scheduler reconnects with the new certificate
  await "cluster-state-service is ready" ready 3000
  environment third >/dev/null
  verify 3 css
  healthy || fail "daemon-scheduler is unhealthy after the renewal"
  down
}
served_certificate() { openssl s_client -connect "$ADDRESS:3000" -servername localhost -cert "$COPY/tls/client/cert.pem" -key "$COPY/tls/client/key.pem" </dev/null 2>/dev/null | openssl x509 -noout -serial; }
