#include "config.h"

#include "server/held.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "pubsub/hub.h"
#include "pubsub/outbox.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/io.h"
#include "server/journal.h"
#include "server/sent_messages.h"
#include "server/sent_wait.h"
#include "server/statistics.h"
#include "server/wait.h"

/* No more requests are read from a client with this many held replies. */
#define FULL_BYTES ((size_t)1 << 20)
#define FULL_REPLIES 16384

struct held_reply {
	uint64_t number;     /* the batch that it waits for */
	uint64_t sent;       /* the message to the upstream that it waits for */
	uint64_t first_sent; /* its command sent the messages from this one on; 0: none */
	char *failure;       /* owned: the error of one of these messages; NULL: none failed */
	size_t len;
	bool is_change;
	bool has_barrier; /* a barrier in the outbox, which sending the reply opens */
	bool has_state;   /* see held_note_state */
};

/*
 * The held replies of one client, and what they wait for. It exists from a change until the change
 * is on disk and the replies are sent, or a little longer.
 */
struct held {
	TAILQ_ENTRY(client) holding; /* while is_holding */
	uint64_t unsynced;           /* the batch that the client's last change is in, and for which
					its replies wait */
	uint64_t written;            /* the same, also while the journal does not hold */
	uint64_t sent;               /* the client's last message to the upstream */
	bool is_holding;             /* there are replies */
	struct buffer bytes;         /* the replies, from bytes_at on */
	struct buffer replies;       /* struct held_reply each, from next on */
	size_t bytes_at;
	size_t next;
};

static struct held_reply *
reply_at(const struct held *held, size_t i)
{
	return (struct held_reply *)(void *)held->replies.ptr + i;
}

static size_t
reply_count(const struct held *held)
{
	return held->replies.len / sizeof(struct held_reply);
}

/* Drops the replies that were not sent. */
static void
drop_replies(struct held *held)
{
	for (size_t i = held->next; i < reply_count(held); i++)
		xfree(reply_at(held, i)->failure);
	held->next = reply_count(held);
}

bool
held_is_empty(const struct client *c)
{
	return c->held == NULL || !c->held->is_holding;
}

static struct held *
held_of(struct client *c)
{
	if (c->held == NULL)
		c->held = xcalloc(1, sizeof(*c->held));
	return c->held;
}

/* The number of the batch with the client's last change. 0 if no batch is recorded: then the change
 * is on disk. */
static uint64_t
unsynced(const struct client *c)
{
	return c->held != NULL ? c->held->unsynced : 0;
}

bool
held_is_unsynced(const struct client *c)
{
	const struct journal *journal = c->server->journal;

	/* A number above that of the current batch is of a batch that was discarded when the
	 * journal was switched off. */
	return journal->holds && !journal->has_failed && unsynced(c) > journal->kept &&
	       unsynced(c) <= journal->taken + (journal->batch.len > 0);
}

bool
held_is_synced(const struct client *c)
{
	const struct journal *journal = c->server->journal;

	return c->held == NULL || !journal->is_on || c->held->written <= journal->kept ||
	       c->held->written > journal->taken + (journal->batch.len > 0);
}

size_t
held_bytes(const struct client *c)
{
	return c->held == NULL ? 0 : c->held->bytes.len - c->held->bytes_at;
}

bool
held_is_full(const struct client *c)
{
	return c->held != NULL && (held_bytes(c) >= FULL_BYTES ||
				      reply_count(c->held) - c->held->next >= FULL_REPLIES);
}

void
held_note_pushes(struct client *c)
{
	if (c->pending != NULL)
		c->pending->has_pushed = true;
}

void
held_note_state(struct client *c)
{
	if (c->pending != NULL)
		c->pending->has_new_state = true;
}

void
held_note_change(struct client *c)
{
	held_of(c)->written = c->server->journal->taken + 1;
	if (!c->server->journal->holds)
		return;
	c->held->unsynced = c->held->written;
	if (c->pending != NULL)
		c->pending->has_changed = true;
}

void
held_note_sent(struct client *c, uint64_t number)
{
	held_of(c)->sent = number;
	if (c->pending != NULL && c->pending->first_sent == 0)
		c->pending->first_sent = number;
}

/* True if the upstream has not answered one of these messages. first 0: the last one only. */
static bool
is_unanswered(const struct client *c, uint64_t first, uint64_t last)
{
	return !sent_messages_are_answered(
	    c->server->sent_messages, first != 0 ? first : last, last);
}

/* The same for the client's last message. */
static bool
awaits_upstream(const struct client *c)
{
	return c->held != NULL && is_unanswered(c, 0, c->held->sent);
}

void
held_note_no_change(struct client *c)
{
	const struct journal *journal = c->server->journal;
	uint64_t last = journal->taken + (journal->batch.len > 0);

	if (journal->holds && last > journal->kept && last > unsynced(c))
		held_of(c)->unsynced = last;
}

