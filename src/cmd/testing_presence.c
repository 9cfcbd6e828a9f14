#include "config.h"

#include "cmd/testing_presence.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "cmd/testing_server.h"
#include "server/core.h"
#include "server/upstream.h"

#define ITEMS_MAX 2000

struct test_presence test_presence;

static struct buffer told, text, asked;

static enum upstream_need
need(struct upstream *upstream, const struct upstream_name *name, uint64_t *mark)
{
	(void)upstream;
	(void)name;
	(void)mark;
	return UPSTREAM_READY;
}

static enum upstream_sending
send_message(struct upstream *upstream, const struct hub_post *post, bool may_wait)
{
	(void)upstream;
	(void)post;
	(void)may_wait;
	return UPSTREAM_LOCAL;
}

static void
figures(const struct upstream *upstream, struct upstream_figures *out)
{
	(void)upstream;
	*out = (struct upstream_figures){.mode = "engine"};
}

static enum upstream_sending
begin(struct upstream *upstream)
{
	(void)upstream;
	test_presence.begins++;
	return test_presence.sends;
}

static bool
has_room(const struct upstream *upstream)
{
	(void)upstream;
	return test_presence.room > 0;
}

const char *
test_presence_text(const struct upstream_presence_change *change)
{
	static const char *const names[] = {[PRESENCE_JOINED] = "join",
	    [PRESENCE_LEFT] = "leave",
	    [PRESENCE_OCCUPIED] = "occupied",
	    [PRESENCE_VACATED] = "vacated"};

	buffer_clear(&text);
	buffer_appendf(
	    &text, "%s %.*s", names[change->kind], (int)change->channel.len, change->channel.ptr);
	if (change->member.len > 0)
		buffer_appendf(&text, " %.*s=%.*s%s", (int)change->member.len, change->member.ptr,
		    (int)change->info.len, change->info.ptr, change->is_connected ? "*" : "");
	if (change->event.len > 0)
		buffer_appendf(&text, " > %.*s %.*s", (int)change->event_channel.len,
		    change->event_channel.ptr, (int)change->event.len, change->event.ptr);
	buffer_append(&text, "", 1);
	return text.ptr;
}

static void
change(struct upstream *upstream, const struct upstream_presence_change *what)
{
	(void)upstream;
	assert(test_presence.room > 0 && test_presence.lease_ms == 0);
	test_presence.room--;
	test_presence.changes++;
	buffer_append_str(&told, test_presence_text(what));
	buffer_append_str(&told, "\n");
}

static void
note_query(const struct upstream_presence_query *query)
{
	buffer_clear(&asked);
	switch (query->asks) {
	case UPSTREAM_PRESENCE_MEMBERS:
		buffer_appendf(&asked, "members %.*s %" PRIu64 " %zu", (int)query->channel.len,
		    query->channel.ptr, query->cursor, query->count);
		break;
	case UPSTREAM_PRESENCE_COUNT:
		buffer_append_str(&asked, "count");
		for (size_t i = 0; i < query->count; i++)
			buffer_appendf(
			    &asked, " %.*s", (int)query->channels[i].len, query->channels[i].ptr);
		break;
	case UPSTREAM_PRESENCE_CHANNELS:
		buffer_append_str(&asked, "channels");
		if (query->after.ptr != NULL)
			buffer_appendf(
			    &asked, " after %.*s", (int)query->after.len, query->after.ptr);
		break;
	}
	buffer_append(&asked, "", 1);
}

static enum upstream_sending
ask(struct upstream *upstream, const struct upstream_presence_query *query, uint64_t *ticket)
{
	(void)upstream;
	if (test_presence.sends != UPSTREAM_SENT)
		return test_presence.sends;
	note_query(query);
	test_presence.queries++;
	test_presence.told_before = test_presence.changes;
	*ticket = ++test_presence.ticket;
	return UPSTREAM_SENT;
}

static void
registered(struct upstream *upstream)
{
	(void)upstream;
	test_presence.registered++;
}

static void
end(struct upstream *upstream, uint64_t lease_ms)
{
	(void)upstream;
	assert(test_presence.lease_ms == 0);
	test_presence.lease_ms = lease_ms;
}

void
test_presence_begin(void)
{
	static const struct upstream_presence_ops presence_ops = {
	    begin, has_room, change, ask, registered, end};
	static const struct upstream_ops ops = {
	    .need = need, .send = send_message, .figures = figures};
	static struct upstream upstream;

	test_presence = (struct test_presence){.room = 1000};
	buffer_release(&told);
	buffer_release(&text);
	buffer_release(&asked);
	upstream = (struct upstream){.ops = &ops, .presence = &presence_ops};
	test_server->upstream = &upstream;
}

const char *
test_presence_told(void)
{
	static struct buffer out;

	for (int i = 0; i < 10; i++)
		test_turns(1);
	buffer_clear(&out);
	buffer_append_slice(&out, buffer_slice(&told));
	buffer_append(&out, "", 1);
	buffer_clear(&told);
	return out.ptr;
}

const char *
test_presence_asked(void)
{
	return asked.ptr;
}

/* The next word of *at, up to a space or comma. */
static struct slice
next_word(const char **at)
{
	struct slice word = {*at, strcspn(*at, " ,")};

	*at += word.len;
	if (**at == ' ')
		(*at)++;
	return word;
}

void
test_presence_answer(uint64_t ticket, uint64_t cursor, const char *items)
{
	static struct upstream_presence_item list[ITEMS_MAX];
	struct upstream_presence_answer answer = {.cursor = cursor, .items = list};

	for (const char *at = items; *at != '\0' && answer.count < ITEMS_MAX; answer.count++) {
		struct upstream_presence_item *item = &list[answer.count];

		item->name = next_word(&at);
		item->info = next_word(&at);
		item->number = strtoull(next_word(&at).ptr, NULL, 10);
		at += *at == ',';
	}
	server_presence_answered(test_server, ticket, &answer);
}

void
test_presence_refuse(uint64_t ticket)
{
	const struct upstream_presence_answer answer = {.is_refused = true};

	server_presence_answered(test_server, ticket, &answer);
}
