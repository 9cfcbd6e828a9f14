#include "config.h"

#include "net/testing_line.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"

struct line_state {
	const struct protocol_limits *limits;
	struct arena arena; /* the lines, whole or not */
	struct slice line;
	bool is_complete;
	bool is_kept;
	bool is_broken;
};

static void *
open_state(const struct protocol_limits *limits)
{
	struct line_state *s = xcalloc(1, sizeof(*s));

	s->limits = limits;
	return s;
}

static void
close_state(void *state)
{
	struct line_state *s = state;

	arena_release(&s->arena);
	xfree(s);
}

static struct protocol_request
request_of(const struct line_state *s)
{
	const char *end = s->line.ptr + s->line.len;

	return (struct protocol_request){.args = &s->line,
	    .count = 1,
	    .ends_batch = s->line.len >= 4 &&
			  (memcmp(end - 4, "RESP", 4) == 0 || memcmp(end - 4, "LAST", 4) == 0)};
}

static enum protocol_status
feed(void *state, const char *ptr, size_t len, bool unauthenticated, size_t *taken,
    struct protocol_request *request)
{
	struct line_state *s = state;
	const char *newline = memchr(ptr, '\n', len);
	size_t line_len = newline != NULL ? (size_t)(newline - ptr) : len;

	(void)unauthenticated;
	if (s->is_complete)
		arena_release(&s->arena);
	s->is_complete = false;
	*taken = newline != NULL ? line_len + 1 : len;
	if (s->is_broken || line_len > s->limits->line_bytes ||
	    s->arena.open_len > s->limits->line_bytes - line_len) {
		s->is_broken = true;
		return PROTOCOL_ERROR;
	}
	arena_append(&s->arena, ptr, line_len, s->limits->line_bytes);
	if (newline == NULL)
		return PROTOCOL_MORE;
	s->line = arena_close(&s->arena);
	s->is_complete = true;
	s->is_kept |= slice_is(s->line, "KEEP");
	*request = request_of(s);
	return PROTOCOL_REQUEST;
}

static struct protocol_request
keep(void *state)
{
	return request_of(state);
}

static void
give_arena(void *state, struct arena *arena)
{
	struct line_state *s = state;

	arena_join(arena, &s->arena);
}

static bool
settle(void *state)
{
	struct line_state *s = state;

	if (s->is_complete)
		arena_release(&s->arena);
	s->is_complete = false;
	return s->arena.open_len == 0 && !s->is_kept && !s->is_broken;
}

static const char *
error_of(const void *state)
{
	(void)state;
	return "line too long";
}

static size_t
held_bytes(const void *state)
{
	return ((const struct line_state *)state)->arena.open_len;
}

static size_t
room_bytes(const void *state)
{
	return ((const struct line_state *)state)->arena.room;
}

#define NOTICE(text)                                                                               \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

const struct protocol testing_line_protocol = {
    .name = "line",
    .tls_name = "lines",
    .open = open_state,
    .close = close_state,
    .feed = feed,
    .keep = keep,
    .give_arena = give_arena,
    .settle = settle,
    .error = error_of,
    .held_bytes = held_bytes,
    .room_bytes = room_bytes,
    .notices =
	{
	    [PROTOCOL_ADDRESS_COUNT] = NOTICE("too many from there\n"),
	    [PROTOCOL_ADDRESS_RATE] = NOTICE("too fast from there\n"),
	    [PROTOCOL_UNAUTHENTICATED_COUNT] = NOTICE("too many strangers\n"),
	    [PROTOCOL_REQUEST_TIMEOUT] = NOTICE("no line in time\n"),
	    [PROTOCOL_LOGIN_TIMEOUT] = NOTICE("no login in time\n"),
	    [PROTOCOL_IDLE_TIMEOUT] = NOTICE("idle\n"),
	},
};
