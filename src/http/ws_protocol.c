#include "config.h"

#include "http/ws_protocol.h"

#include "http/ws_reader.h"

static void *
open_state(const struct protocol_limits *limits)
{
	return ws_reader_new(limits, false);
}

static void *
open_deflate_state(const struct protocol_limits *limits)
{
	return ws_reader_new(limits, true);
}

static void
close_state(void *state)
{
	ws_reader_free(state);
}

static enum protocol_status
feed(void *state, const char *ptr, size_t len, bool unauthenticated, size_t *taken,
    struct protocol_request *request)
{
	return ws_reader_feed(state, ptr, len, unauthenticated, taken, request);
}

static struct protocol_request
keep(void *state)
{
	return ws_reader_request(state);
}

static void
give_arena(void *state, struct arena *arena)
{
	ws_reader_give_arena(state, arena);
}

static bool
settle(void *state)
{
	return ws_reader_settle(state);
}

static const char *
error_of(const void *state)
{
	return ws_reader_error(state);
}

static size_t
held_bytes(const void *state)
{
	return ws_reader_held_bytes(state);
}

static size_t
room_bytes(const void *state)
{
	return ws_reader_room_bytes(state);
}

/* A close frame: the byte of its length, the two bytes of its code, and a reason. */
#define NOTICE(len_byte, code, reason)                                                             \
	{                                                                                          \
		"\x88" len_byte code reason, sizeof("\x88" len_byte code reason) - 1               \
	}

/* Codes of Centrifugo's protocol (3015: reconnect), and 1001. Connections are refused before they
 * speak WebSocket. */
#define NOTICES                                                                                    \
	{                                                                                          \
		[PROTOCOL_REQUEST_TIMEOUT] =                                                       \
		    NOTICE("\x1b", "\x0b\xc7", "not authenticated in time"),                       \
		[PROTOCOL_LOGIN_TIMEOUT] =                                                         \
		    NOTICE("\x1b", "\x0b\xc7", "not authenticated in time"),                       \
		[PROTOCOL_IDLE_TIMEOUT] = NOTICE("\x0e", "\x03\xe9", "idle timeout"),              \
	}

const struct protocol ws_protocol = {
    .name = "ws",
    .tls_name = "wss",
    .open = open_state,
    .close = close_state,
    .feed = feed,
    .keep = keep,
    .give_arena = give_arena,
    .settle = settle,
    .error = error_of,
    .held_bytes = held_bytes,
    .room_bytes = room_bytes,
    .notices = NOTICES,
};

const struct protocol ws_deflate_protocol = {
    .name = "wsdeflate",
    .tls_name = "wssdeflate",
    .open = open_deflate_state,
    .close = close_state,
    .feed = feed,
    .keep = keep,
    .give_arena = give_arena,
    .settle = settle,
    .error = error_of,
    .held_bytes = held_bytes,
    .room_bytes = room_bytes,
    .notices = NOTICES,
};
