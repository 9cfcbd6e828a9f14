#include "config.h"

#include <string.h>

#include "bench/wire.h"

#define MAX_ITEMS 10000 /* in an array that is skipped */

/* A position in the input. The functions below return false if the input ends too early. */
struct cursor {
	const char *at;
	const char *end;
	bool garbled;
};

/* A line without its CR LF; it must start with `type` unless that is 0. */
static bool
take_line(struct cursor *c, char type, struct slice *line)
{
	const char *newline = memchr(c->at, '\n', (size_t)(c->end - c->at));

	if (c->at < c->end && type != 0 && *c->at != type)
		c->garbled = true;
	if (newline == NULL || c->garbled)
		return false;
	if (newline - c->at < 2 || newline[-1] != '\r') {
		c->garbled = true;
		return false;
	}
	*line = (struct slice){c->at, (size_t)(newline - 1 - c->at)};
	c->at = newline + 1;
	return true;
}

/* The number after the type; -1 (null) is returned as `null`. */
static bool
line_number(struct cursor *c, struct slice line, uint64_t null, uint64_t *n)
{
	struct slice digits = {line.ptr + 1, line.len - 1};

	if (slice_is(digits, "-1")) {
		*n = null;
		return true;
	}
	if (!slice_to_u64(digits, n) || *n > UINT32_MAX)
		c->garbled = true;
	return !c->garbled;
}

static bool
take_bytes(struct cursor *c, uint64_t len)
{
	if ((uint64_t)(c->end - c->at) < len)
		return false;
	c->at += len;
	return true;
}

static bool
take_bulk_head(struct cursor *c, uint64_t *len)
{
	struct slice line;

	return take_line(c, '$', &line) && line_number(c, line, 0, len);
}

static bool
take_bulk(struct cursor *c, struct slice *bulk)
{
	uint64_t len;
	const char *at;

	if (!take_bulk_head(c, &len))
		return false;
	at = c->at;
	if (!take_bytes(c, len + 2))
		return false;
	*bulk = (struct slice){at, (size_t)len};
	return true;
}

/* Skips any value, with the values nested in it. */
static bool
take_value(struct cursor *c)
{
	struct slice line;
	uint64_t wanted = 1;
	uint64_t n;

	for (uint64_t taken = 0; wanted > 0; wanted--) {
		if (++taken > MAX_ITEMS)
			c->garbled = true;
		if (!take_line(c, 0, &line))
			return false;
		switch (line.ptr[0]) {
		case '%':
			if (!line_number(c, line, 0, &n))
				return false;
			wanted += 2 * n;
			break;
		case '*':
		case '~':
		case '>':
			if (!line_number(c, line, 0, &n))
				return false;
			wanted += n;
			break;
		case '$':
		case '=':
			if (!line_number(c, line, UINT64_MAX, &n))
				return false;
			if (n != UINT64_MAX && !take_bytes(c, n + 2))
				return false;
			break;
		default:
			break;
		}
	}
	return true;
}

/* After the kind of a message: the pattern, if any, the channel and the payload. */
static bool
take_message(struct cursor *c, unsigned names, struct wire_event *event)
{
	struct slice name;
	uint64_t len;

	for (unsigned i = 0; i < names; i++)
		if (!take_bulk(c, &name))
			return false;
	if (!take_bulk_head(c, &len))
		return false;
	event->kind = WIRE_MESSAGE;
	event->payload_len = (size_t)len;
	event->tail_len = 2;
	return true;
}

static bool
take_push(struct cursor *c, struct wire_event *event)
{
	struct cursor inside = *c;
	struct slice line;
	struct slice kind;

	if (!take_line(&inside, 0, &line))
		return false;
	if (line.len == 2 && line.ptr[1] >= '2' && line.ptr[1] <= '4' && inside.at < inside.end &&
	    *inside.at == '$') {
		if (!take_bulk(&inside, &kind)) {
			c->garbled = inside.garbled;
			return false;
		}
		if (slice_is(kind, "message") || slice_is(kind, "pmessage")) {
			bool taken = take_message(&inside, kind.ptr[0] == 'p' ? 2 : 1, event);

			*c = inside;
			return taken;
		}
		if (slice_is(kind, "lagged"))
			event->kind = WIRE_IGNORED;
	}
	return take_value(c);
}

