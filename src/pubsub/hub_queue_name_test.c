#include "config.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "pubsub/hub.h"
#include "pubsub/queue_group.h"

/* Members of queue groups that joined with a queue name: what their messages are called. */

#define SUBS 4
#define LARGE ((size_t)5 << 20)

static struct hub *hub;
static struct hub_limits limits;
static struct subscriber subs[SUBS];
static bool attached[SUBS];
static int overflows;
static char *text; /* of take() */

/* "[pattern|]channel=payload", then the letter of the form. */
static struct wire_ends
ends(const struct hub_message *m, const struct wire_body *body)
{
	(void)body;
	return (struct wire_ends){
	    (m->kind == HUB_PATTERN ? m->pattern.len + 1 : 0) + m->channel.len + 1, 1};
}

static void
write_ends(
    const struct hub_message *m, const struct wire_body *body, struct wire_ends its, char *out)
{
	char *p = out;

	if (m->kind == HUB_PATTERN) {
		memcpy(p, m->pattern.ptr, m->pattern.len);
		p += m->pattern.len;
		*p++ = '|';
	}
	memcpy(p, m->channel.ptr, m->channel.len);
	p[m->channel.len] = '=';
	out[its.head + body->len] = '.';
}

static void
write_other_ends(
    const struct hub_message *m, const struct wire_body *body, struct wire_ends its, char *out)
{
	write_ends(m, body, its, out);
	out[its.head + body->len] = '!';
}

static bool
read_frame(const char *frame, size_t len, struct hub_message *m)
{
	const char *equals = memchr(frame, '=', len), *bar;

	ck_assert_ptr_nonnull(equals);
	bar = memchr(frame, '|', (size_t)(equals - frame));
	*m = (struct hub_message){.kind = bar != NULL ? HUB_PATTERN : HUB_CHANNEL};
	if (bar != NULL)
		m->pattern = (struct slice){frame, (size_t)(bar - frame)};
	bar = bar != NULL ? bar + 1 : frame;
	m->channel = (struct slice){bar, (size_t)(equals - bar)};
	m->payload = (struct slice){equals + 1, len - 2 - (size_t)(equals - frame)};
	return true;
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
    {.name = "a", .ends = ends, .write_ends = write_ends, .read = read_frame, .notice = notice},
    {.name = "b",
	.ends = ends,
	.write_ends = write_other_ends,
	.read = read_frame,
	.notice = notice}};

static void
ignore(struct subscriber *s)
{
	(void)s;
}

static void
on_overflow(struct subscriber *s)
{
	(void)s;
	overflows++;
}

static const struct subscriber_ops ops = {ignore, on_overflow, ignore, on_overflow};

static void
attach(int i, size_t bytes, enum outbox_policy policy, uint8_t form)
{
	struct outbox_limits outbox = {.bytes = bytes, .policy = policy};

	hub_attach(hub, &subs[i], &ops, &outbox, form, NULL);
	attached[i] = true;
}

static void
detach(int i)
{
	while (!hub_detach(&subs[i], 3))
		continue;
	attached[i] = false;
}

static void
setup(void)
{
	struct hub_config config = {
	    .limits = &limits, .forms = forms, .form_count = 2, .segment_bytes = 4096};

	limits = (struct hub_limits){.subscriptions = 50, .subscribers = 30, .name_bytes = 20};
	hub = hub_new(&config);
	overflows = 0;
	text = xmalloc(4 * LARGE);
	for (int i = 0; i < SUBS; i++)
		attach(i, 0, OUTBOX_DISCONNECT, 0);
}

static void
teardown(void)
{
	for (int i = 0; i < SUBS; i++)
		if (attached[i])
			detach(i);
	hub_free(hub);
	xfree(text);
}

static enum hub_result
join_as(int i, enum queue_style style, const char *name)
{
	enum hub_kind kind = strchr(name, '*') != NULL ? HUB_PATTERN : HUB_CHANNEL;

	return hub_join_queue(&subs[i], style, SLICE("g"), kind, slice_of(name));
}

static void
join(int i, const char *name)
{
	ck_assert_int_eq(join_as(i, QUEUE_BY_NAME, name), HUB_OK);
}

static enum hub_result
try_publish(struct slice payload, struct hub_publication *its)
{
	struct hub_post post = {.kind = HUB_CHANNEL, .channel = SLICE("q"), .payload = payload};
	struct hub_outcome outcome;

	return hub_post(hub, &post, 1, its, &outcome);
}

