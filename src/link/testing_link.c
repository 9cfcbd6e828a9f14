#include "config.h"

#include "link/testing_link.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/glob.h"
#include "link/engine.h"
#include "link/testing_engine.h"
#include "link/testing_presence.h"
#include "resp/parser.h"
#include "resp/writer.h"

static const struct protocol_limits limits = {
    .arg_bytes = 1 << 24, .arg_count = 2048, .line_bytes = 65536, .request_bytes = 1 << 26};

/* What the link calls */

void
rig_lose(struct rig *rig)
{
	link_lost(rig->link);
	buffer_clear(&rig->sent);
	buffer_clear(&rig->in);
	for (size_t i = 0; i < rig->subscribed_count; i++)
		buffer_release(&rig->subscribed[i]);
	rig->subscribed_count = 0;
	resp_parser_free(rig->parser);
	rig->parser = NULL;
}

static bool
on_send(void *arg, struct slice bytes)
{
	struct rig *rig = arg;

	ck_assert_ptr_nonnull(rig->parser);
	ck_assert_uint_gt(bytes.len, 0);
	if (++rig->sends == rig->fail_at) {
		if (rig->loses_at_once)
			rig_lose(rig);
		return false;
	}
	buffer_append_slice(&rig->sent, bytes);
	return true;
}

static void
on_drop(void *arg, const char *why)
{
	struct rig *rig = arg;

	ck_assert_ptr_nonnull(rig->parser);
	snprintf(rig->why, sizeof(rig->why), "%s", why);
	rig->drops++;
	rig_lose(rig);
}

static void
hear(struct rig *rig, const char *what, enum hub_kind kind, struct slice name)
{
	buffer_appendf(&rig->heard, "%s %d ", what, (int)kind);
	buffer_append_escaped(&rig->heard, name);
}

static void
on_message(void *arg, enum hub_kind kind, struct slice channel, struct slice payload,
    enum interest_course course)
{
	static const char *const texts[] = {"message", "message follows", "message jumps"};
	struct rig *rig = arg;

	hear(rig, texts[course], kind, channel);
	buffer_append_str(&rig->heard, " ");
	buffer_append_escaped(&rig->heard, payload);
	buffer_append_str(&rig->heard, "\n");
	if (rig->echoes && link_state_of(rig->link) == LINK_UP)
		link_publish(rig->link, kind, SLICE("echo"), payload);
}

static void
on_joined(void *arg, enum hub_kind kind, struct slice name, enum interest_join how)
{
	struct rig *rig = arg;

	hear(rig,
	    how == INTEREST_MISSED    ? "joined missed"
	    : how == INTEREST_RESUMED ? "joined resumed"
				      : "joined",
	    kind, name);
	buffer_append_str(&rig->heard, "\n");
}

static void
on_left(void *arg, enum hub_kind kind, struct slice name)
{
	struct rig *rig = arg;

	hear(rig, "left", kind, name);
	buffer_append_str(&rig->heard, "\n");
}

static void
on_refused(void *arg, struct slice error)
{
	struct rig *rig = arg;

	buffer_append_str(&rig->heard, "refused ");
	buffer_append_escaped(&rig->heard, error);
	buffer_append_str(&rig->heard, "\n");
}

static void
on_published(void *arg, struct slice error, struct hub_position position)
{
	struct rig *rig = arg;

	if (position.epoch != 0)
		rig->kept = position;
	if (error.len > 0)
		on_refused(arg, error);
}

static const struct link_ops ops = {
    .send = on_send,
    .drop = on_drop,
    .message = on_message,
    .joined = on_joined,
    .left = on_left,
    .published = on_published,
    .refused = on_refused,
};

/* The upstream */

/* Ends a reply that began at this length. */
static void
end_reply(struct rig *rig, size_t begin, enum rig_reply is)
{
	if (++rig->replies != rig->wrong_at)
		return;
	rig->in.len = begin;
	buffer_append_slice(&rig->in, rig->wrong);
	rig->wrong_is = is;
}

static void
put_map(struct buffer *out)
{
	static const char *const texts[] = {
	    "server", "redis", "version", "7.0.15", "role", "master", "mode", "standalone", NULL};

	resp_put_map(out, 3, 4);
	for (size_t i = 0; texts[i] != NULL; i++)
		resp_put_bulk_str(out, texts[i]);
}

