#include "config.h"

#include "http/parser.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/request_args.h"
#include "http/chunks.h"
#include "http/head.h"
#include "http/request.h"

enum {
	ARGS_FIRST = 32,
	ARGS_KEPT = 128, /* a larger array is freed when its request is done */
};

enum state {
	STATE_START, /* before or in the request line */
	STATE_FIELDS,
	STATE_BODY, /* of known length */
	STATE_CHUNKS,
	STATE_TRAILERS,
	STATE_ERROR,
};

/* What feed() has returned last, if the caller may still use it. */
enum given {
	GIVEN_NOTHING,
	GIVEN_REQUEST,
	GIVEN_EXPECTATION, /* that the client waits; the request is incomplete */
};

struct http_parser {
	const struct protocol_limits *limits;
	const char *error; /* a literal; set in STATE_ERROR */

	struct request_args args;

	size_t lines_len; /* bytes of the head or of the trailers so far */
	size_t held;      /* bytes of the request so far, with its slices */
	struct http_framing framing;
	struct http_chunks chunks;
	unsigned char state;
	unsigned char given;
	bool line_is_kept; /* the line read last is in the arena */
	bool body_is_fed;  /* the body needs the bytes of the feed */
};

/* The result of a step: CONTINUE, or a status of the feed. */
enum { CONTINUE = -1 };

struct http_parser *
http_parser_new(const struct protocol_limits *limits)
{
	struct http_parser *p = xcalloc(1, sizeof(*p));

	p->limits = limits;
	return p;
}

/* Drops the request, complete or empty. */
static void
end_request(struct http_parser *p)
{
	request_args_clear(&p->args, ARGS_KEPT);
	p->lines_len = 0;
	p->held = 0;
	p->framing = (struct http_framing){.has_host = false};
	p->chunks = (struct http_chunks){.total = 0};
	p->state = STATE_START;
	p->given = GIVEN_NOTHING;
	p->body_is_fed = false;
}

void
http_parser_free(struct http_parser *p)
{
	if (p == NULL)
		return;
	end_request(p);
	request_args_release(&p->args);
	xfree(p);
}

/* Frees all memory at once: the client may stay connected for a while, to read its error. */
static int
fail(struct http_parser *p, const char *error)
{
	end_request(p);
	request_args_release(&p->args);
	p->error = error;
	p->state = STATE_ERROR;
	return PROTOCOL_ERROR;
}

static int
complete(struct http_parser *p)
{
	p->given = GIVEN_REQUEST;
	return PROTOCOL_REQUEST;
}

/* Copies what needs the bytes of the feed. */
static void
keep_args(struct http_parser *p)
{
	request_args_keep(&p->args);
	if (p->body_is_fed)
		p->args.items[HTTP_BODY] = arena_copy(&p->args.arena, p->args.items[HTTP_BODY]);
	p->body_is_fed = false;
}

/* Counts len bytes. False if the request would hold more than its limit. */
static bool
hold(struct http_parser *p, uint64_t len)
{
	if (len > p->limits->request_bytes || p->held > p->limits->request_bytes - len)
		return false;
	p->held += (size_t)len;
	return true;
}

enum line { LINE_MORE, LINE_WHOLE, LINE_TOO_LONG };

/* Reads the line at in, with its LF. It may arrive in pieces. */
static enum line
read_line(struct http_parser *p, struct slice *in, struct slice *line)
{
	const char *newline = in->len > 0 ? memchr(in->ptr, '\n', in->len) : NULL;
	size_t len = newline != NULL ? (size_t)(newline - in->ptr) + 1 : in->len;
	size_t most_len = p->limits->line_bytes;

	if (p->lines_len > most_len || len > most_len - p->lines_len)
		return LINE_TOO_LONG;
	p->lines_len += len;
	*line = (struct slice){in->ptr, len};
	p->line_is_kept = newline == NULL || p->args.arena.open_len > 0;
	if (p->line_is_kept) {
		keep_args(p);
		arena_append(&p->args.arena, in->ptr, len, most_len);
	}
	in->ptr += len;
	in->len -= len;
	if (newline == NULL)
		return LINE_MORE;
	if (p->line_is_kept)
		*line = arena_close(&p->args.arena);
	return LINE_WHOLE;
}

/* Adds the arguments from the line that was read last. */
static void
push_args_of_line(struct http_parser *p, const struct slice *args, size_t count)
{
	for (size_t i = 0; i < count; i++)
		request_args_push(&p->args, args[i], ARGS_FIRST);
	if (p->line_is_kept)
		p->args.kept = p->args.count;
}

