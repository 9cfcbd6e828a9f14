#include "config.h"

#include "pubsub/hub.h"
#include "pubsub/hub_reach.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "pubsub/hub_options.h"
#include "pubsub/testing_form.h"

/*
 * The hub with publishers that wait, under OUTBOX_BLOCK and limits.memory_bytes, against a plain
 * model: a list of queued messages for each subscriber, and the publishers that wait. Policies are
 * those of subscribers or, in the second test, also of channels.
 */

#define SUBS 8
#define PUBLISHERS 6
#define CHANNELS 3
#define QUEUED_MAX 64
#define BYTES_MAX ((size_t)8192)
#define LIMIT_US 1000

static struct hub *hub;
static struct hub_limits limits;
static struct subscriber subs[SUBS];
static int rooms;
static uint64_t now_us, seed;
static uint64_t delivered, waited, filled, expired, starved;

/* The model of a subscriber. */
static struct {
	bool hears[CHANNELS];
	bool closed;
	enum outbox_policy policy;
	uint8_t channel_policies;
	size_t messages_max;
	struct {
		int id;
		size_t len;
		bool own;       /* under the subscriber's own policy */
		bool droppable; /* under drop-oldest of its channel */
	} queued[QUEUED_MAX];
	size_t count;
} model[SUBS];

/* A publisher's message: "<id>xxx" of len bytes. */
static struct {
	struct hub_publication publication;
	bool waits;
	enum hub_result why;
	uint64_t since_us;
	int channel, id;
	size_t len;
} pubs[PUBLISHERS];

static int last_id;
static uint8_t channel_policies[CHANNELS]; /* as in struct channel_options */
static bool by_channel;                    /* channels may have policies */
static int publishing;                     /* the publisher whose message is published, or -1 */
static uint64_t pushed_out, cut;

static void
on_ready(struct subscriber *s)
{
	(void)s;
}

static enum outbox_policy
policy_of(size_t i, int channel)
{
	unsigned policy = channel_policies[channel];

	if (policy == CHANNEL_POLICY_GLOBAL ||
	    (model[i].channel_policies >> (policy - CHANNEL_POLICY_FIRST) & 1) == 0)
		return model[i].policy;
	return (enum outbox_policy)(policy - CHANNEL_POLICY_FIRST);
}

/* Whether publishers to this channel wait for the subscriber if it is full. */
static bool
blocks(size_t i, int channel)
{
	return model[i].hears[channel] && !model[i].closed && policy_of(i, channel) == OUTBOX_BLOCK;
}

/* Asserts that the closed subscriber was full, and that the publisher has waited for it long
 * enough, or that its message overflows it. */
static void
on_overflow(struct subscriber *s)
{
	size_t i = (size_t)(s - subs);
	int p = publishing;

	ck_assert_int_ge(p, 0);
	ck_assert(model[i].hears[pubs[p].channel] && !model[i].closed);
	ck_assert(model[i].count >= model[i].messages_max);
	if (policy_of(i, pubs[p].channel) == OUTBOX_DISCONNECT) {
		cut++;
	} else {
		ck_assert(blocks(i, pubs[p].channel));
		ck_assert(pubs[p].waits && now_us - pubs[p].since_us >= LIMIT_US);
		expired++;
	}
	model[i].closed = true;
}

static void
on_room(struct subscriber *s)
{
	(void)s;
	rooms++;
}

static const struct subscriber_ops ops = {on_ready, on_overflow, on_room, on_overflow};

static struct slice
channel_name(int channel)
{
	static const char *const names[CHANNELS] = {"a", "b", "c"};

	return slice_of(names[channel]);
}

static void
setup(void)
{
	struct hub_config config = {
	    .limits = &limits, .forms = &testing_form, .form_count = 1, .segment_bytes = 4096};

	limits = (struct hub_limits){
	    .subscriptions = 10, .subscribers = 100, .name_bytes = 10, .memory_bytes = 0};
	hub = hub_new(&config);
	memset(model, 0, sizeof(model));
	memset(pubs, 0, sizeof(pubs));
	rooms = last_id = 0;
	now_us = 1;
	delivered = waited = filled = expired = starved = pushed_out = cut = 0;
	memset(channel_policies, 0, sizeof(channel_policies));
	by_channel = false;
	publishing = -1;
}

