#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * The protocols that the load generator speaks, as far as it needs them: log in, subscribe,
 * publish, tell what comes back apart. One const table entry each. Pure: bytes in, bytes out.
 *
 * The scanner of each looks at whole events from the front of what has arrived and keeps nothing
 * between calls. It looks at the head of a message only, so what it costs does not grow with the
 * payload, and a message may be handed over before its payload is there.
 */
enum wire_kind {
	WIRE_MESSAGE,
	WIRE_CONFIRMED, /* what was asked for was done */
	WIRE_IGNORED,
	WIRE_PING,  /* the server wants to see a pong */
	WIRE_ERROR, /* text says what */
};

struct wire_event {
	enum wire_kind kind;
	size_t head_len;    /* of a message: what stands before its payload; else the whole event */
	size_t payload_len; /* of a message, else 0 */
	size_t tail_len;    /* what stands after its payload */
	struct slice text;  /* of an error; borrows from what was scanned */
};

enum wire_status {
	WIRE_FOUND,
	WIRE_MORE, /* the event is not all there: scan again when more has come */
	WIRE_GARBLED,
};

struct wire_login {
	const char *user;     /* or NULL */
	const char *password; /* or NULL */
	uint32_t number;      /* of this connection: MQTT wants names that differ */
};

struct wire {
	const char *name;
	char separator; /* between the words of a channel's name */
	bool replies;   /* each publish is confirmed */
	struct slice pong;
	struct slice tail; /* ends a publish, after the payload */
	/* Each returns how many WIRE_CONFIRMED will come. */
	size_t (*put_login)(struct buffer *out, const struct wire_login *login);
	/* For each name or pattern; *id is that of the next subscription, from 1. */
	size_t (*put_subscribe)(struct buffer *out, const struct slice *names, size_t count,
	    bool patterns, uint32_t *id);
	size_t (*put_ping)(struct buffer *out);
	/* What stands before the payload. */
	void (*put_publish)(struct buffer *out, struct slice channel, size_t payload_len);
	/* The pattern for all channels of one word after this prefix. */
	void (*put_pattern)(struct buffer *out, const char *prefix);
	enum wire_status (*scan)(const char *ptr, size_t len, struct wire_event *event);
};

extern const struct wire wire_resp2;
extern const struct wire wire_resp3;
extern const struct wire wire_nats;
extern const struct wire wire_mqtt;

/* Room that a head, a confirmation or an error must not exceed: more is garbled. */
#define WIRE_MAX_HEAD ((size_t)64 * 1024)

/* The longest prefix, user or password that all of them take. */
#define WIRE_MAX_TEXT 200

#endif
