#!/bin/bash
# Makes a role and a database for each service, at the first start of the server: a role signs in to
# its own database alone, owns it, and may do nothing beside it. Name and password are those in the
# service's own secret, postgres://NAME:PASSWORD@….
set -euo pipefail

for service in auth users todos jobs; do
    url=$(<"/run/secrets/${service}_database_url")
    password=${url#postgres://"$service":}
    password=${password%%@*}
    psql -v ON_ERROR_STOP=1 -v name="$service" -v password="$password" --username postgres --dbname postgres <<'SQL'
        create role :"name" login nosuperuser nocreatedb nocreaterole noreplication
            connection limit 60 password :'password';
        create database :"name" owner :"name";
        revoke all on database :"name" from public;
SQL
done

# Nobody but the administrator signs in here.
psql -v ON_ERROR_STOP=1 --username postgres --dbname postgres <<'SQL'
    revoke all on database postgres from public;
    revoke all on database template1 from public;
SQL