static bool
is_full(int i)
{
	return !model[i].closed && model[i].count >= model[i].messages_max;
}

/* With policies by channel any policy, and the subscriber may allow the channel's policy, none of
 * them, or some. */
static struct outbox_limits
random_limits(void)
{
	struct outbox_limits outbox = {.messages = (uint32_t)(testing_random(&seed) % 4 + 1),
	    .policy = testing_random(&seed) % 3 > 0 ? OUTBOX_BLOCK : OUTBOX_DROP_NEWEST};
	uint64_t r = testing_random(&seed);

	if (by_channel) {
		outbox.policy = (enum outbox_policy)(r % 4);
		outbox.channel_policies = (uint8_t)((r >> 8) % 3 == 0   ? 0
						    : (r >> 8) % 3 == 1 ? 0xff
									: r >> 16);
	}
	return outbox;
}

static void
note_limits(int i, const struct outbox_limits *outbox)
{
	model[i].policy = outbox->policy;
	model[i].channel_policies = outbox->channel_policies;
	model[i].messages_max = outbox->messages;
}

static void
attach(int i)
{
	struct outbox_limits outbox = random_limits();

	hub_attach(hub, &subs[i], &ops, &outbox, 0, NULL);
	memset(&model[i], 0, sizeof(model[i]));
	note_limits(i, &outbox);
}

static void
remove_queued(size_t i, size_t at)
{
	memmove(&model[i].queued[at], &model[i].queued[at + 1],
	    (--model[i].count - at) * sizeof(model[i].queued[0]));
}

/* Applies the policy to a full subscriber. True if the message is then queued. */
static bool
makes_room(size_t i, int channel)
{
	ck_assert_int_ne(policy_of(i, channel), OUTBOX_BLOCK); /* the publisher had to wait */
	ck_assert_int_ne(policy_of(i, channel), OUTBOX_DISCONNECT);
	if (policy_of(i, channel) == OUTBOX_DROP_NEWEST)
		return false;
	while (model[i].count >= model[i].messages_max) {
		size_t at = 0, own = 0;

		while (at < model[i].count && !model[i].queued[at].droppable)
			at++;
		while (own < model[i].count && !model[i].queued[own].own)
			own++;
		if (at == model[i].count && model[i].policy == OUTBOX_DROP_OLDEST)
			at = own;
		if (at == model[i].count)
			return false;
		remove_queued(i, at);
		pushed_out++;
	}
	return true;
}

static void
deliver(int p)
{
	for (int i = 0; i < SUBS; i++) {
		enum outbox_policy policy;

		if (!model[i].hears[pubs[p].channel] || model[i].closed)
			continue;
		if (is_full(i) && !makes_room((size_t)i, pubs[p].channel))
			continue;
		model[i].queued[model[i].count].id = pubs[p].id;
		policy = policy_of((size_t)i, pubs[p].channel);
		model[i].queued[model[i].count].own = policy == model[i].policy;
		model[i].queued[model[i].count].droppable =
		    policy != model[i].policy && policy == OUTBOX_DROP_OLDEST;
		model[i].queued[model[i].count++].len = pubs[p].len;
	}
	delivered++;
}

static void
try_publish(int p)
{
	static char payload[BYTES_MAX];
	size_t receivers, before = hub_memory_claimed(hub);
	size_t reached = hub_receivers(hub, HUB_CHANNEL, channel_name(pubs[p].channel));
	uint64_t expired_before = expired;

	memset(payload, 'x', sizeof(payload));
	memcpy(payload, &pubs[p].id, sizeof(int));
	publishing = p;
	pubs[p].why = hub_publish(hub, HUB_CHANNEL, channel_name(pubs[p].channel),
	    (struct slice){payload, pubs[p].len}, now_us, &pubs[p].publication, &receivers);
	publishing = -1;
	if (!pubs[p].waits)
		pubs[p].since_us = now_us;
	pubs[p].waits = pubs[p].why != HUB_OK;
	switch (pubs[p].why) {
	case HUB_OK:
		ck_assert_uint_eq(receivers, reached - (expired - expired_before));
		deliver(p);
		hub_end_publication(hub, &pubs[p].publication);
		break;
	case HUB_BLOCKED:
		waited++;
		break;
	case HUB_FULL:
		filled++;
		ck_assert_uint_gt(before + pubs[p].publication.bytes, limits.memory_bytes);
		hub_suspend_publication(hub, &pubs[p].publication);
		break;
	default:
		ck_abort_msg("hub_publish says %d", (int)pubs[p].why);
	}
}