static void
publish(const char *payload)
{
	struct hub_publication its = {0};

	ck_assert_int_eq(try_publish(slice_of(payload), &its), HUB_OK);
}

static const char *
take(int i)
{
	struct iovec pieces[64];
	size_t len = 0, count;

	while ((count = outbox_peek(&subs[i].outbox, pieces, 64)) > 0) {
		size_t taken = 0;

		for (size_t p = 0; p < count; p++) {
			ck_assert_uint_lt(len + taken + pieces[p].iov_len, 4 * LARGE);
			memcpy(text + len + taken, pieces[p].iov_base, pieces[p].iov_len);
			taken += pieces[p].iov_len;
		}
		outbox_consume(&subs[i].outbox, taken);
		len += taken;
	}
	text[len] = '\0';
	return text;
}

#define assert_takes(i, what) ck_assert_str_eq(take(i), what)

START_TEST(messages_carry_the_name_that_was_subscribed_to)
{
	join(0, "q");
	ck_assert_int_eq(join_as(1, QUEUE_BY_COMMAND, "q"), HUB_OK);
	join(2, "q*");
	ck_assert_int_eq(hub_subscribe(&subs[3], HUB_CHANNEL, SLICE("q")), HUB_OK);
	ck_assert_uint_eq(hub_numsub(hub, HUB_CHANNEL, SLICE("q")), 2);
	ck_assert_uint_eq(hub_queue_members(hub, SLICE("g"), HUB_CHANNEL, SLICE("q")), 2);
	ck_assert_uint_eq(hub_queue_members(hub, SLICE("g"), HUB_CHANNEL, SLICE("q*")), 0);
	publish("0");
	publish("1");
	publish("2");
	assert_takes(0, "$queue/g/q=0.$queue/g/q=2.");
	assert_takes(1, "q=1.");
	assert_takes(2, "$queue/g/q*|q=0.$queue/g/q*|q=1.$queue/g/q*|q=2.");
	assert_takes(3, "q=0.q=1.q=2.");
}
END_TEST

START_TEST(memberships_are_counted_by_how_they_were_joined)
{
	join(0, "q");
	join(0, "r");
	join(0, "q*");
	ck_assert_int_eq(join_as(0, QUEUE_BY_COMMAND, "s"), HUB_OK);
	ck_assert_uint_eq(hub_queues_of(&subs[0]), 4);
	ck_assert_uint_eq(hub_named_queues_of(&subs[0], HUB_CHANNEL), 2);
	ck_assert_uint_eq(hub_named_queues_of(&subs[0], HUB_PATTERN), 1);
	ck_assert_uint_eq(hub_named_queues_of(&subs[0], HUB_SHARD), 0);
	ck_assert(slice_is(queue_member_queue_name(hub_first_queue(&subs[0])), "$queue/g/q"));
	ck_assert_int_eq(hub_leave_queue(&subs[0], SLICE("g"), HUB_CHANNEL, SLICE("q")), HUB_OK);
	ck_assert_ptr_null(hub_find_queue(&subs[0], SLICE("g"), HUB_CHANNEL, SLICE("q")));
	ck_assert_uint_eq(hub_named_queues_of(&subs[0], HUB_CHANNEL), 1);
	ck_assert_uint_eq(hub_named_queues_of(&subs[1], HUB_CHANNEL), 0);
}
END_TEST

START_TEST(a_member_that_joins_again_is_one_of_the_new_style)
{
	join(0, "q");
	publish("0");
	ck_assert_int_eq(join_as(0, QUEUE_BY_COMMAND, "q"), HUB_ALREADY);
	publish("1");
	ck_assert_uint_eq(hub_named_queues_of(&subs[0], HUB_CHANNEL), 0);
	ck_assert_int_eq(join_as(0, QUEUE_BY_NAME, "q"), HUB_ALREADY);
	ck_assert_int_eq(join_as(0, QUEUE_BY_NAME, "q"), HUB_ALREADY);
	ck_assert_uint_eq(hub_named_queues_of(&subs[0], HUB_CHANNEL), 1);
	publish("2");
	assert_takes(0, "$queue/g/q=0.q=1.$queue/g/q=2.");
}
END_TEST

