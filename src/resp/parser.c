#include "config.h"

#include "resp/parser.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/request_args.h"
#include "resp/inline.h"

enum {
	UNAUTHENTICATED_ARGS = 10,
	UNAUTHENTICATED_BYTES = 16384,
	ARGS_FIRST = 4,
	ARGS_KEPT = 64,   /* a larger array is freed when its request is done */
	LINE_BYTES = 24,  /* type byte and a number; more of a line is not needed */
	FAST_DIGITS = 9,  /* any number of this many digits fits */
	ERROR_BYTES = 80, /* more than the longest text */
};

enum state {
	STATE_START,  /* between requests */
	STATE_COUNT,  /* in "*<count>\r\n" */
	STATE_LEN,    /* in "$<len>\r\n" */
	STATE_VALUE,  /* in the bytes of an argument */
	STATE_CRLF,   /* in the two bytes after an argument, which are not checked, as in Redis */
	STATE_INLINE, /* in an inline command */
	STATE_ERROR,
};

struct resp_parser {
	const struct protocol_limits *limits;
	char *error; /* owned; set in STATE_ERROR */

	struct request_args args;
	unsigned int args_wanted;

	size_t held; /* bytes of the request so far: values that arrived, and their slices */
	size_t value_len;
	unsigned int line_len; /* of the header line, in earlier feeds */
	unsigned char state;
	unsigned char crlf_left;
	bool line_has_cr;
	bool is_complete; /* args are valid for the caller until the next call */
	bool is_unauthenticated;
	char line[LINE_BYTES];
};

/* The bytes of one feed that are not taken yet. */
struct cursor {
	const char *at;
	const char *end;
};

/* The result of a step: CONTINUE, or a status of the feed. */
enum { CONTINUE = -1 };

struct resp_parser *
resp_parser_new(const struct protocol_limits *limits)
{
	struct resp_parser *p = xcalloc(1, sizeof(*p));

	p->limits = limits;
	return p;
}

/* Drops the request, complete or empty. */
static void
end_request(struct resp_parser *p)
{
	request_args_clear(&p->args, ARGS_KEPT);
	p->held = 0;
	p->is_complete = false;
}

void
resp_parser_free(struct resp_parser *p)
{
	if (p == NULL)
		return;
	end_request(p);
	request_args_release(&p->args);
	xfree(p->error);
	xfree(p);
}

void
resp_parser_reset(struct resp_parser *p)
{
	if (!p->is_complete)
		return;
	end_request(p);
}

/* Frees all memory at once: the client may stay connected for a while, to read its error. */
static int
fail(struct resp_parser *p, const char *text)
{
	end_request(p);
	request_args_release(&p->args);
	p->error = xstrdup(text);
	p->state = STATE_ERROR;
	return PROTOCOL_ERROR;
}

static int
complete(struct resp_parser *p)
{
	p->state = STATE_START;
	p->is_complete = true;
	return PROTOCOL_REQUEST;
}

/* Counts len bytes. False if the request would hold more than its limit. */
static bool
hold(struct resp_parser *p, size_t len)
{
	if (len > p->limits->request_bytes || p->held > p->limits->request_bytes - len)
		return false;
	p->held += len;
	return true;
}

static int
fail_too_large(struct resp_parser *p)
{
	return fail(p, "Protocol error: request larger than client-query-buffer-limit");
}

/*
 * Reads a header line that is a plain number and is whole in the feed, which is nearly always the
 * case, in one pass over its bytes. On false the cursor is unchanged, and read_line reads the line
 * or finds the error.
 */
static inline bool
read_plain_number(struct cursor *c, char type, unsigned int *number)
{
	const char *at = c->at;
	unsigned int v, digit;
	int count;

	if (c->end - at < 1 + FAST_DIGITS + 2 && (c->end - at < 4 || c->end[-1] != '\n'))
		return false;
	if (*at++ != type)
		return false;
	v = (unsigned int)(unsigned char)*at - '0';
	if (v > 9 || (v == 0 && at[1] != '\r'))
		return false;
	at++;
	for (count = 1; count < FAST_DIGITS; count++, at++) {
		digit = (unsigned int)(unsigned char)*at - '0';
		if (digit > 9)
			break;
		v = v * 10 + digit;
	}
	if (*at != '\r' || c->end - at < 2)
		return false;
	c->at = at + 2;
	*number = v;
	return true;
}

enum line { LINE_MORE, LINE_WHOLE, LINE_TOO_LONG };

/*
 * Reads the header line at the cursor, which may arrive in pieces. It ends with a CR and one more
 * byte. *line has its first LINE_BYTES bytes, which is enough to check it.
 */
