#include "config.h"

#include "pubsub/hub.h"

#include <check.h>
#include <stddef.h>
#include <string.h>

#include "base/testing.h"

/* Subscribers of two kinds in one hub, neither of which is a client: each kind has operations of
 * its own. */

/* Only counts the calls of its operations. */
struct counter {
	struct subscriber subscriber;
	int readies, overflows, rooms;
};

/* Takes each message at once, as text. Its subscriber is not the first member of the struct. */
struct reader {
	char text[256];
	int overflows, rooms;
	struct subscriber subscriber;
};

static struct hub *hub;
static struct hub_limits limits;
static struct counter counter;
static struct reader reader;

static struct wire_ends
ends(const struct hub_message *m, const struct wire_body *body)
{
	(void)body;
	return (struct wire_ends){m->channel.len + 1, 1};
}

static void
write_ends(
    const struct hub_message *m, const struct wire_body *body, struct wire_ends its, char *out)
{
	memcpy(out, m->channel.ptr, m->channel.len);
	out[m->channel.len] = '=';
	out[its.head + body->len] = '.';
}

static size_t
notice(const struct wire_form *form, uint64_t missed, char *out)
{
	(void)form;
	(void)missed;
	(void)out;
	return 0;
}

static const struct wire_form forms[] = {
    {.name = "text", .ends = ends, .write_ends = write_ends, .notice = notice}};

static void
count_ready(struct subscriber *s)
{
	ck_assert_ptr_eq(s, &counter.subscriber);
	counter.readies++;
}

static void
count_overflow(struct subscriber *s)
{
	ck_assert_ptr_eq(s, &counter.subscriber);
	counter.overflows++;
}

static void
count_room(struct subscriber *s)
{
	ck_assert_ptr_eq(s, &counter.subscriber);
	counter.rooms++;
}

static const struct subscriber_ops counter_ops = {
    count_ready, count_overflow, count_room, count_overflow};

static struct reader *
reader_of(struct subscriber *s)
{
	return (struct reader *)(void *)((char *)s - offsetof(struct reader, subscriber));
}

static void
read_text(struct subscriber *s)
{
	struct reader *r = reader_of(s);
	struct iovec piece;
	size_t len;

	while (outbox_peek(&s->outbox, &piece, 1) > 0) {
		len = piece.iov_len;
		ck_assert_uint_lt(strlen(r->text) + len, sizeof(r->text));
		strncat(r->text, piece.iov_base, len);
		outbox_consume(&s->outbox, len);
	}
	outbox_flushed(&s->outbox);
}

static void
reader_overflow(struct subscriber *s)
{
	reader_of(s)->overflows++;
}

static void
reader_room(struct subscriber *s)
{
	reader_of(s)->rooms++;
}

static const struct subscriber_ops reader_ops = {
    read_text, reader_overflow, reader_room, reader_overflow};

static void
setup(void)
{
	struct hub_config config = {
	    .limits = &limits, .forms = forms, .form_count = 1, .segment_bytes = 4096};
	struct outbox_limits two = {.messages = 2};

	limits = (struct hub_limits){.subscriptions = 10, .subscribers = 10, .name_bytes = 10};
	hub = hub_new(&config);
	counter = (struct counter){.readies = 0};
	reader = (struct reader){.overflows = 0};
	hub_attach(hub, &counter.subscriber, &counter_ops, &two, 0, NULL);
	hub_attach(hub, &reader.subscriber, &reader_ops, &two, 0, NULL);
	ck_assert_int_eq(hub_subscribe(&counter.subscriber, HUB_CHANNEL, SLICE("x")), HUB_OK);
	ck_assert_int_eq(hub_subscribe(&reader.subscriber, HUB_CHANNEL, SLICE("x")), HUB_OK);
}

static void
teardown(void)
{
	ck_assert(hub_detach(&counter.subscriber, SIZE_MAX));
	ck_assert(hub_detach(&reader.subscriber, SIZE_MAX));
	hub_free(hub);
}

static enum hub_result
publish(struct hub_publication *p, const char *payload, uint64_t now_us)
{
	size_t receivers;

	return hub_publish(hub, HUB_CHANNEL, SLICE("x"), slice_of(payload), now_us, p, &receivers);
}

START_TEST(each_kind_is_told_of_messages_in_its_own_way)
{
	struct hub_publication its = {0};

	ck_assert_int_eq(publish(&its, "1", 1), HUB_OK);
	ck_assert_int_eq(publish(&its, "2", 1), HUB_OK);
	ck_assert_str_eq(reader.text, "x=1.x=2.");
	ck_assert_int_eq(counter.readies, 1); /* nothing was flushed since */
	ck_assert_uint_eq(counter.subscriber.outbox.messages, 2);
}
END_TEST

START_TEST(the_overflow_of_one_is_no_matter_of_the_other_kind)
{
	struct hub_publication its = {0};

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(publish(&its, "m", 1), HUB_OK);
	ck_assert_int_eq(counter.overflows, 1);
	ck_assert(counter.subscriber.outbox.sealed);
	ck_assert_int_eq(reader.overflows, 0);
	ck_assert_str_eq(reader.text, "x=m.x=m.x=m.x=m.");
}
END_TEST

START_TEST(the_one_that_publishers_wait_for_says_when_there_is_room)
{
	struct outbox_limits block = {.messages = 1, .policy = OUTBOX_BLOCK};
	struct hub_publication its = {0};

	hub_set_limits(&counter.subscriber, &block);
	hub_set_limits(&reader.subscriber, &block);
	ck_assert_int_eq(publish(&its, "1", 1), HUB_OK);
	ck_assert_int_eq(publish(&its, "2", 2), HUB_BLOCKED);
	outbox_consume(&counter.subscriber.outbox, counter.subscriber.outbox.bytes);
	ck_assert_int_gt(counter.rooms, 0);
	ck_assert_int_eq(reader.rooms, 0);
	ck_assert_int_eq(publish(&its, "2", 3), HUB_OK);
	ck_assert_str_eq(reader.text, "x=1.x=2.");
	hub_end_publication(hub, &its);
}
END_TEST

START_TEST(the_one_that_publishers_wait_for_too_long_overflows)
{
	struct outbox_limits block = {.messages = 1, .policy = OUTBOX_BLOCK};
	struct hub_publication its = {0};

	hub_set_limits(&counter.subscriber, &block);
	ck_assert_int_eq(publish(&its, "1", 1), HUB_OK);
	ck_assert_int_eq(publish(&its, "2", 2), HUB_BLOCKED);
	hub_expire(hub, 1002, 1000);
	ck_assert_int_eq(counter.rooms, 1);
	hub_begin_round(hub);
	ck_assert_int_eq(publish(&its, "2", 1003), HUB_BLOCKED);
	hub_end_round(hub);
	hub_expire(hub, 1003, 1000);
	ck_assert_int_eq(counter.overflows, 1);
	ck_assert_int_eq(publish(&its, "2", 1004), HUB_OK);
	ck_assert_str_eq(reader.text, "x=1.x=2.");
	hub_end_publication(hub, &its);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_subscriber", setup, teardown,
	    (const TTest *[]){each_kind_is_told_of_messages_in_its_own_way,
		the_overflow_of_one_is_no_matter_of_the_other_kind,
		the_one_that_publishers_wait_for_says_when_there_is_room,
		the_one_that_publishers_wait_for_too_long_overflows, NULL});
}
