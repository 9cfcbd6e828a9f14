#include "config.h"

#include "resp/protocol.h"

#include "resp/first_bytes.h"
#include "resp/parser.h"

static void *
open_state(const struct protocol_limits *limits)
{
	return resp_parser_new(limits);
}

static void
close_state(void *state)
{
	resp_parser_free(state);
}

static enum protocol_status
feed(void *state, const char *ptr, size_t len, bool unauthenticated, size_t *taken,
    struct protocol_request *request)
{
	return resp_parser_feed(state, ptr, len, unauthenticated, taken, request);
}

static struct protocol_request
keep(void *state)
{
	struct protocol_request request = {.ends_batch = false};

	resp_parser_copy_args(state);
	request.args = resp_parser_args(state, &request.count);
	return request;
}

static void
give_arena(void *state, struct arena *arena)
{
	resp_parser_give_arena(state, arena);
}

static bool
settle(void *state)
{
	resp_parser_reset(state);
	return resp_parser_is_idle(state);
}

static const char *
error_of(const void *state)
{
	return resp_parser_error(state);
}

static size_t
held_bytes(const void *state)
{
	return resp_parser_held_bytes(state);
}

static size_t
room_bytes(const void *state)
{
	return resp_parser_room_bytes(state);
}

#define NOTICE(text)                                                                               \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

/* Redis sends nothing when a time limit ends a connection. */
const struct protocol resp_protocol = {
    .name = "resp",
    .tls_name = "tls",
    .open = open_state,
    .close = close_state,
    .feed = feed,
    .keep = keep,
    .give_arena = give_arena,
    .settle = settle,
    .error = error_of,
    .held_bytes = held_bytes,
    .room_bytes = room_bytes,
    .foreign = resp_foreign_protocol,
    .notices =
	{
	    [PROTOCOL_ADDRESS_COUNT] =
		NOTICE("-ERR max number of connections from this address reached\r\n"),
	    [PROTOCOL_ADDRESS_RATE] =
		NOTICE("-ERR too many new connections from this address, try again later\r\n"),
	    [PROTOCOL_UNAUTHENTICATED_COUNT] =
		NOTICE("-ERR max number of unauthenticated clients reached\r\n"),
	},
};