static enum line
read_line(struct resp_parser *p, struct cursor *c, struct slice *line)
{
	while (c->at < c->end) {
		char byte = *c->at++;

		if (p->line_has_cr) {
			*line = (struct slice){
			    p->line, p->line_len < LINE_BYTES ? p->line_len : LINE_BYTES};
			p->line_has_cr = false;
			p->line_len = 0;
			return LINE_WHOLE;
		}
		if (byte == '\r') {
			p->line_has_cr = true;
			continue;
		}
		if (p->line_len < LINE_BYTES)
			p->line[p->line_len] = byte;
		if (++p->line_len > p->limits->line_bytes)
			return LINE_TOO_LONG;
	}
	return LINE_MORE;
}

static int
begin_array(struct resp_parser *p, int64_t count)
{
	if (count > INT_MAX || (count > 0 && (uint64_t)count > p->limits->arg_count))
		return fail(p, "Protocol error: invalid multibulk length");
	if (p->is_unauthenticated && count > UNAUTHENTICATED_ARGS)
		return fail(p, "Protocol error: unauthenticated multibulk length");
	if (count <= 0) {
		p->state = STATE_START;
		return CONTINUE;
	}
	p->args_wanted = (unsigned int)count;
	p->state = STATE_LEN;
	return CONTINUE;
}

static int
read_count(struct resp_parser *p, struct cursor *c)
{
	struct slice line;
	unsigned int plain;
	int64_t count;

	if (p->line_len == 0 && read_plain_number(c, '*', &plain))
		return begin_array(p, plain);
	switch (read_line(p, c, &line)) {
	case LINE_MORE:
		return PROTOCOL_MORE;
	case LINE_TOO_LONG:
		return fail(p, "Protocol error: too big mbulk count string");
	case LINE_WHOLE:
		break;
	}
	if (!slice_to_i64((struct slice){line.ptr + 1, line.len - 1}, &count))
		return fail(p, "Protocol error: invalid multibulk length");
	return begin_array(p, count);
}

static int
begin_value(struct resp_parser *p, int64_t len)
{
	if (len < 0 || (uint64_t)len > p->limits->arg_bytes)
		return fail(p, "Protocol error: invalid bulk length");
	if (p->is_unauthenticated && len > UNAUTHENTICATED_BYTES)
		return fail(p, "Protocol error: unauthenticated bulk length");
	if (!hold(p, sizeof(struct slice)))
		return fail_too_large(p);
	p->value_len = (size_t)len;
	p->state = STATE_VALUE;
	return CONTINUE;
}

static int
fail_no_dollar(struct resp_parser *p, char got)
{
	char text[ERROR_BYTES];

	snprintf(text, sizeof(text), "Protocol error: expected '$', got '%c'", got);
	return fail(p, text);
}

/*
 * Takes a valid argument that is whole in the feed, which is nearly always the case, in one step.
 * False changes nothing; the states then read it.
 */
static inline bool
take_whole_arg(struct resp_parser *p, struct cursor *c)
{
	struct cursor ahead = *c;
	unsigned int len;

	if (!read_plain_number(&ahead, '$', &len) || (size_t)(ahead.end - ahead.at) < len + 2 ||
	    len > p->limits->arg_bytes || (p->is_unauthenticated && len > UNAUTHENTICATED_BYTES) ||
	    !hold(p, sizeof(struct slice) + len))
		return false;
	request_args_push(&p->args, (struct slice){ahead.at, len}, ARGS_FIRST);
	c->at = ahead.at + len + 2;
	return true;
}

static int
read_len(struct resp_parser *p, struct cursor *c)
{
	struct slice line;
	int64_t len;

	if (p->line_len == 0 && !p->line_has_cr) {
		while (take_whole_arg(p, c))
			if (p->args.count == p->args_wanted)
				return complete(p);
	}
	switch (read_line(p, c, &line)) {
	case LINE_MORE:
		return PROTOCOL_MORE;
	case LINE_TOO_LONG:
		return fail(p, "Protocol error: too big bulk count string");
	case LINE_WHOLE:
		break;
	}
	if (line.len == 0 || line.ptr[0] != '$')
		return fail_no_dollar(p, line.len == 0 ? '\r' : line.ptr[0]);
	if (!slice_to_i64((struct slice){line.ptr + 1, line.len - 1}, &len))
		return fail(p, "Protocol error: invalid bulk length");
	return begin_value(p, len);
}

static int
read_value(struct resp_parser *p, struct cursor *c)
{
	size_t there = (size_t)(c->end - c->at);
	size_t missing = p->value_len - p->args.arena.open_len;
	size_t len = there < missing ? there : missing;

	if (!hold(p, len))
		return fail_too_large(p);
	if (len == p->value_len) {
		request_args_push(&p->args, (struct slice){c->at, len}, ARGS_FIRST);
	} else {
		request_args_keep(&p->args);
		arena_append(&p->args.arena, c->at, len, p->value_len);
		if (len < missing) {
			c->at += len;
			return PROTOCOL_MORE;
		}
		request_args_push(&p->args, arena_close(&p->args.arena), ARGS_FIRST);
		p->args.kept = p->args.count;
	}
	c->at += len;
	p->crlf_left = 2;
	p->state = STATE_CRLF;
	return CONTINUE;
}

