#!/bin/sh
# Builds the image `annulus` from this source, without a network: the program in release, then its libraries.
# BINARY=FILE takes a program that was built before, TAG=NAME gives the image another name.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${BINARY:-}" ]; then
    (cd "$here/.." && cargo build --release --locked --package annulus)
    BINARY="${CARGO_TARGET_DIR:-$here/../target}/release/annulus"
fi
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir "$context/data"
"$here/collect.sh" "$BINARY" "$context/root"
docker build --file "$here/Dockerfile" --tag "${TAG:-annulus}" "$context"
