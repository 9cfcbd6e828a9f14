#include "config.h"

#include "http/ws_reader.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "http/utf8_stream.h"
#include "http/ws_frame.h"
#include "http/ws_head.h"
#include "http/ws_inflate.h"

enum { ARGS = 2, UNAUTHENTICATED_BYTES = 16384 };

enum state {
	STATE_HEAD,
	STATE_PAYLOAD,
	STATE_CLOSED, /* a close frame was read */
	STATE_ERROR,
};

struct ws_reader {
	const struct protocol_limits *limits;
	const char *error; /* a literal; set in STATE_ERROR */
	size_t most_len;   /* of a message, in this feed */

	struct arena message; /* the payload of the message, still compressed if it is */
	struct arena control; /* the payload of the control frame */
	struct arena *done;   /* the arena of the last request, until the next call */
	struct slice args[ARGS];

	struct ws_inflater *inflater; /* owned, or NULL */
	struct ws_head head;
	uint64_t left;     /* bytes of the frame's payload that have not arrived */
	unsigned mask_at;  /* index of the next byte of the mask */
	unsigned head_len; /* bytes of the head that have arrived */
	struct utf8_stream utf8;
	unsigned char state;
	unsigned char message_opcode; /* 0: no message has begun */
	bool message_is_compressed;
	bool inflates;
	unsigned char head_bytes[WS_CLIENT_HEAD_MAX];
};

/* The bytes of one feed that are not taken yet. */
struct cursor {
	const char *at;
	const char *end;
};

/* The result of a step: CONTINUE, or a status of the feed. */
enum { CONTINUE = -1 };

struct ws_reader *
ws_reader_new(const struct protocol_limits *limits, bool inflates)
{
	struct ws_reader *r = xcalloc(1, sizeof(*r));

	r->limits = limits;
	r->inflates = inflates;
	return r;
}

static void
release_all(struct ws_reader *r)
{
	arena_release(&r->message);
	arena_release(&r->control);
	ws_inflater_free(r->inflater);
	r->inflater = NULL;
	r->done = NULL;
}

void
ws_reader_free(struct ws_reader *r)
{
	if (r == NULL)
		return;
	release_all(r);
	xfree(r);
}

/* Frees all memory at once: the peer may stay connected for a while, to read the close frame. */
static int
fail(struct ws_reader *r, const char *error)
{
	release_all(r);
	r->error = error;
	r->state = STATE_ERROR;
	return PROTOCOL_ERROR;
}

static bool
is_control(const struct ws_reader *r)
{
	return r->head.opcode >= WS_CLOSE;
}

/* Checks the first two bytes of a head against the frames before it. */
static const char *
check_order(const struct ws_reader *r)
{
	unsigned opcode = r->head_bytes[0] & 0x0F;

	if (opcode == WS_CONTINUATION && r->message_opcode == 0)
		return "1002 continuation of no message";
	if ((opcode == WS_TEXT || opcode == WS_BINARY) && r->message_opcode != 0)
		return "1002 message begins inside another one";
	return NULL;
}

/* The most bytes that a message may have on the wire: compressed ones that do not shrink have up to
 * five more for each block. */
static size_t
most_wire_len(const struct ws_reader *r)
{
	return r->message_is_compressed ? r->most_len + r->most_len / 8 + 64 : r->most_len;
}

static int
begin_frame(struct ws_reader *r)
{
	const char *error = ws_head_read(r->head_bytes, &r->head);

	if (error != NULL)
		return fail(r, error);
	r->head_len = 0;
	r->left = r->head.len;
	r->mask_at = 0;
	r->state = STATE_PAYLOAD;
	if (is_control(r))
		return CONTINUE;
	if (r->head.opcode != WS_CONTINUATION) {
		r->message_opcode = r->head.opcode;
		r->message_is_compressed = r->head.is_compressed;
		r->utf8 = (struct utf8_stream){0};
	}
	if (r->message.open_len > most_wire_len(r) ||
	    r->left > most_wire_len(r) - r->message.open_len)
		return fail(r, "1009 message too large");
	return CONTINUE;
}