/* A subscription is its command's first letter, and the name. */
static size_t
find_subscribed(const struct rig *rig, char letter, struct slice name)
{
	size_t i = 0;

	for (; i < rig->subscribed_count; i++)
		if (rig->subscribed[i].ptr[0] == letter &&
		    slice_eq((struct slice){rig->subscribed[i].ptr + 1, rig->subscribed[i].len - 1},
			name))
			break;
	return i;
}

static void
subscribe(struct rig *rig, char letter, struct slice name)
{
	size_t i = find_subscribed(rig, letter, name);
	struct buffer *subscription = &rig->subscribed[i];

	if (i < rig->subscribed_count)
		return;
	ck_assert_uint_lt(i, RIG_SUBSCRIBED);
	*subscription = (struct buffer){0};
	buffer_append(subscription, &letter, 1);
	buffer_append_slice(subscription, name);
	rig->subscribed_count++;
}

static void
unsubscribe(struct rig *rig, char letter, struct slice name)
{
	size_t i = find_subscribed(rig, letter, name);

	if (i == rig->subscribed_count)
		return;
	buffer_release(&rig->subscribed[i]);
	rig->subscribed[i] = rig->subscribed[--rig->subscribed_count];
}

static void
put_message(struct rig *rig, const char *kind, struct slice pattern, struct slice channel,
    struct slice payload)
{
	bool is_probe = slice_is(channel, RIG_PROBES);
	size_t begin = rig->in.len;

	resp_put_push(&rig->in, 3, pattern.ptr != NULL ? 4 : 3);
	resp_put_bulk_str(&rig->in, kind);
	if (pattern.ptr != NULL)
		resp_put_bulk(&rig->in, pattern);
	resp_put_bulk(&rig->in, channel);
	resp_put_bulk(&rig->in, payload);
	end_reply(rig, begin, is_probe ? RIG_PROBE_BACK : RIG_MESSAGE);
}

static void
put_receivers(struct rig *rig, struct slice channel)
{
	size_t begin = rig->in.len;

	resp_put_int(&rig->in, 1);
	end_reply(rig, begin, slice_is(channel, RIG_PROBES) ? RIG_PROBE_SENT : RIG_SENT);
}

static void
send_to_subscribers(struct rig *rig, char letter, struct slice channel, struct slice payload)
{
	struct slice none = {NULL, 0};

	if (find_subscribed(rig, letter, channel) < rig->subscribed_count)
		put_message(rig, letter == 'S' ? "smessage" : "message", none, channel, payload);
	for (size_t i = 0; i < rig->subscribed_count && letter == 'c'; i++) {
		struct slice pattern = {rig->subscribed[i].ptr + 1, rig->subscribed[i].len - 1};

		if (rig->subscribed[i].ptr[0] == 'P' && glob_match(pattern, channel, false))
			put_message(rig, "pmessage", pattern, channel, payload);
	}
}

/* Redis sends the message first, fanfared the reply. */
static void
publish(struct rig *rig, char letter, struct slice channel, struct slice payload)
{
	if (rig->replies_first)
		put_receivers(rig, channel);
	send_to_subscribers(rig, letter, channel, payload);
	if (!rig->replies_first)
		put_receivers(rig, channel);
}

static void
put_change(struct rig *rig, struct slice verb, struct slice name, bool leaves, enum rig_reply joins)
{
	bool is_probe = slice_is(name, RIG_PROBES);
	size_t begin = rig->in.len;
	char lower[32];

	for (size_t i = 0; i < verb.len; i++)
		lower[i] = (char)(verb.ptr[i] + 'a' - 'A');
	resp_put_push(&rig->in, 3, 3);
	resp_put_bulk(&rig->in, (struct slice){lower, verb.len});
	resp_put_bulk(&rig->in, name);
	resp_put_int(&rig->in, (int64_t)rig->subscribed_count);
	end_reply(rig, begin, leaves ? RIG_LEFT : is_probe ? RIG_PROBE_JOINED : joins);
}

static void
change(struct rig *rig, const struct slice *args, size_t count)
{
	struct slice verb = args[0];
	bool leaves = memchr(verb.ptr, 'N', verb.len) != NULL;
	char letter = verb.ptr[0] == 'P'                         ? 'P'
		      : verb.ptr[1] == 'S' || verb.ptr[1] == 'U' ? 'S'
								 : 'c';

	if (slice_is(verb, "SUBSCRIBE"))
		letter = 'c';
	for (size_t i = 1; i < count; i++) {
		bool is_ahead = rig->engine != NULL && letter == 'c' &&
				find_subscribed(rig, letter, args[i]) == rig->subscribed_count;

		if (leaves)
			unsubscribe(rig, letter, args[i]);
		else
			subscribe(rig, letter, args[i]);
		put_change(rig, verb, args[i], leaves, is_ahead ? RIG_AHEAD : RIG_JOINED);
	}
}

