# The part "tls" of deploy/test/run: the overlay tls.yml, with what certificates.sh makes. Sourced, not run.

tls() {
  say "tls: services that want a certificate of every client, and new certificates while they run"
  local BLOX_UID TLS certificate container
  BLOX_UID=$(id -u) # who can read the keys
  export BLOX_UID
  "$COPY/deploy/docker/certificates.sh" "$ADDRESS"
  fresh $ALONE:deploy/docker/tls.yml # which waits for --healthcheck over TLS
  TLS="--cacert $COPY/tls/client/ca.pem --cert $COPY/tls/client/cert.pem --key $COPY/tls/client/key.pem"
  await "daemon-scheduler is ready" ready 2000
  container=$(compose ps -q daemon-scheduler)
  healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$container")" = healthy ]; }
  await "daemon-scheduler is healthy" healthy
  for port in 2000 3000; do
    ! curl -s -o /dev/null --cacert "$COPY/tls/client/ca.pem" "https://$ADDRESS:$port/v1/ping" || fail "$port: a client without a certificate"
    ! curl -s -o /dev/null --cert "$COPY/tls/client/cert.pem" --key "$COPY/tls/client/key.pem" "https://$ADDRESS:$port/v1/ping" ||
      fail "$port: a client that does not know the authority"
    ! curl -sf -o /dev/null "http://$ADDRESS:$port/v1/ping" || fail "$port: plain http"
  done
  environment first >/dev/null
  as_it_should 1 css
  certificate=$(served)
  [ -n "$certificate" ] || fail "no certificate is served"
  "$COPY/deploy/docker/certificates.sh" "$ADDRESS"
  renewed() { local now; now=$(served) && [ -n "$now" ] && [ "$now" != "$certificate" ]; }
  await "the new certificate is served" renewed
  kill_task
  environment second >/dev/null
  as_it_should 2 css
  compose restart --timeout 10 cluster-state-service >/dev/null 2>&1 # daemon-scheduler comes back to it with the new certificate
  await "cluster-state-service is back" ready 3000
  environment third >/dev/null
  as_it_should 3 css
  healthy || fail "daemon-scheduler's health check after the renewal"
  down
}
served() { openssl s_client -connect "$ADDRESS:3000" -servername localhost -cert "$COPY/tls/client/cert.pem" -key "$COPY/tls/client/key.pem" </dev/null 2>/dev/null | openssl x509 -noout -serial; }
