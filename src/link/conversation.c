#include "config.h"

#include "link/conversation.h"

#include <assert.h>
#include <string.h>

#include "link/engine.h"
#include "link/engine_claims.h"
#include "link/interest.h"
#include "resp/writer.h"

#define WHY_BYTES 320

void
link_advance(struct link *link, enum link_event event)
{
	link->state = link_next(link->state, event);
	if (link->state == LINK_UP && event == LINK_JOINED)
		link->figures.connections++;
}

/* The link is down afterwards. */
void
link_drop(struct link *link, const char *why)
{
	if (link->state == LINK_DOWN)
		return;
	link->ops->drop(link->arg, why);
	assert(link->state == LINK_DOWN);
}

/* With what the upstream said, which may be anything. */
void
link_drop_for(struct link *link, const char *why, struct slice error)
{
	struct buffer text = {0};

	if (error.len > WHY_BYTES / 2)
		error.len = WHY_BYTES / 2;
	buffer_append_str(&text, why);
	buffer_append_escaped(&text, error);
	buffer_append(&text, "", 1);
	link_drop(link, text.ptr);
	buffer_release(&text);
}

/* Commands */

void
link_send_hello(struct link *link)
{
	const char *user = link->config->user, *password = link->config->password;
	bool authenticates = password != NULL && password[0] != '\0';

	resp_put_array(&link->out, authenticates ? 7 : 4);
	resp_put_bulk_str(&link->out, "HELLO");
	resp_put_bulk_str(&link->out, "3");
	if (authenticates) {
		resp_put_bulk_str(&link->out, "AUTH");
		resp_put_bulk_str(&link->out, user != NULL && user[0] != '\0' ? user : "default");
		resp_put_bulk_str(&link->out, password);
	}
	resp_put_bulk_str(&link->out, "SETNAME");
	resp_put_bulk_str(&link->out, "fanfare-link");
	link_expect(&link->expected, ANSWER_HELLO, 1);
}

void
link_send_info(struct link *link)
{
	resp_put_array(&link->out, 1);
	resp_put_bulk_str(&link->out, "INFO");
	link_expect(&link->expected, ANSWER_INFO, 1);
}

void
link_send_message(struct link *link, enum hub_kind kind, struct slice channel, struct slice payload)
{
	resp_put_array(&link->out, 3);
	resp_put_bulk_str(&link->out, kind == HUB_SHARD ? "SPUBLISH" : "PUBLISH");
	resp_put_bulk(&link->out, channel);
	resp_put_bulk(&link->out, payload);
}

void
link_ask_role(struct link *link)
{
	resp_put_array(&link->out, 1);
	resp_put_bulk_str(&link->out, "HELLO");
	link_expect(&link->expected, ANSWER_HELLO, 1);
}

/* It subscribes each time: subscribers here may have subscribed to the channel and left it. */
void
link_send_probe(struct link *link, uint64_t now_us)
{
	char number[BYTES_U64_MAX];
	size_t len = bytes_from_u64(number, ++link->probe);
	enum hub_kind kind = link->config->cluster != NULL ? HUB_SHARD : HUB_CHANNEL;

	resp_put_array(&link->out, 2);
	resp_put_bulk_str(&link->out, kind == HUB_SHARD ? "SSUBSCRIBE" : "SUBSCRIBE");
	resp_put_bulk(&link->out, buffer_slice(&link->channel));
	link_expect(&link->expected, ANSWER_PROBE_SUBSCRIBED, 1);
	link_send_message(link, kind, buffer_slice(&link->channel), (struct slice){number, len});
	link_expect(&link->expected, ANSWER_PROBE_PUBLISHED, 1);
	link->probe_sent_us = now_us;
	link->probe_is_awaited = link->probe_is_unanswered = true;
	link->probe_has_moved = false;
}

