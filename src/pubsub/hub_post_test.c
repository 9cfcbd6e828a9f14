#include "config.h"

#include "pubsub/hub.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/testing_form.h"

/* What hub_post() leaves out, and what it tells about a message that it delivered. */

#define SUBS 4

static struct hub *hub;
static struct hub_limits limits;
static struct subscriber subs[SUBS];
static int overflows;

/* A second form, in which a message is the kind of its topic: c or p. */
static struct wire_ends
kind_ends(const struct hub_message *m, const struct wire_body *body)
{
	(void)m;
	(void)body;
	return (struct wire_ends){1, 0};
}

static bool
measure_nothing(const struct hub_message *m, struct wire_body *body)
{
	(void)m;
	body->len = 0;
	return true;
}

static void
write_nothing(const struct hub_message *m, const struct wire_body *body, char *out)
{
	(void)m;
	(void)body;
	(void)out;
}

static void
write_kind(
    const struct hub_message *m, const struct wire_body *body, struct wire_ends its, char *out)
{
	(void)body;
	(void)its;
	out[0] = m->kind == HUB_PATTERN ? 'p' : 'c';
}

static size_t
no_notice(const struct wire_form *form, uint64_t missed, char *out)
{
	(void)form;
	(void)missed;
	(void)out;
	return 0;
}

static const struct wire_form kind_form = {.name = "kind",
    .measure = measure_nothing,
    .transform = write_nothing,
    .ends = kind_ends,
    .write_ends = write_kind,
    .notice = no_notice};

static void
on_ready(struct subscriber *s)
{
	(void)s;
}

static void
on_overflow(struct subscriber *s)
{
	(void)s;
	overflows++;
}

static const struct subscriber_ops ops = {on_ready, on_overflow, on_ready, on_overflow};

static void
setup(void)
{
	struct hub_config config = {
	    .limits = &limits, .forms = &testing_form, .form_count = 1, .segment_bytes = 4096};
	struct outbox_limits outbox = {.messages = 1000};

	limits = (struct hub_limits){.subscriptions = 100, .subscribers = 30, .name_bytes = 20};
	hub = hub_new(&config);
	(void)hub_add_form(hub, &kind_form);
	overflows = 0;
	for (int i = 0; i < SUBS; i++)
		hub_attach(hub, &subs[i], &ops, &outbox, 0, NULL);
}

static void
teardown(void)
{
	for (int i = 0; i < SUBS; i++)
		ck_assert(hub_detach(&subs[i], SIZE_MAX));
	hub_free(hub);
}

static void
subscribe(int i, enum hub_kind kind, const char *name)
{
	ck_assert_int_eq(hub_subscribe(&subs[i], kind, slice_of(name)), HUB_OK);
}

static void
set_limits(int i, uint32_t messages, enum outbox_policy policy)
{
	struct outbox_limits outbox = {.messages = messages, .policy = policy};

	hub_set_limits(&subs[i], &outbox);
}

/* except -1: none. */
static struct hub_post
post_of(const char *channel, int except)
{
	return (struct hub_post){.kind = HUB_CHANNEL,
	    .channel = slice_of(channel),
	    .payload = SLICE("m"),
	    .except = except >= 0 ? &subs[except] : NULL};
}

static struct hub_outcome
post(const char *channel, int except)
{
	struct hub_post what = post_of(channel, except);
	struct hub_publication its = {0};
	struct hub_outcome outcome;

	ck_assert_int_eq(hub_post(hub, &what, 1, &its, &outcome), HUB_OK);
	return outcome;
}

static uint32_t
queued(int i)
{
	return subs[i].outbox.messages;
}

