#include "config.h"

#include "pubsub/testing_reader.h"

#include <check.h>
#include <string.h>
#include <sys/uio.h>

#include "pubsub/outbox.h"

#define READ_MAX 200

struct testing_readers testing_readers;

static struct testing_reader *
reader_of(struct subscriber *s)
{
	return (struct testing_reader *)(void *)s;
}

static void
on_ready(struct subscriber *s)
{
	outbox_flushed(&s->outbox);
}

static void
on_closed(struct subscriber *s)
{
	reader_of(s)->is_closed = true;
	testing_readers.closed++;
}

static void
on_overtaken(struct subscriber *s)
{
	ck_assert(!s->outbox.limits.notify);
	testing_readers.overtaken++;
	on_closed(s);
}

static void
ignore(struct subscriber *s)
{
	(void)s;
}

void
testing_reader_attach(
    struct testing_reader *reader, struct hub *hub, struct outbox_limits limits, size_t number)
{
	static const struct subscriber_ops ops = {on_ready, on_closed, ignore, on_overtaken};
	static const enum outbox_policy policies[] = {
	    OUTBOX_DISCONNECT, OUTBOX_DROP_OLDEST, OUTBOX_DROP_NEWEST, OUTBOX_CATCH_UP};

	limits.policy = policies[number % 4];
	limits.notify = number / 4 % 4 > 0;
	hub_attach(hub, &reader->subscriber, &ops, &limits, 0, NULL);
	reader->is_closed = false;
	reader->rest_len = 0;
}

bool
testing_reader_read(struct testing_reader *reader, size_t max,
    void (*read)(struct testing_reader *reader, const char *frame))
{
	struct outbox *outbox = &reader->subscriber.outbox;
	char text[READ_MAX + sizeof(reader->rest) + 1], *end, *at = text;
	struct iovec piece;
	size_t len;

	if (outbox_peek(outbox, &piece, 1) == 0)
		return false;
	len = piece.iov_len < max ? piece.iov_len : max;
	if (len > READ_MAX)
		len = READ_MAX;
	memcpy(text, reader->rest, reader->rest_len);
	memcpy(text + reader->rest_len, piece.iov_base, len);
	text[reader->rest_len + len] = '\0';
	outbox_consume(outbox, len);
	for (; (end = strchr(at, ';')) != NULL; at = end + 1) {
		*end = '\0';
		read(reader, at);
	}
	reader->rest_len = strlen(at);
	ck_assert_uint_lt(reader->rest_len, sizeof(reader->rest));
	memcpy(reader->rest, at, reader->rest_len);
	return true;
}
