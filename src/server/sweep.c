#include "config.h"

#include "acl/login_delay.h"
#include "base/log.h"
#include "server/state.h"

/* Each client is looked at about once a second, as in Redis. */
#define SWEEP_INTERVAL_US 1000000
#define CLIENTS_A_TURN 1024
#define PAUSE_US 5000 /* between the parts of a sweep */

#define RAISE(peak, value) ((peak) = (value) > (peak) ? (value) : (peak))

static void
note_peaks(struct server_peaks *peaks, const struct client *c)
{
	const struct outbox *outbox = &c->subscriber.outbox;
	struct server_conn_figures figures = {0};

	c->server->io.conn_figures(c->conn, &figures);
	RAISE(peaks->input_bytes, figures.input_bytes);
	RAISE(peaks->outbox_bytes, outbox->bytes);
	RAISE(peaks->message_bytes, outbox->message_bytes);
	RAISE(peaks->reply_bytes, outbox_reply_bytes(outbox));
	RAISE(peaks->messages, outbox->messages);
	RAISE(peaks->subscriptions, client_subscriptions(c));
}

static void
sweep_client(struct client *c, uint64_t now_us)
{
	const char *reason;
	char label[160];

	note_peaks(&c->server->peaks_next, c);
	if (c->finishing)
		return;
	if (c->limits_version != c->server->limits_version)
		client_apply_limits(c);
	reason = client_over_limit(c, now_us);
	if (reason == NULL)
		return;
	c->server->counters.evicted_clients++;
	if (rate_limit_take(&c->server->log_limit, now_us))
		log_notice("closing client %s: %s", client_label(c, label, sizeof(label)), reason);
	client_kill(c, reason);
}

uint64_t
server_sweep(struct server *server, uint64_t now_us)
{
	struct client *c;
	size_t n;

	if (server->sweep_at == NULL) {
		if (now_us < server->next_sweep_us)
			return server->next_sweep_us - now_us;
		server->next_sweep_us = now_us + SWEEP_INTERVAL_US;
		hub_shrink(server->hub);
		login_delays_expire(server->login_delays, now_us);
		server->sweep_at = TAILQ_FIRST(&server->clients);
		server->peaks_next = (struct server_peaks){0};
	}
	for (n = 0; n < CLIENTS_A_TURN && (c = server->sweep_at) != NULL; n++) {
		server->sweep_at = TAILQ_NEXT(c, all);
		sweep_client(c, now_us);
	}
	if (server->sweep_at == NULL)
		server->peaks = server->peaks_next;
	return server->sweep_at != NULL ? PAUSE_US : SWEEP_INTERVAL_US;
}