static bool
is_refused(const struct rig *rig, const struct slice *args, size_t count)
{
	for (size_t i = 0; rig->refused != NULL && i < count; i++)
		if (slice_is(args[i], rig->refuses))
			return true;
	return false;
}

static enum rig_reply
reply_of_script(const struct slice *args, size_t count)
{
	switch (testing_engine_script(args, count)) {
	case ENGINE_PUBLISH:
		return RIG_KEPT;
	case ENGINE_CHECK:
		return RIG_CHECKED;
	case ENGINE_CLAIM:
		return RIG_CLAIMED;
	default:
		return RIG_SCRIPT;
	}
}

static enum rig_reply
reply_of_presence(const struct slice *args, size_t count)
{
	switch (testing_presence_script(args, count)) {
	case PRESENCE_SCRIPT_CHANGE:
		return RIG_CHANGED;
	case PRESENCE_SCRIPT_LEASE:
		return RIG_LEASED;
	case PRESENCE_SCRIPTS:
		return RIG_SCRIPT;
	default:
		return RIG_ASKED;
	}
}

/* Messages come before the reply, as with Redis. */
static bool
execute_script(struct rig *rig, const struct slice *args, size_t count)
{
	enum rig_reply is = RIG_SCRIPT;
	struct buffer reply = {0};
	size_t begin;

	if (rig->presence != NULL && testing_presence_execute(rig->presence, args, count, &reply))
		is = reply_of_presence(args, count);
	else if (rig->engine == NULL || !testing_engine_execute(rig->engine, args, count, &reply))
		return false;
	else if (slice_is(args[0], "EVALSHA"))
		is = reply_of_script(args, count);
	begin = rig->in.len;
	buffer_append_slice(&rig->in, buffer_slice(&reply));
	buffer_release(&reply);
	end_reply(rig, begin, is);
	return true;
}

static void
execute(struct rig *rig, const struct slice *args, size_t count)
{
	size_t begin = rig->in.len;

	if (is_refused(rig, args, count)) {
		resp_put_error(&rig->in, slice_of(rig->refused));
		rig->replies++;
	} else if (slice_is(args[0], "HELLO")) {
		put_map(&rig->in);
		end_reply(rig, begin, RIG_HELLO);
	} else if (slice_is(args[0], "INFO")) {
		resp_put_verbatim(&rig->in, 3, "txt", SLICE(RIG_INFO));
		end_reply(rig, begin, RIG_INFO_TEXT);
	} else if (slice_is(args[0], "PUBLISH") || slice_is(args[0], "SPUBLISH")) {
		ck_assert_uint_eq(count, 3);
		publish(rig, args[0].ptr[0] == 'S' ? 'S' : 'c', args[1], args[2]);
	} else if (!execute_script(rig, args, count)) {
		ck_assert_ptr_nonnull(memmem(args[0].ptr, args[0].len, "SUBSCRIBE", 9));
		change(rig, args, count);
	}
}

/* The rig */

void
rig_new(struct rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	rig->config = (struct link_config){.id = RIG_ID, .probe_us = RIG_PROBE_US};
	rig->now = 5000000;
	rig->link = link_new(&rig->config, &ops, rig);
	interest_set_linger(link_interest(rig->link), RIG_LINGER_US);
}

static void
on_engine_publish(void *arg, struct slice channel, struct slice payload)
{
	send_to_subscribers(arg, 'c', channel, payload);
}

static void
begin(struct rig *rig, struct testing_engine *engine, const struct engine_ops *of)
{
	rig_new(rig);
	rig->config.engine = of;
	rig->engine = engine;
	engine->publish = on_engine_publish;
	engine->arg = rig;
}

static void
renew_link(struct rig *rig)
{
	link_free(rig->link);
	rig->link = link_new(&rig->config, &ops, rig);
	interest_set_linger(link_interest(rig->link), RIG_LINGER_US);
}

void
rig_new_of_engine(struct rig *rig, struct testing_engine *engine, const struct engine_ops *of)
{
	begin(rig, engine, of);
	renew_link(rig);
}

/* Without history */