START_TEST(the_exception_gets_nothing_through_any_subscription_and_does_not_count)
{
	struct hub_outcome outcome;

	subscribe(0, HUB_CHANNEL, "news");
	subscribe(0, HUB_PATTERN, "n*");
	subscribe(1, HUB_CHANNEL, "news");
	outcome = post("news", 0);
	ck_assert_uint_eq(outcome.receivers, 1);
	ck_assert_uint_eq(outcome.queued, 1);
	ck_assert_uint_eq(queued(0), 0);
	ck_assert_uint_eq(queued(1), 1);
	ck_assert_uint_eq(post("news", 2).receivers, 3); /* not subscribed */
	ck_assert_uint_eq(post("news", -1).receivers, 3);
	ck_assert_uint_eq(queued(0), 4);
}
END_TEST

START_TEST(the_exception_holds_for_a_message_that_cannot_wait)
{
	struct hub_post what = post_of("news", 0);
	struct hub_outcome outcome;

	subscribe(0, HUB_CHANNEL, "news");
	ck_assert_int_eq(hub_post_now(hub, &what, HUB_WITHIN_LIMITS, &outcome), HUB_OK);
	ck_assert_uint_eq(outcome.receivers, 0);
	ck_assert_uint_eq(queued(0), 0);
}
END_TEST

START_TEST(nobody_waits_for_the_exception)
{
	struct hub_post what = post_of("news", 0);
	struct hub_publication its = {0};
	struct hub_outcome outcome;
	size_t bytes = 0;

	subscribe(0, HUB_CHANNEL, "news");
	subscribe(1, HUB_CHANNEL, "news");
	set_limits(0, 1, OUTBOX_BLOCK);
	ck_assert_uint_eq(post("news", -1).receivers, 2);
	ck_assert_uint_eq(post("news", 0).receivers, 1);
	ck_assert_int_eq(hub_may_post(hub, &what, 1, &its, &bytes), HUB_OK);
	what.except = &subs[1];
	ck_assert_int_eq(hub_may_post(hub, &what, 1, &its, &bytes), HUB_BLOCKED);
	ck_assert_int_eq(hub_post(hub, &what, 1, &its, &outcome), HUB_BLOCKED);
	hub_end_publication(hub, &its);
}
END_TEST

START_TEST(the_outcome_tells_what_was_queued)
{
	struct hub_outcome outcome;

	for (int i = 0; i < SUBS; i++)
		subscribe(i, HUB_CHANNEL, "news");
	set_limits(1, 1, OUTBOX_DROP_NEWEST);
	set_limits(2, 1, OUTBOX_DROP_OLDEST);
	set_limits(3, 1, OUTBOX_DISCONNECT);
	outcome = post("news", -1);
	ck_assert_uint_eq(outcome.receivers, 4);
	ck_assert_uint_eq(outcome.queued, 4);
	outcome = post("news", -1);
	ck_assert_uint_eq(outcome.receivers, 4);
	ck_assert_uint_eq(outcome.queued, 2);
	ck_assert_int_eq(overflows, 1);
	outcome = post("other", -1);
	ck_assert_uint_eq(outcome.receivers, 0);
	ck_assert_uint_eq(outcome.queued, 0);
}
END_TEST

START_TEST(a_subscriber_with_dedup_gets_one_copy_through_its_channel_first)
{
	char text[64];
	struct iovec pieces[8];
	size_t len = 0, count;

	hub_set_form(&subs[0], 1);
	subscribe(0, HUB_PATTERN, "n*");
	subscribe(0, HUB_PATTERN, "*s");
	subscribe(0, HUB_CHANNEL, "news");
	subscribe(1, HUB_PATTERN, "n*");
	subscribe(1, HUB_PATTERN, "*s");
	hub_set_dedup(&subs[0], true);
	ck_assert_uint_eq(post("news", -1).receivers, 3);
	ck_assert_uint_eq(queued(0), 1);
	ck_assert_uint_eq(queued(1), 2);
	ck_assert_uint_eq(post("nuts", -1).receivers, 3);
	ck_assert_uint_eq(post("none", -1).receivers, 2);
	ck_assert_uint_eq(queued(0), 3);
	count = outbox_peek(&subs[0].outbox, pieces, 8);
	for (size_t i = 0; i < count; i++) {
		memcpy(text + len, pieces[i].iov_base, pieces[i].iov_len);
		len += pieces[i].iov_len;
	}
	text[len] = '\0';
	ck_assert_int_eq(strncmp(text, "cpp", 3), 0); /* the kinds of the topics */
	hub_set_dedup(&subs[0], false);
	ck_assert_uint_eq(post("news", -1).receivers, 5);
}
END_TEST