void
held_trim(struct client *c)
{
	const struct journal *journal = c->server->journal;

	if (c->held == NULL || c->held->is_holding || !held_is_synced(c) || awaits_upstream(c) ||
	    (journal->holds && c->held->unsynced > journal->kept))
		return;
	xfree(c->held);
	c->held = NULL;
}

static void
hold(struct client *c)
{
	held_of(c)->is_holding = true;
	TAILQ_INSERT_TAIL(&c->server->journal->holding, c, held->holding);
	if (!client_is_gone(c))
		c->server->io->set_expects_output(client_conn(c), true);
}

static void
let_go(struct client *c)
{
	struct held *held = c->held;

	TAILQ_REMOVE(&c->server->journal->holding, c, held->holding);
	drop_replies(held);
	buffer_release(&held->bytes);
	buffer_release(&held->replies);
	held->bytes_at = held->next = 0;
	held->is_holding = false;
	held_trim(c);
	if (client_door(c) != NULL && !client_is_open(c)) /* that was its last reply */
		outbox_seal(&c->subscriber.outbox);
	if (!client_is_gone(c))
		c->server->io->set_expects_output(client_conn(c), false);
}

static bool
becomes_error(struct client *c, bool is_change, struct buffer *error)
{
	const struct journal *journal = c->server->journal;

	if (!is_change || !journal->has_failed)
		return false;
	buffer_clear(error);
	resp_put_error(error, slice_of(journal->failure));
	statistics_count_error(c->server->statistics, slice_of(journal->failure));
	return true;
}

/* Returns owned (xfree). */
static char *
text_of(struct slice error)
{
	return xasprintf("%.*s", (int)error.len, error.ptr);
}

/* Takes what the running command noted for its reply; it does not apply to later replies. */
static struct held_reply
take_notes(struct client *c, size_t len)
{
	/* While the journal does not hold, the number may be that of a batch that was discarded. */
	struct held_reply mark = {
	    .number = c->server->journal->holds ? unsynced(c) : 0,
	    .sent = c->held != NULL ? c->held->sent : 0,
	    .len = len,
	};
	struct pending *p = c->pending;

	if (p == NULL)
		return mark;
	mark.is_change = p->has_changed;
	mark.has_barrier = p->has_pushed && c->subscriber.outbox.barrier == NULL;
	mark.has_state = p->has_new_state;
	mark.first_sent = p->first_sent;
	p->first_sent = 0;
	if (mark.first_sent != 0 && c->server->sent_messages->last_failed >= mark.first_sent)
		mark.failure = text_of(buffer_slice(&c->server->sent_messages->last_error));
	p->has_pushed = p->has_changed = p->has_new_state = false;
	return mark;
}

static void
clear_notes(struct client *c)
{
	if (c->pending == NULL)
		return;
	c->pending->first_sent = 0;
	c->pending->has_pushed = c->pending->has_changed = c->pending->has_new_state = false;
}

/*
 * Neither the messages behind the barrier nor later replies are sent, because the client could not
 * interpret them.
 */
static void
end_after_error(struct client *c)
{
	if (c->held != NULL)
		drop_replies(c->held);
	client_finish(c);
}

/* The error of a message at the upstream. A door's client has no reply that says it: it is closed.
 * False: it was. */
static bool
send_failure(struct client *c, const char *failure)
{
	struct buffer error = {0};

	if (client_door(c) != NULL) {
		end_after_error(c);
		return false;
	}
	resp_put_error(&error, slice_of(failure));
	statistics_count_error(c->server->statistics, slice_of(failure));
	client_send_reply(c, buffer_slice(&error));
	buffer_release(&error);
	return true;
}

/* True if the reply must be held; then it has been copied. */
static bool
take(struct client *c, struct slice reply)
{
	struct journal *journal = c->server->journal;
	struct held_reply mark = take_notes(c, reply.len);
	struct buffer error = {0};

	/*
	 * The journal has failed since the command was accepted: an earlier batch could not be
	 * written.
	 */
	if (becomes_error(c, mark.is_change, &error)) {
		outbox_push_reply(&c->subscriber.outbox, buffer_slice(&error));
		buffer_release(&error);
		if (mark.has_state) {
			if (c->subscriber.outbox.barrier == NULL)
				outbox_bar(&c->subscriber.outbox);
			client_finish(c);
		}
		return true;
	}
	/* While the journal fails no new reply is held: replies to changes that are not on disk
	 * were replaced by its error. */
	if (held_is_empty(c) && !is_unanswered(c, mark.first_sent, mark.sent) &&
	    (unsynced(c) <= journal->kept || journal->has_failed)) {
		if (mark.failure == NULL)
			return false;
		(void)send_failure(c, mark.failure);
		xfree(mark.failure);
		return true;
	}
	if (held_is_empty(c))
		hold(c);
	if (mark.has_barrier)
		outbox_bar(&c->subscriber.outbox);
	buffer_append_slice(&c->held->bytes, reply);
	buffer_append(&c->held->replies, &mark, sizeof(mark));
	return true;
}

