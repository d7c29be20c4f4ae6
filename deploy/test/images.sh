# The part "images" of deploy/test/run builds the images and inspects them. Source this file; do not run it.

images() {
  log "images: build; verify that they contain only the program, licenses, root certificates and a user"
  make -C "$SOURCE" docker VERSION=$BLOX_VERSION >"$COPY/images.log" 2>&1 || { tail -20 "$COPY/images.log"; fail "make docker failed"; }
  local image container
  for image in cluster-state-service daemon-scheduler blox ecs-sim; do
    container=$(docker create "bloxoss/$image:$BLOX_VERSION")
    docker export "$container" | tar -t | grep -v '/$' | sort >"$COPY/files"
    docker rm "$container" >/dev/null
    # Docker adds .dockerenv, hostname, hosts, mtab, resolv.conf and dev to every container.
    grep -vxE '\.dockerenv|etc/(hostname|hosts|mtab|resolv\.conf)|dev/console' "$COPY/files" >"$COPY/own"
    printf '%s\n' "$image" LICENSE THIRD_PARTY_LICENSES etc/group etc/passwd etc/ssl/certs/ca-certificates.crt | sort | diff - "$COPY/own" || fail "unexpected files in $image"
    docker image inspect "bloxoss/$image:$BLOX_VERSION" | jq -e --arg version "$BLOX_VERSION" --arg image "$image" '.[0].Config
      | .User == "1000:1000" and (.Labels["org.opencontainers.image.version"] == $version)
      and (.Healthcheck.Test[0] == "CMD" or $image == "blox")' >/dev/null ||
      fail "wrong user, labels or health check of $image"
    echo "bloxoss/$image: $(docker image inspect --format '{{.Size}}' "bloxoss/$image:$BLOX_VERSION") bytes"
  done
  reproducible
  docker run --rm "bloxoss/cluster-state-service:$BLOX_VERSION" --version | grep -q "^$BLOX_VERSION" || fail "wrong output of --version"
  docker run --rm --user 4242:4242 "bloxoss/daemon-scheduler:$BLOX_VERSION" --help >/dev/null || fail "failed to run as a different user"
  docker run --rm "bloxoss/blox:$BLOX_VERSION" --version | grep -q "^blox $BLOX_VERSION" || fail "wrong output of blox --version"
}

# reproducible succeeds if the same source, version and compiler give the same programs in another directory, outside of
# Docker.
reproducible() {
  local program container package=github.com/blox/blox/internal/version commit
  commit=$(docker image inspect --format '{{index .Config.Labels "org.opencontainers.image.revision"}}' "bloxoss/blox:$BLOX_VERSION")
  mkdir -p "$COPY/programs/rebuilt"
  (cd "$SOURCE" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$COPY/programs/rebuilt/" \
    -ldflags "-s -w -X $package.Version=$BLOX_VERSION -X $package.Commit=$commit" \
    ./cmd/cluster-state-service ./cmd/daemon-scheduler ./cmd/blox ./cmd/ecs-sim) || fail "go build failed"
  for program in cluster-state-service daemon-scheduler blox ecs-sim; do
    container=$(docker create "bloxoss/$program:$BLOX_VERSION")
    docker cp "$container:/$program" "$COPY/programs/" >/dev/null
    docker rm "$container" >/dev/null
    if [ "$(go version "$COPY/programs/$program" | cut -d' ' -f2)" != "$(go env GOVERSION)" ]; then
      echo "reproducible: skipped; the image's compiler is not this machine's $(go env GOVERSION)"
      return
    fi
    cmp "$COPY/programs/$program" "$COPY/programs/rebuilt/$program" || fail "a second build of $program differs"
  done
  echo "a second build gives identical programs"
}