static bool
hear_the_same(int p, int q)
{
	for (size_t i = 0; i < SUBS; i++)
		if (blocks(i, pubs[p].channel) && blocks(i, pubs[q].channel))
			return true;
	return false;
}

/* Asserts that each publisher that waits has a reason: a subscriber is full, or an older publisher
 * waits for the same subscriber. */
static void
check_reasons(void)
{
	for (int p = 0; p < PUBLISHERS; p++) {
		bool full = false, behind = false;

		if (!pubs[p].waits || pubs[p].why != HUB_BLOCKED)
			continue;
		for (int i = 0; i < SUBS; i++)
			full |= blocks((size_t)i, pubs[p].channel) && is_full(i);
		for (int q = 0; q < PUBLISHERS; q++)
			behind |= pubs[q].waits && pubs[q].why == HUB_BLOCKED &&
				  pubs[q].publication.ticket < pubs[p].publication.ticket &&
				  hear_the_same(p, q);
		ck_assert(full || behind);
		starved += !full;
	}
	for (int i = 0; i < SUBS; i++) {
		bool reason = false;

		for (int p = 0; p < PUBLISHERS; p++)
			reason |= pubs[p].waits && pubs[p].why == HUB_BLOCKED &&
				  blocks((size_t)i, pubs[p].channel);
		ck_assert(subs[i].awaited == HUB_NOT_AWAITED || reason);
		ck_assert(subs[i].awaited != HUB_AWAITED || is_full(i));
	}
}

/* What the server does at the end of a turn. */
static void
settle(void)
{
	for (int p = 0; p < PUBLISHERS; p++)
		if (pubs[p].waits && pubs[p].why == HUB_FULL)
			try_publish(p);
	for (int n = 0; rooms > 0; n++) {
		ck_assert_int_lt(n, 100);
		rooms = 0;
		hub_begin_round(hub);
		for (int p = 0; p < PUBLISHERS; p++)
			if (pubs[p].waits && pubs[p].why == HUB_BLOCKED)
				try_publish(p);
		hub_end_round(hub);
	}
}

static void
take_one(int i)
{
	struct iovec piece;
	int id;

	if (model[i].count == 0 || model[i].closed)
		return;
	ck_assert_uint_eq(subs[i].outbox.messages, model[i].count);
	ck_assert_uint_eq(outbox_peek(&subs[i].outbox, &piece, 1), 1);
	ck_assert_uint_ge(piece.iov_len, model[i].queued[0].len + 1);
	memcpy(&id, piece.iov_base, sizeof(id));
	ck_assert_int_eq(id, model[i].queued[0].id);
	/* The model is changed first, because the outbox calls back. */
	piece.iov_len = model[i].queued[0].len + 1;
	remove_queued((size_t)i, 0);
	outbox_consume(&subs[i].outbox, piece.iov_len);
	outbox_flushed(&subs[i].outbox);
}

static void
change_limits(int i)
{
	struct outbox_limits outbox = random_limits();

	if (model[i].closed)
		return;
	note_limits(i, &outbox);
	hub_set_limits(&subs[i], &outbox);
}

/* Another policy for a channel, which existing topics then get. */
static void
change_channel(int channel, uint64_t r)
{
	static const char *const names[] = {
	    "global", "disconnect", "drop-oldest", "drop-newest", "block"};
	struct slice words[2] = {SLICE("outbox-policy"), slice_of(names[r % 5])};
	struct channel_error error;

	if (!by_channel)
		return;
	channel_policies[channel] = (uint8_t)(r % 5);
	ck_assert(hub_set_channel_line(hub, channel_name(channel), words, 2, &error));
	while (!hub_reclassify(hub, 1))
		continue;
}