START_TEST(what_a_leaver_had_not_begun_is_renamed_for_others)
{
	join(0, "q");
	join(0, "q*");
	publish("0");
	ck_assert_int_eq(join_as(1, QUEUE_BY_COMMAND, "q"), HUB_OK);
	hub_set_form(&subs[2], 1);
	join(2, "q*");
	detach(0);
	assert_takes(1, "q=0.");
	assert_takes(2, "$queue/g/q*|q=0!");
	publish("1");
	attach(0, 0, OUTBOX_DISCONNECT, 0);
	join(0, "q");
	ck_assert_int_eq(join_as(0, QUEUE_BY_COMMAND, "q*"), HUB_OK);
	detach(1);
	detach(2);
	assert_takes(0, "$queue/g/q=1.q*|q=1.");
	ck_assert_uint_eq(hub_figures(hub).dropped, 0);
}
END_TEST

/* Returns in how many steps it is prepared. */
static int
publish_large(const char *payload)
{
	struct hub_publication its = {0};
	enum hub_result result;
	int steps = 0;

	while ((result = try_publish((struct slice){payload, LARGE}, &its)) == HUB_PREPARING)
		steps++;
	ck_assert_int_eq(result, HUB_OK);
	return steps;
}

static void
assert_takes_large(int i, const char *head)
{
	const char *got = take(i);

	ck_assert_int_eq(strncmp(got, head, strlen(head)), 0);
	got += strlen(head);
	ck_assert_uint_eq(strspn(got, "x"), LARGE);
	ck_assert_str_eq(got + LARGE, ".");
}

START_TEST(a_large_message_is_prepared_for_each_name)
{
	char *payload = xmalloc(LARGE);
	int steps;

	memset(payload, 'x', LARGE);
	ck_assert_int_eq(hub_subscribe(&subs[2], HUB_CHANNEL, SLICE("q")), HUB_OK);
	steps = publish_large(payload);
	ck_assert_int_gt(steps, 1);
	assert_takes_large(2, "q=");
	join(0, "q");
	join(1, "q*");
	ck_assert_int_eq(publish_large(payload), 3 * steps);
	assert_takes_large(0, "$queue/g/q=");
	assert_takes_large(1, "$queue/g/q*|q=");
	assert_takes_large(2, "q=");
	xfree(payload);
}
END_TEST

/* "q=12345." has room, "$queue/g/q=12345." has not. */
START_TEST(the_length_of_the_name_counts_for_the_limits_of_the_outbox)
{
	struct hub_publication its = {0};

	detach(0);
	attach(0, 30, OUTBOX_BLOCK, 0);
	join(0, "q");
	publish("12345");
	ck_assert_int_eq(try_publish(SLICE("12345"), &its), HUB_BLOCKED);
	ck_assert_int_eq(overflows, 0);
	assert_takes(0, "$queue/g/q=12345.");
	ck_assert_int_eq(try_publish(SLICE("12345"), &its), HUB_OK);
	assert_takes(0, "$queue/g/q=12345.");
}
END_TEST

START_TEST(each_name_needs_memory_of_its_own)
{
	static char payload[6000];
	struct hub_publication its = {0};

	memset(payload, 'x', sizeof(payload));
	limits.memory_bytes = 10000;
	ck_assert_int_eq(join_as(0, QUEUE_BY_COMMAND, "q"), HUB_OK);
	ck_assert_int_eq(hub_subscribe(&subs[1], HUB_CHANNEL, SLICE("q")), HUB_OK);
	ck_assert_int_eq(try_publish((struct slice){payload, sizeof(payload)}, &its), HUB_OK);
	take(0);
	take(1);
	ck_assert_int_eq(join_as(0, QUEUE_BY_NAME, "q"), HUB_ALREADY);
	ck_assert_int_eq(
	    try_publish((struct slice){payload, sizeof(payload)}, &its), HUB_TOO_LARGE);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_queue_name", setup, teardown,
	    (const TTest *[]){messages_carry_the_name_that_was_subscribed_to,
		memberships_are_counted_by_how_they_were_joined,
		a_member_that_joins_again_is_one_of_the_new_style,
		what_a_leaver_had_not_begun_is_renamed_for_others,
		a_large_message_is_prepared_for_each_name,
		the_length_of_the_name_counts_for_the_limits_of_the_outbox,
		each_name_needs_memory_of_its_own, NULL});
}
