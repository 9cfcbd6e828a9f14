#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/wire.h"

/*
 * MQTT 3.1.1, QoS 0. A packet is a type, the length of the rest in one to four bytes of seven bits
 * each, and the rest.
 * http://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html
 */
enum packet {
	PACKET_CONNECT = 0x10,
	PACKET_CONNACK = 0x20,
	PACKET_PUBLISH = 0x30,
	PACKET_SUBSCRIBE = 0x82,
	PACKET_SUBACK = 0x90,
	PACKET_PINGREQ = 0xC0,
	PACKET_PINGRESP = 0xD0,
};

#define SUBACK_FAILURE 0x80

static void
put_byte(struct buffer *out, unsigned byte)
{
	buffer_append(out, &(char){(char)byte}, 1);
}

static void
put_head(struct buffer *out, unsigned type, size_t remaining)
{
	put_byte(out, type);
	for (; remaining > 127; remaining >>= 7)
		put_byte(out, (unsigned)(remaining & 127) | 128);
	put_byte(out, (unsigned)remaining);
}

static void
put_u16(struct buffer *out, size_t n)
{
	put_byte(out, (unsigned)(n >> 8) & 255);
	put_byte(out, (unsigned)n & 255);
}

static void
put_text(struct buffer *out, struct slice s)
{
	put_u16(out, s.len);
	buffer_append_slice(out, s);
}

static const char *
connack_text(unsigned char code)
{
	static const char *const texts[] = {"", "unacceptable protocol version",
	    "identifier rejected", "server unavailable", "bad user name or password",
	    "not authorized"};

	return code < sizeof(texts) / sizeof(texts[0]) ? texts[code] : "connection refused";
}

static enum wire_status
judge(unsigned type, struct slice body, struct wire_event *event)
{
	switch (type) {
	case PACKET_CONNACK:
		if (body.len != 2)
			return WIRE_GARBLED;
		event->kind = body.ptr[1] == 0 ? WIRE_CONFIRMED : WIRE_ERROR;
		event->text = slice_of(connack_text((unsigned char)body.ptr[1]));
		return WIRE_FOUND;
	case PACKET_SUBACK:
		if (body.len < 3)
			return WIRE_GARBLED;
		event->kind = WIRE_CONFIRMED;
		if (memchr(body.ptr + 2, SUBACK_FAILURE, body.len - 2) != NULL) {
			event->kind = WIRE_ERROR;
			event->text = SLICE("a subscription was refused");
		}
		return WIRE_FOUND;
	case PACKET_PINGRESP:
		event->kind = WIRE_CONFIRMED;
		return body.len == 0 ? WIRE_FOUND : WIRE_GARBLED;
	default:
		return WIRE_GARBLED;
	}
}

/* The topic precedes the payload. QoS 0 has no packet identifier. */
static enum wire_status
scan_publish(const char *body, size_t there, size_t remaining, struct wire_event *event)
{
	size_t topic_len;

	if (remaining < 2)
		return WIRE_GARBLED;
	if (there < 2)
		return WIRE_MORE;
	topic_len = (size_t)(unsigned char)body[0] << 8 | (unsigned char)body[1];
	if (2 + topic_len > remaining)
		return WIRE_GARBLED;
	event->kind = WIRE_MESSAGE;
	event->head_len += 2 + topic_len;
	event->payload_len = remaining - 2 - topic_len;
	return there < 2 + topic_len ? WIRE_MORE : WIRE_FOUND;
}

static enum wire_status
scan(const char *ptr, size_t len, struct wire_event *event)
{
	unsigned type = len == 0 ? 0 : (unsigned char)ptr[0];
	size_t remaining = 0;
	size_t at = 1;

	*event = (struct wire_event){.kind = WIRE_IGNORED};
	do {
		if (at >= len)
			return WIRE_MORE;
		if (at > 4)
			return WIRE_GARBLED;
		remaining |= (size_t)(ptr[at] & 127) << (7 * (at - 1));
	} while ((ptr[at++] & 128) != 0);
	event->head_len = at;
	/* The retain flag does not matter here; only QoS 0 was requested. */
	if ((type & ~1u) == PACKET_PUBLISH)
		return scan_publish(ptr + at, len - at, remaining, event);
	if ((type != PACKET_CONNACK && type != PACKET_SUBACK && type != PACKET_PINGRESP) ||
	    remaining > WIRE_MAX_HEAD)
		return WIRE_GARBLED;
	if (len - at < remaining)
		return WIRE_MORE;
	event->head_len += remaining;
	return judge(type, (struct slice){ptr + at, remaining}, event);
}

static size_t
put_ping(struct buffer *out)
{
	put_head(out, PACKET_PINGREQ, 0);
	return 1;
}

/* A clean session without keep-alive. A password needs a user, which may be empty. */
static size_t
put_login(struct buffer *out, const struct wire_login *login)
{
	char id[24];
	struct slice user = slice_of(login->user != NULL ? login->user : "");
	struct slice password = slice_of(login->password != NULL ? login->password : "");
	bool named = login->user != NULL || login->password != NULL;
	size_t id_len = (size_t)snprintf(id, sizeof(id), "fanfare%" PRIu32, login->number);
	size_t remaining = 10 + 2 + id_len + (named ? 2 + user.len : 0) +
			   (login->password != NULL ? 2 + password.len : 0);

	put_head(out, PACKET_CONNECT, remaining);
	put_text(out, SLICE("MQTT"));
	put_byte(out, 4);
	put_byte(out, 2 | (named ? 128 : 0) | (login->password != NULL ? 64 : 0));
	put_u16(out, 0);
	put_text(out, (struct slice){id, id_len});
	if (named)
		put_text(out, user);
	if (login->password != NULL)
		put_text(out, password);
	return 1;
}

static size_t
put_subscribe(
    struct buffer *out, const struct slice *names, size_t count, bool patterns, uint32_t *id)
{
	size_t remaining = 2;

	(void)patterns;
	for (size_t i = 0; i < count; i++)
		remaining += 2 + names[i].len + 1;
	put_head(out, PACKET_SUBSCRIBE, remaining);
	put_u16(out, *id % 65535 + 1);
	*id += 1;
	for (size_t i = 0; i < count; i++) {
		put_text(out, names[i]);
		put_byte(out, 0);
	}
	return 1;
}

static void
put_publish(struct buffer *out, struct slice channel, size_t payload_len)
{
	put_head(out, PACKET_PUBLISH, 2 + channel.len + payload_len);
	put_text(out, channel);
}

static void
put_pattern(struct buffer *out, const char *prefix)
{
	buffer_appendf(out, "%s/+", prefix);
}

const struct wire wire_mqtt = {
    .name = "mqtt",
    .separator = '/',
    .put_login = put_login,
    .put_subscribe = put_subscribe,
    .put_ping = put_ping,
    .put_publish = put_publish,
    .put_pattern = put_pattern,
    .scan = scan,
};