static enum wire_status
scan(const char *ptr, size_t len, struct wire_event *event)
{
	struct cursor c = {ptr, ptr + len, false};
	bool found;

	*event = (struct wire_event){.kind = WIRE_CONFIRMED};
	if (len == 0)
		return WIRE_MORE;
	if (ptr[0] == '-') {
		event->kind = WIRE_ERROR;
		found = take_line(&c, '-', &event->text);
	} else if (ptr[0] == '*' || ptr[0] == '>') {
		found = take_push(&c, event);
	} else if (strchr("+:$%_#,(~=", ptr[0]) != NULL) {
		found = take_value(&c);
	} else {
		return WIRE_GARBLED;
	}
	if (c.garbled)
		return WIRE_GARBLED;
	if (!found)
		return len > WIRE_MAX_HEAD ? WIRE_GARBLED : WIRE_MORE;
	event->head_len = (size_t)(c.at - ptr);
	return WIRE_FOUND;
}

static void
put_command(struct buffer *out, const struct slice *words, size_t count)
{
	buffer_appendf(out, "*%zu\r\n", count);
	for (size_t i = 0; i < count; i++) {
		buffer_appendf(out, "$%zu\r\n", words[i].len);
		buffer_append_slice(out, words[i]);
		buffer_append_str(out, "\r\n");
	}
}

static size_t
put_ping(struct buffer *out)
{
	put_command(out, &SLICE("PING"), 1);
	return 1;
}

static size_t
put_auth(struct buffer *out, const struct wire_login *login)
{
	struct slice words[3] = {SLICE("AUTH")};
	size_t count = 1;

	if (login->password == NULL)
		return 0;
	if (login->user != NULL)
		words[count++] = slice_of(login->user);
	words[count++] = slice_of(login->password);
	put_command(out, words, count);
	return 1;
}

/* The PONG shows that the connection was not refused because of maxclients. */
static size_t
put_login2(struct buffer *out, const struct wire_login *login)
{
	size_t due = put_auth(out, login);

	return due + put_ping(out);
}

static size_t
put_login3(struct buffer *out, const struct wire_login *login)
{
	size_t due = put_auth(out, login);

	put_command(out, (const struct slice[]){SLICE("HELLO"), SLICE("3")}, 2);
	return due + 1;
}

static size_t
put_subscribe(
    struct buffer *out, const struct slice *names, size_t count, bool patterns, uint32_t *id)
{
	buffer_appendf(out, "*%zu\r\n%s", count + 1,
	    patterns ? "$10\r\nPSUBSCRIBE\r\n" : "$9\r\nSUBSCRIBE\r\n");
	for (size_t i = 0; i < count; i++) {
		buffer_appendf(out, "$%zu\r\n", names[i].len);
		buffer_append_slice(out, names[i]);
		buffer_append_str(out, "\r\n");
	}
	*id += (uint32_t)count;
	return count;
}

static void
put_publish(struct buffer *out, struct slice channel, size_t payload_len)
{
	buffer_appendf(out, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%.*s\r\n$%zu\r\n", channel.len,
	    (int)channel.len, channel.ptr, payload_len);
}

static void
put_pattern(struct buffer *out, const char *prefix)
{
	buffer_appendf(out, "%s.*", prefix);
}

#define RESP_WIRE                                                                                  \
	.separator = '.', .replies = true, .tail = {"\r\n", 2}, .put_subscribe = put_subscribe,    \
	.put_ping = put_ping, .put_publish = put_publish, .put_pattern = put_pattern, .scan = scan

const struct wire wire_resp2 = {.name = "resp", .put_login = put_login2, RESP_WIRE};
const struct wire wire_resp3 = {.name = "resp3", .put_login = put_login3, RESP_WIRE};