/* With notices, an outbox of the upstream that drops messages says so: see PUSH_LAGGED. */
void
link_send_options(struct link *link)
{
	static const char *const words[] = {"OUTBOX", "SET", "NOTIFY", "yes", "POSITIONS", "yes"};

	resp_put_array(&link->out, sizeof(words) / sizeof(*words));
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		resp_put_bulk_str(&link->out, words[i]);
	link_expect(&link->expected, ANSWER_POSITIONS, 1);
}

void
link_ask_position(struct link *link)
{
	resp_put_array(&link->out, 2);
	resp_put_bulk_str(&link->out, "HISTORY");
	resp_put_bulk_str(&link->out, "POSITION");
	link_expect(&link->expected, ANSWER_POSITION, 1);
}

void
link_ask_whether_settled(struct link *link)
{
	resp_put_array(&link->out, 3);
	resp_put_bulk_str(&link->out, link->settled_by_kind == HUB_PATTERN ? "PRESUME" : "RESUME");
	resp_put_bulk(&link->out, buffer_slice(&link->settled_by));
	resp_put_bulk_str(&link->out, "$");
	link_expect(&link->expected, ANSWER_SETTLED, 1);
}

void
link_send_scripts(struct link *link)
{
	for (size_t script = 0; script < ENGINE_SCRIPTS; script++) {
		engine_put_script(&link->out, (enum engine_script)script);
		link_expect(&link->expected, ANSWER_SCRIPT, 1);
	}
}

void
link_send_greeting(struct link *link)
{
	engine_write_greeting(link->engine, &link->out);
	link_expect(&link->expected, ANSWER_GREETING, 1);
}

void
link_send_check(struct link *link, uint64_t now_us)
{
	link->checked_us = now_us;
	engine_write_check(link->engine, &link->out);
	link_expect(&link->expected, ANSWER_CHECKED, 1);
}

void
link_send_claims(struct link *link, uint64_t now_us)
{
	size_t commands = engine_claims_write(
	    link->config->claims, engine_shas_of(link->engine), now_us, &link->out);

	while (commands-- > 0)
		link_expect(&link->expected, ANSWER_CLAIMED, 1);
}

/* The name that begins at *at in link->ahead, and the place of the next one. */
static struct slice
next_ahead(const struct link *link, size_t *at)
{
	struct slice name;

	memcpy(&name.len, link->ahead.ptr + *at, sizeof(name.len));
	name.ptr = link->ahead.ptr + *at + sizeof(name.len);
	*at += sizeof(name.len) + name.len;
	return name;
}

/* Subscribes to the names whose history is loaded, and loads it: when the command with all names is
 * confirmed, a message of them has either been loaded or comes. */
static void
send_ahead(struct link *link)
{
	size_t at = 0;

	if (link->ahead_count == 0)
		return;
	resp_put_array(&link->out, link->ahead_count + 1);
	resp_put_bulk_str(&link->out, "SUBSCRIBE");
	for (size_t i = 0; i < link->ahead_count; i++)
		resp_put_bulk(&link->out, next_ahead(link, &at));
	link_expect(&link->expected, ANSWER_AHEAD, link->ahead_count);
	at = 0;
	for (size_t i = 0; i < link->ahead_count; i++) {
		engine_write_load(link->engine, next_ahead(link, &at), &link->out);
		link_expect(&link->expected, ANSWER_LOADED, 1);
	}
}

struct interest_command
link_send_interest(struct link *link, uint64_t now_us)
{
	struct slice since = catch_up_since(&link->catch_up);
	struct interest_command command;
	struct buffer text = {0};
	size_t room;

	if (link->engine == NULL)
		return interest_write(link->interest, now_us, since, &link->out);
	room = engine_load_room(link->engine);
	buffer_clear(&link->ahead);
	link->ahead_count = 0;
	interest_set_batch(link->interest, room < INTEREST_BATCH ? room : INTEREST_BATCH);
	command = interest_write(link->interest, now_us, since, &text);
	send_ahead(link);
	buffer_append_slice(&link->out, buffer_slice(&text));
	buffer_release(&text);
	return command;
}
