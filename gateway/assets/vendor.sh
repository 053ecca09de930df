#!/bin/sh
# Fetches the built pages of Swagger UI and Redoc from npm and packs them as the gateway embeds them: gzip, no time stamps.
# Run it in this folder to take a newer version; the licences come along.
set -eu
swagger=5.35.0
redoc=2.5.4
here=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "swagger-ui-dist@$swagger" "redoc@$redoc"
mkdir swagger redoc
tar xzf "swagger-ui-dist-$swagger.tgz" -C swagger --strip-components=1
tar xzf "redoc-$redoc.tgz" -C redoc --strip-components=1
pack() { gzip -9nc "$1" > "$here/$2.gz"; }
# Source maps are not shipped, so the pages must not load them.
sed '/^\/\/# sourceMappingURL=/d' swagger/swagger-ui-bundle.js > swagger.js
sed 's|/\*# sourceMappingURL=.*\*/||' swagger/swagger-ui.css > swagger.css
# Redoc's footer shows a picture from another host; the page shows no picture instead.
sed -e '/^\/\/# sourceMappingURL=/d' \
    -e 's|https://cdn.redoc.ly/redoc/logo-mini.svg|data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==|' \
    redoc/bundles/redoc.standalone.js > redoc.js
pack swagger.js swagger-ui-bundle.js
pack swagger.css swagger-ui.css
pack redoc.js redoc.standalone.js
cp swagger/favicon-32x32.png "$here/favicon.png"
{ cat swagger/LICENSE; echo; cat swagger/NOTICE; echo; cat swagger/swagger-ui-bundle.js.LICENSE.txt; } > "$here/swagger-ui.LICENSE"
{ cat redoc/LICENSE; echo; cat redoc/bundles/redoc.standalone.js.LICENSE.txt; } > "$here/redoc.LICENSE"
