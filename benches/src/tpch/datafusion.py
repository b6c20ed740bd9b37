"""Runs SQL statements with DataFusion: each is a line of JSON on stdin, to which a line on stdout tells its time and its rows.

The other end is `datafusion.rs`.
"""

import json
import sys
import time

from datafusion import SessionContext


def text(value):
    return None if value is None else str(value)


def rows_of(batch):
    return [[text(value) for value in row] for row in zip(*(column.to_pylist() for column in batch.columns))]


def answer(context, statement):
    begun = time.perf_counter()
    try:
        batches = context.sql(statement).collect()
    except Exception as error:  # DataFusion's errors have no class of their own.
        return {"seconds": time.perf_counter() - begun, "rows": {"Err": str(error)}}
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "rows": {"Ok": [row for batch in batches for row in rows_of(batch)]}}


context = SessionContext()
for line in sys.stdin:
    print(json.dumps(answer(context, json.loads(line))), flush=True)
