#include "config.h"

#include "server/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "acl/user.h"
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "pubsub/hub.h"
#include "pubsub/hub_gather.h"
#include "pubsub/outbox.h"
#include "server/client_peer.h"
#include "server/clients.h"
#include "server/command.h"
#include "server/io.h"
#include "server/presence_question.h"
#include "server/transaction.h"
#include "server/watch.h"
#include "server/wire.h"

/* A reply is one frame of the log; frame lengths have 31 bits. */
#define FRAME_MAX ((size_t)1 << 30)

void
client_send_reply(struct client *c, struct slice reply)
{
	struct slice part;

	while (reply.len > 0) {
		part = (struct slice){reply.ptr, reply.len < FRAME_MAX ? reply.len : FRAME_MAX};
		outbox_push_reply(&c->subscriber.outbox, part);
		reply = (struct slice){reply.ptr + part.len, reply.len - part.len};
	}
}

const struct command *
client_last_command(const struct client *c)
{
	return c->last_command > 0 ? &c->server->commands->rows[c->last_command - 1] : NULL;
}

bool
client_is_subscribed(const struct client *c)
{
	return c->proto == 2 && client_subscriptions(c) > 0;
}

bool
client_is_muted(const struct client *c)
{
	return c->reply_mode == CLIENT_REPLY_OFF || c->reply_mode == CLIENT_REPLY_SKIP;
}

bool
client_is_pushed_to(const struct client *c)
{
	return client_subscriptions(c) > 0 || c->is_monitor ||
	       (c->wants_going_away && c->proto == 3);
}

void
client_subscriptions_changed(struct client *c)
{
	bool is_subscriber = client_subscriptions(c) > 0;

	if (is_subscriber != c->counted_subscriber) {
		c->counted_subscriber = is_subscriber;
		c->server->clients->subscriber_count += is_subscriber ? 1 : (size_t)-1;
	}
	is_subscriber = is_subscriber || c->is_monitor;
	if (is_subscriber == c->told_subscriber || client_is_gone(c))
		return;
	c->told_subscriber = is_subscriber;
	c->server->io->set_subscriber(client_conn(c), is_subscriber);
}

static void
choose_form(struct client *c)
{
	if (c->wants_positions)
		hub_set_form(&c->subscriber,
		    c->proto == 3 ? SERVER_FORM_RESP3_POSITIONS : SERVER_FORM_RESP2_POSITIONS);
	else
		hub_set_form(&c->subscriber, c->proto == 3 ? SERVER_FORM_RESP3 : SERVER_FORM_RESP2);
}

void
client_set_proto(struct client *c, int proto)
{
	c->proto = (uint8_t)proto;
	choose_form(c);
}

void
client_set_positions(struct client *c, bool wants_positions)
{
	c->wants_positions = wants_positions;
	choose_form(c);
}

const char *
client_label(const struct client *c, char *out, size_t out_len)
{
	char user[33];
	size_t i;

	/* Names may contain any bytes except blanks and NUL. */
	for (i = 0; i < sizeof(user) - 1 && c->user->name[i] != '\0'; i++) {
		char byte = c->user->name[i];

		user[i] = (char)(byte > ' ' && byte < 0x7f ? byte : '?');
	}
	user[i] = '\0';
	snprintf(out, out_len, "id=%" PRIu64 " addr=%s user=%s", c->id,
	    client_peer_address(c->peer), user);
	return out;
}

void
client_discard_transaction(struct client *c)
{
	struct session *s = c->session;

	if (s == NULL)
		return;
	transaction_free(s->transaction);
	s->transaction = NULL;
	watch_clear(c->server, &s->watch);
	session_trim(c);
}

void
client_request_over(struct client *c)
{
	struct pending *p = c->pending;

	if (p == NULL)
		return;
	if (p->publication.ticket != 0 || p->publication.drafts != 0 || p->publication.bytes != 0)
		hub_end_publication(c->server->hub, &p->publication);
	if (p->partial.cap > 0)
		buffer_release(&p->partial);
	if (p->read != NULL) {
		xfree(p->read);
		p->read = NULL;
	}
	if (p->sync != NULL) {
		xfree(p->sync);
		p->sync = NULL;
	}
	xfree(p->sent);
	p->sent = NULL;
	hub_gather_free(p->gather);
	p->gather = NULL;
	presence_question_free(p->presence);
	p->presence = NULL;
	p->running = NULL;
	p->progress = p->checked = p->counted = p->asked = 0;
	p->awaited_answers = p->awaited_sent = p->first_sent = 0;
	p->asking = UPSTREAM_NOT_ASKED;
	p->running_us = 0;
	p->login_at_us = 0;
	p->awaited_disk = 0;
	p->wait.memory_since_us = 0;
}