START_TEST(dedup_applies_to_what_a_publisher_waits_for)
{
	struct hub_post what = post_of("news", -1);
	struct hub_publication its = {0};
	struct hub_outcome outcome;
	size_t bytes = 0;

	subscribe(0, HUB_CHANNEL, "news");
	subscribe(0, HUB_PATTERN, "*");
	set_limits(0, 2, OUTBOX_BLOCK);
	hub_set_dedup(&subs[0], true);
	ck_assert_uint_eq(post("news", -1).receivers, 1);
	ck_assert_int_eq(hub_may_post(hub, &what, 1, &its, &bytes), HUB_OK);
	ck_assert_uint_eq(post("news", -1).receivers, 1);
	ck_assert_int_eq(hub_post(hub, &what, 1, &its, &outcome), HUB_BLOCKED);
	hub_end_publication(hub, &its);
	hub_shrink(hub);
	ck_assert_uint_eq(queued(0), 2);
}
END_TEST

/* Many subscribers with random subscriptions: each with dedup gets one copy, others one for each.
 */
START_TEST(dedup_agrees_with_a_plain_count)
{
	static const char *const names[] = {"ab", "ac", "bc"}, *const globs[] = {
								   "a*", "*b", "*", "?c"};
	static const bool matches[3][4] = {
	    {true, true, true, false}, {true, false, true, true}, {false, false, true, true}};
	bool has[SUBS][7] = {0}, dedup[SUBS] = {0};
	uint64_t seed = 7;

	for (int i = 0; i < testing_steps(100000); i++) {
		size_t s = testing_random(&seed) % SUBS, n = testing_random(&seed) % 7;
		size_t channel = testing_random(&seed) % 3, expected = 0;
		enum hub_kind kind = n < 3 ? HUB_CHANNEL : HUB_PATTERN;
		struct slice name = slice_of(n < 3 ? names[n] : globs[n - 3]);
		int except = (int)(testing_random(&seed) % (SUBS * 2)) - SUBS;

		if (testing_random(&seed) % 4 == 0) {
			dedup[s] = !dedup[s];
			hub_set_dedup(&subs[s], dedup[s]);
		}
		ck_assert_int_eq(has[s][n] ? hub_unsubscribe(&subs[s], kind, name)
					   : hub_subscribe(&subs[s], kind, name),
		    HUB_OK);
		has[s][n] = !has[s][n];
		for (int m = 0; m < SUBS; m++) {
			size_t copies = has[m][channel];

			for (int g = 0; g < 4; g++)
				copies += has[m][3 + g] && matches[channel][g];
			if (m != except)
				expected += dedup[m] && copies > 1 ? 1 : copies;
		}
		ck_assert_uint_eq(
		    post(names[channel], except < 0 ? -1 : except).receivers, expected);
		for (int m = 0; m < SUBS; m++)
			outbox_consume(&subs[m].outbox, subs[m].outbox.bytes);
	}
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_post", setup, teardown,
	    (const TTest *[]){
		the_exception_gets_nothing_through_any_subscription_and_does_not_count,
		the_exception_holds_for_a_message_that_cannot_wait, nobody_waits_for_the_exception,
		the_outcome_tells_what_was_queued,
		a_subscriber_with_dedup_gets_one_copy_through_its_channel_first,
		dedup_applies_to_what_a_publisher_waits_for, dedup_agrees_with_a_plain_count,
		NULL});
}
