#include "config.h"

#include "http/protocol.h"

#include "base/tls_hello.h"
#include "http/parser.h"

static void *
open_state(const struct protocol_limits *limits)
{
	return http_parser_new(limits);
}

static void
close_state(void *state)
{
	http_parser_free(state);
}

static enum protocol_status
feed(void *state, const char *ptr, size_t len, bool unauthenticated, size_t *taken,
    struct protocol_request *request)
{
	(void)unauthenticated;
	return http_parser_feed(state, ptr, len, taken, request);
}

static struct protocol_request
keep(void *state)
{
	return http_parser_keep(state);
}

static void
give_arena(void *state, struct arena *arena)
{
	http_parser_give_arena(state, arena);
}

static bool
settle(void *state)
{
	return http_parser_settle(state);
}

static const char *
error_of(const void *state)
{
	return http_parser_error(state);
}

static size_t
held_bytes(const void *state)
{
	return http_parser_held_bytes(state);
}

static size_t
room_bytes(const void *state)
{
	return http_parser_room_bytes(state);
}

static const char *
foreign(const char *ptr, size_t len)
{
	if (tls_hello_begins(ptr, len))
		return "TLS handshake on a plain port; use https-port";
	/* A RESP array: "*1\r\n". No method begins so. */
	if (len >= 2 && ptr[0] == '*' && ptr[1] >= '0' && ptr[1] <= '9')
		return "RESP on an HTTP port; use port or tls-port";
	return NULL;
}

/* Without a body, so that no literal has to count it: the reason phrase says what happened. */
#define NOTICE(status_and_fields)                                                                  \
	{                                                                                          \
		"HTTP/1.1 " status_and_fields                                                      \
		"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",                              \
		    sizeof("HTTP/1.1 " status_and_fields                                           \
			   "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") -                 \
			1                                                                          \
	}

/*
 * When a connection is idle between requests, the client would take a response for that of its next
 * request: so there is none when it was idle for too long, or did not authenticate in time. A
 * connection too many is closed without a response, too: an EventSource connects again after a lost
 * connection, but never after status 503.
 */
const struct protocol http_protocol = {
    .name = "http",
    .tls_name = "https",
    .open = open_state,
    .close = close_state,
    .feed = feed,
    .keep = keep,
    .give_arena = give_arena,
    .settle = settle,
    .error = error_of,
    .held_bytes = held_bytes,
    .room_bytes = room_bytes,
    .foreign = foreign,
    .notices =
	{
	    [PROTOCOL_REQUEST_TIMEOUT] = NOTICE("408 Request Timeout"),
	},
};