static int
read_request_line(struct http_parser *p, struct slice *in)
{
	struct http_request_line got;
	struct slice line;
	const char *error;

	switch (read_line(p, in, &line)) {
	case LINE_MORE:
		return PROTOCOL_MORE;
	case LINE_TOO_LONG:
		return fail(p, "414 request line too long");
	case LINE_WHOLE:
		break;
	}
	if (!hold(p, line.len + HTTP_FIELDS * sizeof(struct slice)))
		return fail(p, "431 request head too large");
	error = http_cut_line_end(&line);
	if (error != NULL)
		return fail(p, error);
	if (line.len == 0) {
		end_request(p); /* empty lines before a request: RFC 9112 2.2 */
		return CONTINUE;
	}
	error = http_read_request_line(line, &got);
	if (error != NULL)
		return fail(p, error);
	p->framing.is_1_0 = got.is_1_0;
	push_args_of_line(p,
	    (struct slice[]){[HTTP_METHOD] = got.method,
		[HTTP_TARGET] = got.target,
		[HTTP_VERSION] = got.is_1_0 ? SLICE("1.0") : SLICE("1.1"),
		[HTTP_BODY] = SLICE("")},
	    HTTP_FIELDS);
	p->state = STATE_FIELDS;
	return CONTINUE;
}

/* The head is complete. */
static int
begin_body(struct http_parser *p, const struct slice *in)
{
	static const char too_large[] = "413 request body too large";
	const char *error = http_frame_end(&p->framing);

	if (error != NULL)
		return fail(p, error);
	if (!p->framing.is_chunked) {
		if (p->framing.length == 0)
			return complete(p);
		if (p->framing.length > p->limits->arg_bytes || !hold(p, p->framing.length))
			return fail(p, too_large);
	}
	p->state = p->framing.is_chunked ? STATE_CHUNKS : STATE_BODY;
	if (!p->framing.expects_continue || in->len > 0)
		return CONTINUE;
	keep_args(p);
	p->given = GIVEN_EXPECTATION;
	return PROTOCOL_REQUEST;
}

static int
add_field(struct http_parser *p, struct slice line)
{
	struct slice name, value;
	const char *error = http_read_field(line, &name, &value);

	if (error == NULL)
		error = http_frame_field(&p->framing, name, value);
	if (error != NULL)
		return fail(p, error);
	if (p->limits->arg_count < 2 || p->args.count > p->limits->arg_count - 2)
		return fail(p, "431 too many header fields");
	if (!hold(p, line.len + 2 * sizeof(struct slice)))
		return fail(p, "431 request head too large");
	push_args_of_line(p, (struct slice[]){name, value}, 2);
	return CONTINUE;
}

static int
read_field(struct http_parser *p, struct slice *in)
{
	struct slice line;
	const char *error;

	switch (read_line(p, in, &line)) {
	case LINE_MORE:
		return PROTOCOL_MORE;
	case LINE_TOO_LONG:
		return fail(p, "431 request head too large");
	case LINE_WHOLE:
		break;
	}
	error = http_cut_line_end(&line);
	if (error != NULL)
		return fail(p, error);
	return line.len == 0 ? begin_body(p, in) : add_field(p, line);
}

static int
read_body(struct http_parser *p, struct slice *in)
{
	size_t len = (size_t)p->framing.length;
	size_t missing = len - p->args.arena.open_len;
	size_t there = in->len < missing ? in->len : missing;
	struct slice part = {in->ptr, there};

	in->ptr += there;
	in->len -= there;
	if (there == len) {
		p->args.items[HTTP_BODY] = part;
		p->body_is_fed = true;
		return complete(p);
	}
	keep_args(p);
	arena_append(&p->args.arena, part.ptr, part.len, len);
	if (there < missing)
		return PROTOCOL_MORE;
	p->args.items[HTTP_BODY] = arena_close(&p->args.arena);
	return complete(p);
}

