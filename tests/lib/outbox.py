"""The state of a client's outbox, as an administrator sees it."""

from lib.resp import Error, parse_client


def outbox_of(admin, client_id):
    """Its messages, bytes, dropped (numbers) and policy: from OUTBOX LIST, or CLIENT LIST if it has them."""
    reply = admin.call("OUTBOX", "LIST", "ID", client_id)
    if isinstance(reply, Error):
        reply = admin.call("CLIENT", "LIST", "ID", client_id)
    fields = parse_client(reply.decode().splitlines()[0])

    def field(name):
        return fields.get(f"outbox-{name}", fields.get(name))
    return {"messages": int(field("messages")), "bytes": int(field("bytes")), "dropped": int(field("dropped")),
            "policy": field("policy")}
