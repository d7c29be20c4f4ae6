#!/usr/bin/env bash
# Creates a certificate authority and, for tls.yml, certificates for both services and one client, in a directory each.
# A second run renews the certificates with the same authority. The services reload them without a restart.
#
#   deploy/docker/certificates.sh [NAME]...     additional names or addresses of the services
#
# BLOX_TLS sets the directory (tls), DAYS the validity of the certificates (365), and HOLDERS the holders of certificates
# (cluster-state-service daemon-scheduler client). Keep authority/key.pem secret.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v openssl >/dev/null || { echo "openssl not found; install it: apt-get install openssl" >&2; exit 1; }
umask 077
mkdir -p "${BLOX_TLS:-tls}"
cd "${BLOX_TLS:-tls}"
new="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
# quietly shows the output of a command only if it fails.
quietly() { "$@" 2>output || { cat output >&2; exit 1; }; rm -f output; }

mkdir -p authority
[ -f authority/ca.pem ] || quietly openssl req -x509 $new -days 3650 -subj "/CN=Blox, created on $(date +%F)" -keyout authority/key.pem -out authority/ca.pem
for name in ${HOLDERS:-cluster-state-service daemon-scheduler client}; do
  mkdir -p $name
  alternatives=DNS:$name,DNS:localhost,IP:127.0.0.1
  for host in "$@"; do
    if [[ $host =~ ^[0-9.]+$|: ]]; then alternatives+=,IP:$host; else alternatives+=,DNS:$host; fi
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
echo "certificates: $PWD, valid for ${DAYS:-365} days"
