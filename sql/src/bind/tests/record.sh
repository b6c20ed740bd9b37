#!/bin/sh
# Records what PostgreSQL makes of the expressions in the first column of each file here.
# Usage: record.sh 'host=... port=... user=...' [file.txt ...]
# The server's database must be of locale C.UTF-8.
set -eu
connection=$1
shift
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- *.txt
tab=$(printf '\t')
for file in "$@"; do
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in '' | '#'*) printf '%s\n' "$line"; continue ;; esac
        expression=${line%%"$tab"*}
        if row=$(PGOPTIONS='-c timezone=Europe/Berlin' psql "$connection" -XAtq -v VERBOSITY=verbose \
            -c "COPY (SELECT $expression, pg_typeof($expression)) TO STDOUT" 2>/tmp/record.$$ </dev/null); then
            printf '%s\t%s\n' "$expression" "$row"
        else
            sed -n "s/^ERROR:  \([0-9A-Z]\{5\}\): \(.*\)$/\2$tab\1/p" /tmp/record.$$ | head -1 |
                while IFS= read -r error; do printf '%s\t%s\n' "$expression" "$error"; done
        fi
    done <"$file" >"$file.new"
    mv "$file.new" "$file"
done
rm -f /tmp/record.$$