static int
read_head(struct ws_reader *r, struct cursor *c)
{
	const char *error;

	while (c->at < c->end) {
		r->head_bytes[r->head_len++] = (unsigned char)*c->at++;
		if (r->head_len == 2) {
			error = ws_head_check(r->head_bytes, r->inflates);
			if (error == NULL)
				error = check_order(r);
			if (error != NULL)
				return fail(r, error);
		}
		if (r->head_len == ws_head_size(r->head_bytes, r->head_len) && r->head_len > 2)
			return begin_frame(r);
	}
	return PROTOCOL_MORE;
}

/* Writes the len masked bytes at `from` to `to`, unmasked. */
static void
unmask(struct ws_reader *r, char *to, const char *from, size_t len)
{
	unsigned char turned[sizeof(uint64_t)];
	uint64_t mask, word;
	size_t i = 0;

	for (size_t j = 0; j < sizeof(turned); j++)
		turned[j] = r->head.mask[(r->mask_at + j) % sizeof(r->head.mask)];
	memcpy(&mask, turned, sizeof(mask));
	for (; len - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, from + i, sizeof(word));
		word ^= mask;
		memcpy(to + i, &word, sizeof(word));
	}
	for (; i < len; i++)
		to[i] = (char)((unsigned char)from[i] ^ turned[i % sizeof(turned)]);
	r->mask_at = (unsigned)((r->mask_at + len) % sizeof(r->head.mask));
}

/* The most bytes that the open piece of this frame's arena will have, so that a message in one
 * frame gets a block of its size. */
static size_t
most_open_len(const struct ws_reader *r, const struct arena *arena)
{
	size_t most_len = arena->open_len + (size_t)r->left;

	if (is_control(r) || r->head.is_final || most_len > most_wire_len(r))
		return most_len;
	return most_wire_len(r);
}

/* Takes len bytes of the payload, at least 1. */
static bool
take_payload(struct ws_reader *r, const char *ptr, size_t len)
{
	struct arena *arena = is_control(r) ? &r->control : &r->message;
	char *to = arena_extend(arena, len, most_open_len(r, arena));

	unmask(r, to, ptr, len);
	r->left -= len;
	if (is_control(r) || r->message_opcode != WS_TEXT || r->message_is_compressed)
		return true;
	return utf8_stream_take(&r->utf8, (struct slice){to, len});
}

static int
complete(struct ws_reader *r, struct arena *arena, const char *letter)
{
	r->args[0] = (struct slice){letter, 1};
	r->args[1] = arena_close(arena);
	r->done = arena;
	return PROTOCOL_REQUEST;
}

static bool
is_close_code(unsigned code)
{
	return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
	       (code >= 3000 && code <= 4999);
}

static bool
is_text(struct slice bytes)
{
	struct utf8_stream utf8 = {0};

	return utf8_stream_take(&utf8, bytes) && utf8_stream_is_whole(&utf8);
}

/* Section 5.5.1, and the registered codes of section 7.4. */
static const char *
check_close(struct slice payload)
{
	const unsigned char *code = (const unsigned char *)payload.ptr;

	if (payload.len == 0)
		return NULL;
	if (payload.len == 1 || !is_close_code((unsigned)code[0] << 8 | code[1]))
		return "1002 invalid close code";
	return is_text((struct slice){payload.ptr + 2, payload.len - 2})
		   ? NULL
		   : "1007 invalid UTF-8 in the reason of a close frame";
}

static int
end_control(struct ws_reader *r)
{
	const char *error;

	if (r->head.opcode != WS_CLOSE)
		return complete(r, &r->control, r->head.opcode == WS_PING ? "i" : "o");
	(void)complete(r, &r->control, "c");
	error = check_close(r->args[1]);
	if (error != NULL)
		return fail(r, error);
	arena_release(&r->message);
	r->state = STATE_CLOSED;
	return PROTOCOL_REQUEST;
}

/* Replaces the bytes of the message by the inflated ones. Returns NULL or an error. */
static const char *
inflate_message(struct ws_reader *r)
{
	struct slice bytes = arena_close(&r->message);
	struct arena plain = {0};
	enum ws_inflate_result result;

	if (r->inflater == NULL)
		r->inflater = ws_inflater_new();
	result = ws_inflate(r->inflater, bytes, r->most_len, &plain);
	arena_release(&r->message);
	r->message = plain;
	switch (result) {
	case WS_INFLATE_DONE:
		break;
	case WS_INFLATE_INVALID:
		return "1007 invalid deflate data";
	case WS_INFLATE_TOO_LARGE:
		return "1009 message too large";
	}
	return NULL;
}