static bool
keeps_nothing(void *arg, struct slice channel, struct engine_limits *out)
{
	(void)arg;
	(void)channel;
	(void)out;
	return false;
}

static uint64_t
on_random(void *arg)
{
	(void)arg;
	return 1;
}

static uint64_t
on_newest_seq(void *arg)
{
	return ((struct rig *)arg)->newest_seq;
}

static void
on_begins(void *arg, struct hub_position position)
{
	((struct rig *)arg)->newest_seq = position.seq;
}

static void
on_holes(void *arg, const struct history_hole *holes, size_t count)
{
	(void)arg;
	(void)holes;
	(void)count;
}

static const struct engine_ops no_history = {.keeps = keeps_nothing,
    .random = on_random,
    .newest_seq = on_newest_seq,
    .begins = on_begins,
    .holes = on_holes};

void
rig_new_with_presence(struct rig *rig, struct testing_engine *engine,
    struct testing_presence *presence, const struct engine_presence_ops *presence_ops)
{
	begin(rig, engine, &no_history);
	rig->config.presence = presence_ops;
	rig->presence = presence;
	presence->publish = on_engine_publish;
	presence->arg = rig;
	renew_link(rig);
}

void
rig_free(struct rig *rig)
{
	rig_lose(rig);
	link_free(rig->link);
	buffer_release(&rig->sent);
	buffer_release(&rig->in);
	buffer_release(&rig->heard);
}

void
rig_open(struct rig *rig)
{
	ck_assert_ptr_null(rig->parser);
	rig->parser = resp_parser_new(&limits);
	rig->given = 0;
	link_opened(rig->link, rig->now);
}

uint64_t
rig_turn(struct rig *rig)
{
	return link_turn(rig->link, rig->now);
}

void
rig_give(struct rig *rig, struct slice bytes)
{
	size_t first = bytes.len;

	if (rig->split_at > rig->given && rig->split_at < rig->given + bytes.len)
		first = rig->split_at - rig->given;
	rig->given += bytes.len;
	link_received(rig->link, (struct slice){bytes.ptr, first}, rig->now);
	if (first < bytes.len && rig->parser != NULL)
		link_received(
		    rig->link, (struct slice){bytes.ptr + first, bytes.len - first}, rig->now);
}

void
rig_give_text(struct rig *rig, const char *text)
{
	rig_give(rig, slice_of(text));
}

void
rig_serve(struct rig *rig)
{
	struct protocol_request request;
	struct buffer sent = rig->sent, in;
	size_t at = 0, taken;

	rig->sent = (struct buffer){0};
	while (at < sent.len) {
		enum protocol_status status = resp_parser_feed(
		    rig->parser, sent.ptr + at, sent.len - at, false, &taken, &request);

		ck_assert_int_ne(status, PROTOCOL_ERROR);
		at += taken;
		if (status == PROTOCOL_REQUEST)
			execute(rig, request.args, request.count);
	}
	ck_assert(rig->parser == NULL || resp_parser_is_idle(rig->parser));
	buffer_release(&sent);
	in = rig->in;
	rig->in = (struct buffer){0};
	if (in.len > 0 && rig->parser != NULL)
		rig_give(rig, buffer_slice(&in));
	buffer_release(&in);
}

void
rig_settle(struct rig *rig)
{
	size_t sent;

	do {
		rig_turn(rig);
		sent = rig->sent.len;
		rig_serve(rig);
	} while (sent > 0 && link_state_of(rig->link) != LINK_DOWN);
}

void
rig_go_up(struct rig *rig)
{
	rig_open(rig);
	rig_settle(rig);
	ck_assert_msg(link_state_of(rig->link) == LINK_UP, "%s: %s",
	    link_state_name(link_state_of(rig->link)), rig->why);
}

void
rig_pass(struct rig *rig, uint64_t us)
{
	uint64_t end = rig->now + us;

	while (rig->now < end && link_state_of(rig->link) != LINK_DOWN) {
		rig->now += 500000;
		rig_settle(rig);
	}
}

enum interest_state
rig_name(const struct rig *rig, const char *channel)
{
	return interest_of(link_interest(rig->link), HUB_CHANNEL, slice_of(channel));
}

void
rig_add(struct rig *rig, const char *channel)
{
	interest_add(link_interest(rig->link), HUB_CHANNEL, slice_of(channel));
}

void
rig_remove(struct rig *rig, const char *channel)
{
	interest_remove(link_interest(rig->link), HUB_CHANNEL, slice_of(channel), rig->now);
}
