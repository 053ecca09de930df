#!/usr/bin/env bash
# Makes what processes prove themselves to one another with: an authority, a certificate of it for each
# process, and a key pair for each service. `scripts/identities.sh FOLDER`; what is there stays, so that
# a file is made anew once it was deleted.
#
#   FOLDER/authority.{crt,key}                           the authority; keep its key where no process runs
#   FOLDER/NAME/{tls.crt,tls.key,ca.crt,service.key}     what the process NAME has, and nobody else
#   FOLDER/keys/NAME.pem                                 the public keys of services, which all have
#
#   NAMESPACE=quartet   of the names under which Kubernetes has the services
#   DAYS=398            how long a certificate counts
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/needs.sh"

[ $# = 1 ] || die "usage: scripts/identities.sh FOLDER"
folder=$1
namespace=${NAMESPACE:-quartet}
days=${DAYS:-398}
services=(auth users todos jobs gateway)
need openssl openssl

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 077

# Puts what openssl made into the file $1, readable: the folder is closed, and containers read it as users
# of their own.
keep() {
    chmod 0444 "$work/made"
    mv "$work/made" "$1"
    echo "made $1"
}

openssl_quiet() {
    openssl "$@" 2>"$work/log" || die "openssl $1 failed: $(tail -n 2 "$work/log")"
}

mkdir -p "$folder"
chmod 0700 "$folder"
mkdir -p "$folder/keys"
chmod 0755 "$folder/keys"

if [ ! -e "$folder/authority.crt" ] || [ ! -e "$folder/authority.key" ]; then
    openssl_quiet req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=quartet" \
        -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign" \
        -keyout "$work/key" -out "$work/made"
    keep "$folder/authority.crt"
    mv "$work/key" "$folder/authority.key"
    chmod 0400 "$folder/authority.key"
fi

for name in "${services[@]}" admin; do
    own=$folder/$name
    mkdir -p "$own"
    chmod 0755 "$own"
    if [ ! -e "$own/tls.crt" ] || [ ! -e "$own/tls.key" ]; then
        # Callers reach it by the name of its Service, and health checks by the loopback address.
        cat >"$work/extensions" <<EXTENSIONS
subjectAltName=DNS:$name,DNS:$name.$namespace,DNS:$name.$namespace.svc,DNS:localhost,IP:127.0.0.1
extendedKeyUsage=serverAuth,clientAuth
keyUsage=critical,digitalSignature
basicConstraints=critical,CA:FALSE
EXTENSIONS
        openssl_quiet req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$name" \
            -keyout "$work/key" -out "$work/request"
        openssl_quiet x509 -req -in "$work/request" -CA "$folder/authority.crt" -CAkey "$folder/authority.key" \
            -set_serial "0x$(openssl rand -hex 16)" -days "$days" -extfile "$work/extensions" -out "$work/made"
        # The key first: a process that reads in between keeps the pair of before.
        mv "$work/made" "$work/certificate"
        mv "$work/key" "$work/made"
        keep "$own/tls.key"
        mv "$work/certificate" "$work/made"
        keep "$own/tls.crt"
    fi
    if [ ! -e "$own/ca.crt" ]; then
        cp "$folder/authority.crt" "$work/made"
        keep "$own/ca.crt"
    fi
done

for name in "${services[@]}"; do
    if [ ! -e "$folder/$name/service.key" ]; then
        openssl_quiet genpkey -algorithm ed25519 -out "$work/made"
        rm -f "$folder/keys/$name.pem"
        keep "$folder/$name/service.key"
    fi
    if [ ! -e "$folder/keys/$name.pem" ]; then
        openssl_quiet pkey -in "$folder/$name/service.key" -pubout -out "$work/made"
        keep "$folder/keys/$name.pem"
    fi
done
