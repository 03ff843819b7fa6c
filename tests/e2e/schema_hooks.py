"""What schemathesis does not know by itself: bodies of records, and an answer that has no end."""

import json

import schemathesis
from hypothesis import strategies

LINES = strategies.lists(strategies.dictionaries(strategies.text(), strategies.text() | strategies.integers()), max_size=4)


@schemathesis.serializer("application/x-ndjson")
def lines(_context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@schemathesis.hook("before_generate_body")
def records(context, strategy):
    """Records, besides the texts that are none."""
    if context.operation.path != "/api/v1/ingest":
        return strategy
    return strategy | LINES.map(lambda records: "\n".join(map(json.dumps, records)))


@schemathesis.hook("before_call")
def without_end(_context, case, kwargs):
    """Of a live tail the head is looked at; then it is left."""
    if case.operation.path != "/api/v1/tail":
        return

    def leave(response, **_):
        if response.ok:
            response._content = b""
            response.close()

    kwargs.update(stream=True, hooks={"response": leave})
