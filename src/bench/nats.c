#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "bench/wire.h"
#include "json/writer.h"

/*
 * The NATS client protocol: lines; the line of a MSG is followed by its payload and CR LF.
 * https://docs.nats.io/reference/reference-protocols/nats-protocol
 */

/* The length is the last word of "MSG subject sid [reply-to] #bytes". */
static bool
payload_len_of(struct slice line, size_t *len)
{
	size_t at = line.len;
	uint64_t n;

	while (at > 0 && line.ptr[at - 1] != ' ')
		at--;
	if (!slice_to_u64((struct slice){line.ptr + at, line.len - at}, &n) || n > UINT32_MAX)
		return false;
	*len = (size_t)n;
	return true;
}

static bool
starts_with(struct slice line, const char *word)
{
	size_t len = strlen(word);

	return line.len >= len && memcmp(line.ptr, word, len) == 0;
}

static enum wire_status
scan(const char *ptr, size_t len, struct wire_event *event)
{
	const char *newline = len == 0 ? NULL : memchr(ptr, '\n', len);
	struct slice line;

	*event = (struct wire_event){.kind = WIRE_IGNORED};
	if (newline == NULL)
		return len > WIRE_MAX_HEAD ? WIRE_GARBLED : WIRE_MORE;
	event->head_len = (size_t)(newline + 1 - ptr);
	line = (struct slice){ptr, event->head_len - 1};
	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	if (starts_with(line, "MSG ")) {
		event->kind = WIRE_MESSAGE;
		event->tail_len = 2;
		return payload_len_of(line, &event->payload_len) ? WIRE_FOUND : WIRE_GARBLED;
	}
	if (slice_is(line, "PONG")) {
		event->kind = WIRE_CONFIRMED;
	} else if (slice_is(line, "PING")) {
		event->kind = WIRE_PING;
	} else if (starts_with(line, "-ERR")) {
		event->kind = WIRE_ERROR;
		event->text = line;
	} else if (!starts_with(line, "INFO ") && !slice_is(line, "+OK")) {
		return WIRE_GARBLED;
	}
	return WIRE_FOUND;
}

static size_t
put_ping(struct buffer *out)
{
	buffer_append_str(out, "PING\r\n");
	return 1;
}

static void
put_member(struct buffer *out, const char *name, const char *text)
{
	if (text == NULL)
		return;
	buffer_append_str(out, ",");
	json_put_member(out, name, slice_of(text));
}

/* A password without a user is a token in NATS. */
static size_t
put_login(struct buffer *out, const struct wire_login *login)
{
	buffer_append_str(out, "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":true,"
			       "\"lang\":\"c\",\"version\":\"" PACKAGE_VERSION "\"");
	put_member(out, "user", login->user);
	put_member(out, login->user != NULL ? "pass" : "auth_token", login->password);
	buffer_append_str(out, "}\r\n");
	return put_ping(out);
}

/* A SUB has no reply; the PONG to a PING sent after it confirms it. */
static size_t
put_subscribe(
    struct buffer *out, const struct slice *names, size_t count, bool patterns, uint32_t *id)
{
	(void)patterns;
	for (size_t i = 0; i < count; i++)
		buffer_appendf(
		    out, "SUB %.*s %" PRIu32 "\r\n", (int)names[i].len, names[i].ptr, (*id)++);
	return put_ping(out);
}

static void
put_publish(struct buffer *out, struct slice channel, size_t payload_len)
{
	buffer_appendf(out, "PUB %.*s %zu\r\n", (int)channel.len, channel.ptr, payload_len);
}

static void
put_pattern(struct buffer *out, const char *prefix)
{
	buffer_appendf(out, "%s.*", prefix);
}

const struct wire wire_nats = {
    .name = "nats",
    .separator = '.',
    .pong = {"PONG\r\n", 6},
    .tail = {"\r\n", 2},
    .put_login = put_login,
    .put_subscribe = put_subscribe,
    .put_ping = put_ping,
    .put_publish = put_publish,
    .put_pattern = put_pattern,
    .scan = scan,
};
