#!/usr/bin/env bash
# Makes certificates for tls.yml: of an authority of one's own, for both services and for a client, in a folder each.
# Run again, it makes new ones of the same authority, which the services take up without a restart.
#
#   deploy/docker/certificates.sh [NAME]...     more names or addresses by which clients reach the services
#
# BLOX_TLS is the folder (tls, at the top), DAYS how long the certificates are good for (365). Keep authority/key.pem to yourself.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v openssl >/dev/null || { echo "openssl is needed: apt-get install openssl" >&2; exit 1; }
umask 077
mkdir -p "${BLOX_TLS:-tls}"
cd "${BLOX_TLS:-tls}"
new="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
quietly() { "$@" 2>said || { cat said >&2; exit 1; }; rm -f said; }

mkdir -p authority
[ -f authority/ca.pem ] || quietly openssl req -x509 $new -days 3650 -subj "/CN=Blox, made on $(date +%F)" -keyout authority/key.pem -out authority/ca.pem
for name in cluster-state-service daemon-scheduler client; do
  mkdir -p $name
  alternatives=DNS:$name,DNS:localhost,IP:127.0.0.1
  for other in "$@"; do
    if [[ $other =~ ^[0-9.]+$|: ]]; then alternatives+=,IP:$other; else alternatives+=,DNS:$other; fi
  done
  printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$alternatives" > extensions
  quietly openssl req $new -subj /CN=$name -keyout $name/key.new -out request
  quietly openssl x509 -req -in request -CA authority/ca.pem -CAkey authority/key.pem -set_serial "0x$(openssl rand -hex 16)" \
    -days "${DAYS:-365}" -extfile extensions -out $name/cert.new
  cp authority/ca.pem $name/ca.pem
  mv $name/key.new $name/key.pem
  mv $name/cert.new $name/cert.pem
done
rm -f request extensions
echo "certificates: $PWD, good for ${DAYS:-365} days"
