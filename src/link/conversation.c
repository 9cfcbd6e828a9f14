#include "config.h"

#include "link/conversation.h"

#include <assert.h>

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
link_send_message(struct link *link, const char *verb, struct slice channel, struct slice payload)
{
	resp_put_array(&link->out, 3);
	resp_put_bulk_str(&link->out, verb);
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

	resp_put_array(&link->out, 2);
	resp_put_bulk_str(&link->out, "SUBSCRIBE");
	resp_put_bulk(&link->out, buffer_slice(&link->channel));
	link_expect(&link->expected, ANSWER_PROBE_SUBSCRIBED, 1);
	link_send_message(
	    link, "PUBLISH", buffer_slice(&link->channel), (struct slice){number, len});
	link_expect(&link->expected, ANSWER_PROBE_PUBLISHED, 1);
	link->probe_sent_us = now_us;
	link->probe_is_awaited = link->probe_is_unanswered = true;
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
