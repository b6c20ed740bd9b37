#!/bin/sh
# Records what PostgreSQL answers, for tests/values.rs: the last column of every table here.
#
# usage: record.sh [psql options that lead to a PostgreSQL 15 server, as a user who may create functions]
#
# The tables have columns between tabs. `\t`, `\n` and `\\` in them are what they are in Rust.
#   input.tsv    type, text                    -> the text of 'text'::type
#   casts.tsv    from, to, context, text       -> the text of a cast, explicit or as in an assignment
#   calls.tsv    name in the test, expression with $1 ..., arguments as type:text between ` | ` -> the text of its value
#   matrix.tsv   from, to                      -> where a cast may happen: i(mplicit), a(ssignment), e(xplicit), -
set -eu
cd "$(dirname "$0")"
psql -qX -v ON_ERROR_STOP=1 "$@" <<'SQL'
SET timezone = 'Europe/Berlin';
SET client_min_messages = warning;
-- The text of the output function, which a cast to text may differ from.
CREATE OR REPLACE FUNCTION pg_temp.printed(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text; detail text;
BEGIN
    EXECUTE 'SELECT CASE WHEN x IS NULL THEN ''NULL'' ELSE format(''%s'', x) END FROM (SELECT ' || expression || ' AS x) q'
        INTO result;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN '!' || SQLSTATE || ' ' || SQLERRM || CASE WHEN detail <> '' THEN ' / ' || detail ELSE '' END;
END $$;
CREATE OR REPLACE FUNCTION pg_temp.assigned(value text, ty text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text; detail text;
BEGIN
    EXECUTE 'CREATE TEMP TABLE assigned(x ' || ty || ')';
    EXECUTE 'INSERT INTO assigned VALUES (' || value || ') RETURNING CASE WHEN x IS NULL THEN ''NULL'' ELSE format(''%s'', x) END'
        INTO result;
    DROP TABLE assigned;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN '!' || SQLSTATE || ' ' || SQLERRM || CASE WHEN detail <> '' THEN ' / ' || detail ELSE '' END;
END $$;
CREATE OR REPLACE FUNCTION pg_temp.works(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN EXECUTE statement; RETURN true; EXCEPTION WHEN OTHERS THEN RETURN false; END $$;
CREATE OR REPLACE FUNCTION pg_temp.context(source text, target text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text := '-';
BEGIN
    EXECUTE 'CREATE FUNCTION pg_temp.takes(' || target || ') RETURNS int LANGUAGE sql AS ''SELECT 1''';
    EXECUTE 'CREATE TEMP TABLE assigned(x ' || target || ')';
    IF pg_temp.works('SELECT pg_temp.takes(NULL::' || source || ')') THEN result := 'i';
    ELSIF pg_temp.works('INSERT INTO assigned SELECT NULL::' || source) THEN result := 'a';
    ELSIF pg_temp.works('SELECT (NULL::' || source || ')::' || target) THEN result := 'e';
    END IF;
    DROP TABLE assigned;
    EXECUTE 'DROP FUNCTION pg_temp.takes(' || target || ')';
    RETURN result;
END $$;
-- Arguments `type:text` become casts where the expression has $1, $2 ...
CREATE OR REPLACE FUNCTION pg_temp.filled(expression text, arguments text[]) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN REVERSE coalesce(array_length(arguments, 1), 0)..1 LOOP
        expression := replace(expression, '$' || i,
            format('%L::%s', substr(arguments[i], strpos(arguments[i], ':') + 1), split_part(arguments[i], ':', 1)));
    END LOOP;
    RETURN expression;
END $$;
CREATE TEMP TABLE rows(line serial, a text, b text, c text, d text, e text);

\copy rows(a, b) FROM PROGRAM 'awk -F"\t" -v OFS="\t" "{ print \$1, \$2 }" input.tsv'
UPDATE rows SET c = pg_temp.printed(format('%L::%s', b, a));
\copy (SELECT a, b, c FROM rows ORDER BY line) TO input.tsv
TRUNCATE rows;
\copy rows(a, b, c, d) FROM PROGRAM 'awk -F"\t" -v OFS="\t" "{ print \$1, \$2, \$3, \$4 }" casts.tsv'
UPDATE rows SET e = CASE c
    WHEN 'explicit' THEN pg_temp.printed(format('(%L::%s)::%s', d, a, b))
    ELSE pg_temp.assigned(format('%L::%s', d, a), b) END;
\copy (SELECT a, b, c, d, e FROM rows ORDER BY line) TO casts.tsv
TRUNCATE rows;
\copy rows(a, b) FROM PROGRAM 'awk -F"\t" -v OFS="\t" "{ print \$1, \$2 }" matrix.tsv'
UPDATE rows SET c = pg_temp.context(a, b);
\copy (SELECT a, b, c FROM rows ORDER BY line) TO matrix.tsv
TRUNCATE rows;
\copy rows(a, b, c) FROM PROGRAM 'awk -F"\t" -v OFS="\t" "{ print \$1, \$2, \$3 }" calls.tsv'
UPDATE rows SET d = pg_temp.printed(pg_temp.filled(b, string_to_array(c, ' | ')));
\copy (SELECT a, b, c, d FROM rows ORDER BY line) TO calls.tsv
SQL