/* The body is one open piece of the arena until the last chunk. */
static int
read_chunks(struct http_parser *p, struct slice *in)
{
	size_t room = p->limits->request_bytes > p->held ? p->limits->request_bytes - p->held : 0;
	struct http_chunk_limits limits = {
	    .body_bytes = p->limits->arg_bytes < room ? p->limits->arg_bytes : room,
	    .excess_bytes = p->limits->line_bytes,
	};
	struct slice data;

	switch (http_chunks_next(&p->chunks, &limits, in, &data)) {
	case HTTP_CHUNKS_MORE:
		return PROTOCOL_MORE;
	case HTTP_CHUNKS_INVALID:
		return fail(p, "400 invalid chunk");
	case HTTP_CHUNKS_LARGE:
		return fail(p, "413 request body too large");
	case HTTP_CHUNKS_EXCESS:
		return fail(p, "400 chunk extensions too long");
	case HTTP_CHUNKS_DATA:
		keep_args(p);
		/* The limit may have been lowered since this chunk began. */
		arena_append(&p->args.arena, data.ptr, data.len,
		    limits.body_bytes > p->chunks.total ? limits.body_bytes : p->chunks.total);
		return CONTINUE;
	case HTTP_CHUNKS_END:
		break;
	}
	p->args.items[HTTP_BODY] = arena_close(&p->args.arena);
	p->lines_len = 0;
	p->state = STATE_TRAILERS;
	return CONTINUE;
}

/* Trailers are checked and dropped: nobody here needs them, and as header fields they would be
 * dangerous (RFC 9110 6.5.1). */
static int
read_trailer(struct http_parser *p, struct slice *in)
{
	struct slice line, name, value;
	const char *error;

	switch (read_line(p, in, &line)) {
	case LINE_MORE:
		return PROTOCOL_MORE;
	case LINE_TOO_LONG:
		return fail(p, "431 trailers too large");
	case LINE_WHOLE:
		break;
	}
	error = http_cut_line_end(&line);
	if (error == NULL && line.len == 0)
		return complete(p);
	if (error == NULL)
		error = http_read_field(line, &name, &value);
	return error != NULL ? fail(p, error) : CONTINUE;
}

static int
step(struct http_parser *p, struct slice *in)
{
	switch ((enum state)p->state) {
	case STATE_START:
		return read_request_line(p, in);
	case STATE_FIELDS:
		return read_field(p, in);
	case STATE_BODY:
		return read_body(p, in);
	case STATE_CHUNKS:
		return read_chunks(p, in);
	case STATE_TRAILERS:
		return read_trailer(p, in);
	case STATE_ERROR:
		break;
	}
	return PROTOCOL_ERROR;
}

static struct protocol_request
request_of(const struct http_parser *p)
{
	static const struct slice waits[HTTP_FIELDS] = {{"", 0}, {"", 0}, {"", 0}, {"", 0}};

	if (p->given == GIVEN_EXPECTATION)
		return (struct protocol_request){
		    .args = waits, .count = HTTP_FIELDS, .ends_batch = true};
	assert(p->given == GIVEN_REQUEST);
	return (struct protocol_request){
	    .args = p->args.items, .count = p->args.count, .ends_batch = true};
}

enum protocol_status
http_parser_feed(struct http_parser *p, const char *ptr, size_t len, size_t *taken,
    struct protocol_request *request)
{
	struct slice in = {ptr, len};
	int status;

	if (p->given == GIVEN_REQUEST)
		end_request(p);
	p->given = GIVEN_NOTHING;
	do
		status = step(p, &in);
	while (status == CONTINUE);
	if (status == PROTOCOL_MORE)
		keep_args(p);
	else if (status == PROTOCOL_REQUEST)
		*request = request_of(p);
	*taken = len - in.len;
	return (enum protocol_status)status;
}

struct protocol_request
http_parser_keep(struct http_parser *p)
{
	if (p->given == GIVEN_REQUEST)
		keep_args(p);
	return request_of(p);
}

void
http_parser_give_arena(struct http_parser *p, struct arena *arena)
{
	if (p->given == GIVEN_REQUEST)
		request_args_give_arena(&p->args, arena);
}

bool
http_parser_settle(struct http_parser *p)
{
	if (p->given == GIVEN_REQUEST)
		end_request(p);
	return p->state == STATE_START && p->args.arena.open_len == 0;
}

const char *
http_parser_error(const struct http_parser *p)
{
	assert(p->state == STATE_ERROR);
	return p->error;
}

size_t
http_parser_held_bytes(const struct http_parser *p)
{
	return p->given == GIVEN_REQUEST ? 0 : request_args_held_bytes(&p->args);
}

size_t
http_parser_room_bytes(const struct http_parser *p)
{
	return request_args_room_bytes(&p->args);
}
