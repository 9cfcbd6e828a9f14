#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * The protocols of the load generator, as far as it needs them: log in, subscribe, publish, and
 * classify input. One const table entry for each. Bytes in, bytes out, without side effects.
 *
 * A scanner examines the first event of the input and keeps no state between calls. Of a message it
 * examines only the head, so its cost does not depend on the payload, and a message can be reported
 * before its payload has arrived.
 */
enum wire_kind {
	WIRE_MESSAGE,
	WIRE_CONFIRMED, /* confirms a request */
	WIRE_IGNORED,
	WIRE_PING,  /* the server expects a pong */
	WIRE_ERROR, /* text is the error */
};

struct wire_event {
	enum wire_kind kind;
	size_t
	    head_len; /* of a message: the bytes before its payload; otherwise of the whole event */
	size_t payload_len; /* of a message, else 0 */
	size_t tail_len;    /* the bytes after its payload */
	struct slice text;  /* of an error; borrows from the input */
};

enum wire_status {
	WIRE_FOUND,
	WIRE_MORE, /* incomplete event: scan again with more input */
	WIRE_GARBLED,
};

struct wire_login {
	const char *user;     /* or NULL */
	const char *password; /* or NULL */
	uint32_t number;      /* of this connection, for the unique client names of MQTT */
};

struct wire {
	const char *name;
	char separator; /* between the words of a channel name */
	bool replies;   /* each publish has a reply */
	struct slice pong;
	struct slice tail; /* ends a publish, after the payload */
	/* Each returns the number of WIRE_CONFIRMED to expect. */
	size_t (*put_login)(struct buffer *out, const struct wire_login *login);
	/* For each name or pattern; *id is the id of the next subscription, from 1. */
	size_t (*put_subscribe)(struct buffer *out, const struct slice *names, size_t count,
	    bool patterns, uint32_t *id);
	size_t (*put_ping)(struct buffer *out);
	/* The bytes before the payload. */
	void (*put_publish)(struct buffer *out, struct slice channel, size_t payload_len);
	/* The pattern for all channels with one word after this prefix. */
	void (*put_pattern)(struct buffer *out, const char *prefix);
	enum wire_status (*scan)(const char *ptr, size_t len, struct wire_event *event);
};

extern const struct wire wire_resp2;
extern const struct wire wire_resp3;
extern const struct wire wire_nats;
extern const struct wire wire_mqtt;

/* Maximum length of a head, a confirmation or an error; a longer one is invalid. */
#define WIRE_MAX_HEAD ((size_t)64 * 1024)

/* The longest prefix, user or password that all protocols accept. */
#define WIRE_MAX_TEXT 200

#endif