void
held_push_reply(struct client *c, struct slice reply)
{
	/* It waits behind replies that are held already, even if nothing new is held any more. */
	bool has_sent = c->pending != NULL && c->pending->first_sent != 0;
	bool may_wait = reply.len > 0 && (c->server->journal->holds || !held_is_empty(c) ||
					     awaits_upstream(c) || has_sent);

	if (!may_wait)
		clear_notes(c);
	if (!may_wait || !take(c, reply))
		client_send_reply(c, reply);
}

/* Removes the replies that were sent, so that the buffers of a client that always has held replies
 * do not grow without end. */
static void
compact(struct held *held)
{
	size_t done = held->next * sizeof(struct held_reply);

	if (held->bytes_at < held->bytes.len / 2 || done < held->replies.len / 2)
		return;
	held->bytes.len -= held->bytes_at;
	memmove(held->bytes.ptr, held->bytes.ptr + held->bytes_at, held->bytes.len);
	held->replies.len -= done;
	memmove(held->replies.ptr, held->replies.ptr + done, held->replies.len);
	held->bytes_at = held->next = 0;
}

/* Sends a held reply, or the error that it became. False: the client was closed. */
static bool
send_held(struct client *c, struct held_reply *reply)
{
	const struct held *held = c->held;
	struct buffer error = {0};
	bool goes_on = true;

	if (reply->failure != NULL) {
		goes_on = send_failure(c, reply->failure);
		if (goes_on) { /* otherwise the replies were dropped */
			xfree(reply->failure);
			reply->failure = NULL;
		}
		return goes_on;
	}
	if (reply->number > c->server->journal->kept &&
	    becomes_error(c, reply->is_change, &error)) {
		client_send_reply(c, buffer_slice(&error));
		goes_on = !reply->has_state;
		if (!goes_on)
			end_after_error(c);
	} else {
		client_send_reply(c, (struct slice){held->bytes.ptr + held->bytes_at, reply->len});
	}
	buffer_release(&error);
	return goes_on;
}

/* Sends the held replies of one client up to this batch. */
static void
release(struct client *c, uint64_t number)
{
	struct held *held = c->held;

	for (; held->next < reply_count(held); held->next++) {
		struct held_reply *reply = reply_at(held, held->next);

		if (reply->number > number || is_unanswered(c, reply->first_sent, reply->sent) ||
		    !send_held(c, reply))
			break;
		held->bytes_at += reply->len;
		if (reply->has_barrier)
			hub_unbar(&c->subscriber);
	}
	if (held->next == reply_count(held))
		let_go(c);
	else
		compact(held);
}

static void
release_all(struct server *server, uint64_t number)
{
	struct client *c, *next;

	for (c = TAILQ_FIRST(&server->journal->holding); c != NULL; c = next) {
		next = TAILQ_NEXT(c, held->holding);
		release(c, number);
	}
	/* Resumes the requests that wait for the disk. */
	wait_event(server, WAIT_EVENT_DISK);
}

/* Of the messages whose answers are told now. */
static void
note_failures(struct client *c)
{
	struct sent_messages *messages = c->server->sent_messages;

	for (size_t i = c->held->next; i < reply_count(c->held); i++) {
		struct held_reply *reply = reply_at(c->held, i);
		struct slice error;

		if (reply->first_sent == 0 || reply->failure != NULL)
			continue;
		error = sent_messages_error(messages, reply->first_sent, reply->sent);
		if (error.len > 0)
			reply->failure = text_of(error);
	}
}

void
server_upstream_tell(struct server *server)
{
	const struct journal *journal = server->journal;
	struct client *c;

	if (!sent_messages_has_news(server->sent_messages))
		return;
	if (server->sent_messages->failures.len > 0)
		TAILQ_FOREACH (c, &journal->holding, held->holding)
			note_failures(c);
	sent_waits_tell(server);
	sent_messages_told(server->sent_messages);
	release_all(server, journal->has_failed ? UINT64_MAX : journal->kept);
}

void
held_forget(struct client *c)
{
	if (!held_is_empty(c))
		let_go(c);
	xfree(c->held);
	c->held = NULL;
}

void
server_journal_kept(struct server *server, uint64_t number)
{
	if (number <= server->journal->kept)
		return;
	server->journal->kept = number;
	release_all(server, number);
}

void
server_journal_failed(struct server *server, const char *error)
{
	struct journal *journal = server->journal;

	journal->has_failed = error != NULL;
	if (error == NULL)
		return;
	snprintf(journal->failure, sizeof(journal->failure), "%s", error);
	release_all(server, UINT64_MAX);
}
