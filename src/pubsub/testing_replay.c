#include "config.h"

#include "pubsub/testing_replay.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/glob.h"
#include "pubsub/hub_history.h"
#include "pubsub/hub_options.h"
#include "pubsub/testing_form.h"

struct hub_limits testing_hub_limits;
struct history_limits testing_history_limits;

struct hub *
testing_replay_hub(const struct wire_form *form)
{
	const struct hub_config config = {
	    .limits = &testing_hub_limits,
	    .history = &testing_history_limits,
	    .epoch = TESTING_EPOCH,
	    .forms = form,
	    .form_count = 1,
	    .segment_bytes = 65536,
	};

	testing_hub_limits =
	    (struct hub_limits){.subscriptions = 100, .subscribers = 1000, .name_bytes = 100};
	testing_history_limits = (struct history_limits){.channels = 1000};
	return hub_new(&config);
}

void
testing_set_line(struct hub *hub, const char *glob, const char *words)
{
	struct slice list[16];
	struct channel_error error;
	size_t count = 0;

	while (*words != '\0') {
		size_t len = strcspn(words, " ");

		ck_assert_uint_lt(count, 16);
		list[count++] = (struct slice){words, len};
		words += len + strspn(words + len, " ");
	}
	ck_assert(hub_set_channel_line(hub, slice_of(glob), list, count, &error));
	while (!hub_reclassify(hub, 100))
		continue;
}

/* The next channel that the pattern matches, and its ring; NULL at the end. */
static struct topic *
next_match(struct hub *hub, struct slice pattern, struct slice after, uint64_t now_us,
    const struct ring **ring)
{
	struct topic *topic;

	while ((topic = hub_next_channel(hub, HUB_CHANNEL, after)) != NULL) {
		after = topic_name(topic);
		if (!glob_match(pattern, after, false))
			continue;
		*ring = hub_ring(hub, after, now_us);
		if (*ring != NULL)
			break;
	}
	return topic;
}

bool
testing_can_presume(struct hub *hub, struct slice pattern, uint64_t after_seq, uint64_t now_us)
{
	struct slice name = {NULL, 0};
	const struct ring *ring;
	struct topic *topic;
	bool can = after_seq <= history_position(hub_history(hub)).seq;

	while (can && (topic = next_match(hub, pattern, name, now_us, &ring)) != NULL) {
		name = topic_name(topic);
		can = !ring_overtook(ring, after_seq);
	}
	return can && after_seq >= history_forgotten_seq(hub_history(hub));
}

void
testing_psubscribe_after(
    struct subscriber *s, struct slice pattern, uint64_t after_seq, uint64_t now_us)
{
	struct slice name = {NULL, 0};
	struct hub_matched *matched = NULL;
	const struct ring *ring;
	struct topic *topic;
	size_t count = 0;

	while ((topic = next_match(s->hub, pattern, name, now_us, &ring)) != NULL) {
		name = topic_name(topic);
		if (ring->newest_seq <= after_seq)
			continue;
		matched = xrealloc(matched, (count + 1) * sizeof(*matched));
		matched[count++] = (struct hub_matched){
		    topic, after_seq, ring->appended - (uint32_t)ring_count_after(ring, after_seq)};
	}
	ck_assert_int_eq(hub_psubscribe_after(s, pattern, after_seq, matched, count), HUB_OK);
	xfree(matched);
}

struct replays replays;

static void
ignore(struct subscriber *s)
{
	outbox_flushed(&s->outbox);
}

static void
on_overtaken(struct subscriber *s)
{
	ck_assert(s->outbox.sealed);
	replays.overtakens++;
}

static const struct subscriber_ops ops = {ignore, ignore, ignore, on_overtaken};

void
replay_attach(int i, size_t bytes, uint32_t messages, enum outbox_policy policy, bool notify)
{
	struct outbox_limits limits = {
	    .bytes = bytes, .messages = messages, .policy = policy, .notify = notify};

	hub_attach(replays.hub, &replays.subs[i], &ops, &limits, 0, NULL);
}

void
replay_detach(int i)
{
	while (!hub_detach(&replays.subs[i], 100))
		continue;
}

void
replay_setup(void)
{
	replay_setup_form(&testing_form);
}

void
replay_setup_form(const struct wire_form *form)
{
	replays.hub = testing_replay_hub(form);
	testing_set_line(replays.hub, "k*", "history-size 100 history-ttl 60");
	replays.base = history_position(hub_history(replays.hub)).seq;
	replays.overtakens = 0;
	for (int i = 0; i < 3; i++)
		replay_attach(i, 0, 0, OUTBOX_DISCONNECT, false);
}

void
replay_teardown(void)
{
	for (int i = 0; i < 3; i++)
		replay_detach(i);
	ck_assert_uint_eq(hub_replay_figures(replays.hub).cursors, 0);
	hub_free(replays.hub);
}

size_t
replay_publish(const char *channel, const char *payload)
{
	struct hub_publication publication = {0};
	size_t receivers;

	ck_assert_int_eq(hub_publish(replays.hub, HUB_CHANNEL, slice_of(channel), slice_of(payload),
			     REPLAY_NOW_US, &publication, &receivers),
	    HUB_OK);
	return receivers;
}

void
replay_publish_numbers(const char *channel, int from, int to)
{
	char text[16];

	for (int i = from; i < to; i++) {
		snprintf(text, sizeof(text), "%d", i);
		replay_publish(channel, text);
	}
}

/* after: so many messages of all channels are before it. */
void
replay_subscribe_after(int i, const char *channel, uint64_t after)
{
	uint64_t after_seq = replays.base + after;

	ck_assert(hub_can_resume(replays.hub, slice_of(channel), after_seq, REPLAY_NOW_US));
	ck_assert_int_eq(
	    hub_subscribe_after(&replays.subs[i], slice_of(channel), after_seq, REPLAY_NOW_US),
	    HUB_OK);
}

void
replay_resume(int i, const char *channel, uint64_t after)
{
	replay_subscribe_after(i, channel, after);
	hub_start_replay(&replays.subs[i]);
}

void
replay_presume(int i, const char *pattern, uint64_t after)
{
	uint64_t after_seq = replays.base + after;

	ck_assert(testing_can_presume(replays.hub, slice_of(pattern), after_seq, REPLAY_NOW_US));
	testing_psubscribe_after(&replays.subs[i], slice_of(pattern), after_seq, REPLAY_NOW_US);
	hub_start_replay(&replays.subs[i]);
}

enum hub_replay_result
replay_run(void)
{
	enum hub_replay_result result;

	while ((result = hub_replay(replays.hub, REPLAY_NOW_US)) == HUB_REPLAY_MORE)
		continue;
	return result;
}

/* Reads what is queued, at most max bytes. */
const char *
replay_take(int i, size_t max)
{
	static char text[65536];
	struct iovec piece;
	size_t len = 0;

	while (len < max && outbox_peek(&replays.subs[i].outbox, &piece, 1) > 0) {
		size_t n = piece.iov_len < max - len ? piece.iov_len : max - len;

		ck_assert_uint_lt(len + n, sizeof(text));
		memcpy(text + len, piece.iov_base, n);
		len += n;
		outbox_consume(&replays.subs[i].outbox, n);
	}
	text[len] = '\0';
	return text;
}