static void
toggle(int i, int channel)
{
	if (model[i].closed)
		return;
	model[i].hears[channel] = !model[i].hears[channel];
	ck_assert_int_eq(model[i].hears[channel]
			     ? hub_subscribe(&subs[i], HUB_CHANNEL, channel_name(channel))
			     : hub_unsubscribe(&subs[i], HUB_CHANNEL, channel_name(channel)),
	    HUB_OK);
}

static void
replace(int i)
{
	model[i].closed = true;
	ck_assert(hub_detach(&subs[i], SIZE_MAX));
	attach(i);
}

static void
begin_message(int p, uint64_t r)
{
	if (pubs[p].waits)
		return;
	pubs[p].channel = (int)(r % CHANNELS);
	pubs[p].id = ++last_id;
	pubs[p].len = 4 + (r >> 8) % (r >> 40 & 1 ? BYTES_MAX - 4 : 100);
	try_publish(p);
}

static void
step(uint64_t r)
{
	int i = (int)((r >> 8 & 0xff) % SUBS), p = (int)((r >> 16 & 0xff) % PUBLISHERS);

	switch (r & 15) {
	case 0:
		toggle(i, (int)((r >> 24 & 0xff) % CHANNELS));
		break;
	case 1:
		change_limits(i);
		break;
	case 2:
		if ((r >> 32) % 4 == 0)
			replace(i);
		break;
	case 3:
		if (pubs[p].waits) {
			pubs[p].waits = false;
			hub_end_publication(hub, &pubs[p].publication);
		}
		break;
	case 4:
		limits.memory_bytes = (r >> 32) % 2 ? 0 : 20000 + (r >> 40) % 40000;
		if (limits.memory_bytes > 0 && hub_memory(hub) > 0)
			hub_tidy(hub);
		change_channel((int)((r >> 24 & 0xff) % CHANNELS), r >> 48);
		break;
	case 5:
	case 6:
		now_us += (r >> 32) % 400;
		hub_expire(hub, now_us, LIMIT_US);
		break;
	case 7:
	case 8:
	case 9:
		take_one(i);
		break;
	default:
		begin_message(p, r >> 20);
	}
}

static void
run(void)
{
	seed = 1;
	for (int channel = 0; channel < CHANNELS; channel++)
		change_channel(channel, 0);
	for (int i = 0; i < SUBS; i++)
		attach(i);
	for (int n = 0; n < testing_steps(200000); n++) {
		step(testing_random(&seed));
		if (n % 3 == 0) {
			settle();
			check_reasons();
			hub_tidy(hub);
		}
	}
	/* Closed subscribers leave and the others read, so all publications end. */
	for (int n = 0; n < 100; n++) {
		for (int i = 0; i < SUBS; i++)
			if (model[i].closed)
				replace(i);
		for (int i = 0; i < SUBS; i++)
			take_one(i);
		hub_tidy(hub);
		rooms++;
		settle();
	}
	for (int p = 0; p < PUBLISHERS; p++)
		ck_assert(!pubs[p].waits);
	ck_assert_uint_gt(delivered, (unsigned)testing_steps(10000));
	ck_assert_uint_gt(waited, (unsigned)testing_steps(10000));
	ck_assert_uint_gt(filled, (unsigned)testing_steps(100));
	ck_assert_uint_gt(expired, (unsigned)testing_steps(10));
	ck_assert_uint_ge(starved, (unsigned)testing_steps(3));
	for (int i = 0; i < SUBS; i++)
		ck_assert(hub_detach(&subs[i], SIZE_MAX));
	hub_tidy(hub);
	ck_assert_uint_eq(hub_memory(hub), 0);
	ck_assert_uint_eq(hub_figures(hub).blocking, 0);
	hub_free(hub);
}

START_TEST(random_waits_have_a_reason_and_end_with_it)
{
	run();
	ck_assert_uint_eq(cut, 0);
}
END_TEST

START_TEST(random_waits_have_a_reason_with_policies_of_channels)
{
	by_channel = true;
	run();
	ck_assert_uint_gt(pushed_out, (unsigned)testing_steps(1000));
	ck_assert_uint_gt(cut, (unsigned)testing_steps(100));
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/hub_model", setup, NULL,
	    (const TTest *[]){random_waits_have_a_reason_and_end_with_it,
		random_waits_have_a_reason_with_policies_of_channels, NULL});
}
