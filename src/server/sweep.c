#include "config.h"

#include "server/sweep.h"

#include "acl/login_delay.h"
#include "base/log.h"
#include "pubsub/hub.h"
#include "pubsub/outbox.h"
#include "server/access.h"
#include "server/client.h"
#include "server/client_limits.h"
#include "server/clients.h"
#include "server/held.h"
#include "server/io.h"
#include "server/statistics.h"

/* Each client is checked about once a second, as in Redis. */
#define SWEEP_INTERVAL_US 1000000
#define CLIENTS_A_TURN 1024
#define PAUSE_US 5000 /* between the parts of a sweep */

#define RAISE(peak, value) ((peak) = (value) > (peak) ? (value) : (peak))

static void
note_peaks(struct client_peaks *peaks, const struct client *c)
{
	const struct outbox *outbox = &c->subscriber.outbox;
	struct conn_figures figures = {0};

	c->server->io->conn_figures(client_conn(c), &figures);
	RAISE(peaks->input_bytes, figures.input_bytes);
	RAISE(peaks->outbox_bytes, outbox->bytes);
	RAISE(peaks->message_bytes, outbox->message_bytes);
	RAISE(peaks->reply_bytes, outbox_reply_bytes(outbox));
	RAISE(peaks->messages, outbox->messages);
	RAISE(peaks->subscriptions, client_subscriptions(c));
	RAISE(peaks->joins, client_join_count(c));
}

static void
count_subscriber(struct subscriber_counts *counts, const struct client *c)
{
	const struct outbox *outbox = &c->subscriber.outbox;

	if (client_subscriptions(c) == 0)
		return;
	counts->by_policy[outbox->limits.policy]++;
	counts->by_form[outbox->form]++;
}

static void
sweep_client(struct client *c, uint64_t now_us)
{
	note_peaks(&c->server->sweep->peaks, c);
	count_subscriber(&c->server->sweep->subscribers, c);
	held_trim(c);
	session_trim(c); /* its joins may have ended because presence was switched off */
	if (!client_is_open(c))
		return;
	if (c->limits_version != c->server->limits_version)
		client_apply_limits(c);
	client_check_limits(c, now_us);
}

uint64_t
sweep_turn(struct server *server, uint64_t now_us)
{
	struct sweep *sweep = server->sweep;
	struct client *c;
	size_t n;

	if (sweep->at == NULL) {
		if (now_us < sweep->next_us)
			return sweep->next_us - now_us;
		sweep->next_us = now_us + SWEEP_INTERVAL_US;
		hub_shrink(server->hub);
		login_delays_expire(server->access->login_delays, now_us);
		sweep->at = TAILQ_FIRST(&server->clients->open);
		sweep->peaks = (struct client_peaks){0};
		sweep->subscribers = (struct subscriber_counts){0};
	}
	for (n = 0; n < CLIENTS_A_TURN && (c = sweep->at) != NULL; n++) {
		sweep->at = TAILQ_NEXT(c, all);
		sweep_client(c, now_us);
	}
	if (sweep->at == NULL) {
		server->statistics->peaks = sweep->peaks;
		server->statistics->subscribers = sweep->subscribers;
	}
	return sweep->at != NULL ? PAUSE_US : SWEEP_INTERVAL_US;
}

void
sweep_restart(struct sweep *sweep)
{
	sweep->at = NULL;
	sweep->next_us = 0;
}

void
sweep_forget(struct client *c)
{
	if (c->server->sweep->at == c)
		c->server->sweep->at = TAILQ_NEXT(c, all);
}