static int
end_message(struct ws_reader *r)
{
	bool is_text_message = r->message_opcode == WS_TEXT;
	const char *error = r->message_is_compressed ? inflate_message(r) : NULL;

	if (error != NULL)
		return fail(r, error);
	r->message_opcode = 0;
	(void)complete(r, &r->message, is_text_message ? "t" : "b");
	if (is_text_message &&
	    (r->message_is_compressed ? !is_text(r->args[1]) : !utf8_stream_is_whole(&r->utf8)))
		return fail(r, "1007 invalid UTF-8");
	return PROTOCOL_REQUEST;
}

static int
read_payload(struct ws_reader *r, struct cursor *c)
{
	size_t there = (size_t)(c->end - c->at);
	size_t len = there < r->left ? there : (size_t)r->left;

	if (len > 0) {
		if (!take_payload(r, c->at, len))
			return fail(r, "1007 invalid UTF-8");
		c->at += len;
	}
	if (r->left > 0)
		return PROTOCOL_MORE;
	r->state = STATE_HEAD;
	if (is_control(r))
		return end_control(r);
	return r->head.is_final ? end_message(r) : CONTINUE;
}

static int
step(struct ws_reader *r, struct cursor *c)
{
	switch ((enum state)r->state) {
	case STATE_HEAD:
		return read_head(r, c);
	case STATE_PAYLOAD:
		return read_payload(r, c);
	case STATE_CLOSED:
		c->at = c->end;
		return PROTOCOL_MORE;
	case STATE_ERROR:
		break;
	}
	return PROTOCOL_ERROR;
}

static void
end_request(struct ws_reader *r)
{
	if (r->done != NULL && r->done->top != NULL)
		arena_release(r->done);
	r->done = NULL;
}

static size_t
min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t
limit_of(const struct protocol_limits *limits, bool unauthenticated)
{
	size_t beside = ARGS * sizeof(struct slice);
	size_t request_len = limits->request_bytes > beside ? limits->request_bytes - beside : 0;
	size_t most_len = min(limits->arg_bytes, request_len);

	/* No sum of lengths must overflow. */
	most_len = min(most_len, SIZE_MAX / 4);
	return unauthenticated ? min(most_len, UNAUTHENTICATED_BYTES) : most_len;
}

enum protocol_status
ws_reader_feed(struct ws_reader *r, const char *ptr, size_t len, bool unauthenticated,
    size_t *taken, struct protocol_request *request)
{
	struct cursor c = {ptr, len > 0 ? ptr + len : ptr};
	int status;

	end_request(r);
	r->most_len = limit_of(r->limits, unauthenticated);
	do
		status = step(r, &c);
	while (status == CONTINUE);
	if (status == PROTOCOL_REQUEST)
		*request = ws_reader_request(r);
	*taken = (size_t)(c.at - ptr);
	return (enum protocol_status)status;
}

struct protocol_request
ws_reader_request(const struct ws_reader *r)
{
	assert(r->done != NULL);
	return (struct protocol_request){.args = r->args, .count = ARGS};
}

void
ws_reader_give_arena(struct ws_reader *r, struct arena *arena)
{
	assert(r->done != NULL);
	arena_join(arena, r->done);
}

/* A reader that waits for more has no inflater: it may wait long, and an inflater is large. */
bool
ws_reader_settle(struct ws_reader *r)
{
	bool is_idle = r->state == STATE_HEAD && r->head_len == 0 && r->message_opcode == 0;

	end_request(r);
	if (!is_idle) {
		ws_inflater_free(r->inflater);
		r->inflater = NULL;
	}
	return is_idle;
}

const char *
ws_reader_error(const struct ws_reader *r)
{
	assert(r->state == STATE_ERROR);
	return r->error;
}

size_t
ws_reader_held_bytes(const struct ws_reader *r)
{
	size_t held = r->head_len;

	if (r->done != &r->message)
		held += r->message.held;
	if (r->done != &r->control)
		held += r->control.held;
	return held;
}

size_t
ws_reader_room_bytes(const struct ws_reader *r)
{
	return r->message.room + r->control.room + (r->inflater != NULL ? WS_INFLATER_BYTES : 0);
}