static int
read_crlf(struct resp_parser *p, struct cursor *c)
{
	size_t there = (size_t)(c->end - c->at);

	if (there < p->crlf_left) {
		p->crlf_left -= (unsigned char)there;
		c->at += there;
		return PROTOCOL_MORE;
	}
	c->at += p->crlf_left;
	if (p->args.count == p->args_wanted)
		return complete(p);
	p->state = STATE_LEN;
	return CONTINUE;
}

/* Splits a whole line into arguments; together they are never longer than the line. */
static int
split_line(struct resp_parser *p, struct slice line)
{
	struct slice rest = line;
	char *out;
	size_t len;

	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		rest.len--;
	out = arena_room(&p->args.arena, rest.len);
	for (;;) {
		switch (resp_inline_next(&rest, out, &len)) {
		case RESP_INLINE_UNBALANCED:
			return fail(p, "Protocol error: unbalanced quotes in request");
		case RESP_INLINE_END:
			if (p->args.count > 0)
				return complete(p);
			end_request(p);
			p->state = STATE_START;
			return CONTINUE;
		case RESP_INLINE_ARG:
			request_args_push(&p->args, (struct slice){out, len}, ARGS_FIRST);
			out += len;
			break;
		}
	}
}

static int
read_inline(struct resp_parser *p, struct cursor *c)
{
	size_t there = (size_t)(c->end - c->at);
	const char *newline = there > 0 ? memchr(c->at, '\n', there) : NULL;
	size_t len = newline != NULL ? (size_t)(newline - c->at) : there;
	size_t most_len = p->limits->line_bytes;
	struct slice line = {c->at, len};

	if (p->args.arena.open_len > most_len || len > most_len - p->args.arena.open_len)
		return fail(p, "Protocol error: too big inline request");
	if (newline == NULL || p->args.arena.open_len > 0)
		arena_append(&p->args.arena, c->at, len, most_len);
	c->at += len;
	if (newline == NULL)
		return PROTOCOL_MORE;
	c->at++;
	if (p->args.arena.open_len > 0)
		line = arena_close(&p->args.arena);
	return split_line(p, line);
}

static int
step(struct resp_parser *p, struct cursor *c)
{
	switch ((enum state)p->state) {
	case STATE_START:
		if (c->at == c->end)
			return PROTOCOL_MORE;
		p->state = *c->at == '*' ? STATE_COUNT : STATE_INLINE;
		return CONTINUE;
	case STATE_COUNT:
		return read_count(p, c);
	case STATE_LEN:
		return read_len(p, c);
	case STATE_VALUE:
		return read_value(p, c);
	case STATE_CRLF:
		return read_crlf(p, c);
	case STATE_INLINE:
		return read_inline(p, c);
	case STATE_ERROR:
		break;
	}
	return PROTOCOL_ERROR;
}

enum protocol_status
resp_parser_feed(struct resp_parser *p, const char *ptr, size_t len, bool unauthenticated,
    size_t *taken, struct protocol_request *request)
{
	struct cursor c = {ptr, len > 0 ? ptr + len : ptr};
	int status;

	p->is_unauthenticated = unauthenticated;
	if (p->is_complete)
		end_request(p);
	do
		status = step(p, &c);
	while (status == CONTINUE);
	if (status == PROTOCOL_MORE)
		request_args_keep(&p->args);
	else if (status == PROTOCOL_REQUEST)
		*request = (struct protocol_request){.args = p->args.items, .count = p->args.count};
	*taken = (size_t)(c.at - ptr);
	return (enum protocol_status)status;
}

const struct slice *
resp_parser_args(const struct resp_parser *p, size_t *count)
{
	assert(p->is_complete);
	*count = p->args.count;
	return p->args.items;
}

void
resp_parser_copy_args(struct resp_parser *p)
{
	assert(p->is_complete);
	request_args_keep(&p->args);
}

void
resp_parser_give_arena(struct resp_parser *p, struct arena *arena)
{
	assert(p->is_complete);
	request_args_give_arena(&p->args, arena);
}

const char *
resp_parser_error(const struct resp_parser *p)
{
	assert(p->state == STATE_ERROR);
	return p->error;
}

size_t
resp_parser_held_bytes(const struct resp_parser *p)
{
	return p->is_complete ? 0 : request_args_held_bytes(&p->args);
}

size_t
resp_parser_room_bytes(const struct resp_parser *p)
{
	return request_args_room_bytes(&p->args);
}

bool
resp_parser_is_idle(const struct resp_parser *p)
{
	return p->state == STATE_START;
}
