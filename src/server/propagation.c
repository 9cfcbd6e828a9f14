#include "config.h"

#include "server/propagation.h"

#include "base/buffer.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/held.h"
#include "server/journal.h"
#include "server/request.h"

/* Memory kept for the next command. */
#define KEEP_BYTES 65536

static void
put_command(struct buffer *out, const struct slice *argv, size_t argc)
{
	size_t i;

	resp_put_array(out, argc);
	for (i = 0; i < argc; i++)
		resp_put_bulk(out, argv[i]);
}

/* A transaction may change several databases. */
static void
log_select(struct server *server, uint32_t db)
{
	char digits[BYTES_I64_MAX];
	struct slice argv[] = {SLICE("SELECT"), {digits, bytes_from_i64(digits, db)}};

	put_command(&server->propagation->commands, argv, 2);
	server->propagation->count++;
	server->propagation->at_db = db;
}

static void
log_command(struct server *server, uint32_t db, const struct slice *argv, size_t argc)
{
	if (server->propagation->count == 0)
		server->propagation->db = server->propagation->at_db = db;
	else if (server->propagation->at_db != db)
		log_select(server, db);
	put_command(&server->propagation->commands, argv, argc);
	server->propagation->count++;
}

/* The removal is not part of a command. In a transaction it follows earlier changes of the key. */
void
propagation_removed(struct server *server, uint32_t db, struct slice name)
{
	const struct slice argv[] = {SLICE("DEL"), name};
	struct buffer command = {0};

	if (!server->journal->is_on)
		return;
	if (server->propagation->count > 0) {
		log_command(server, db, argv, 2);
		return;
	}
	put_command(&command, argv, 2);
	journal_append(server->journal, db, buffer_slice(&command), 1);
	buffer_release(&command);
}

void
propagation_discard(struct propagation *p)
{
	buffer_clear(&p->commands);
	buffer_shrink(&p->commands, KEEP_BYTES);
	p->count = 0;
}

void
request_propagate(struct request *rq, const struct slice *argv, size_t argc)
{
	rq->logged = true;
	if (!rq->server->journal->is_on)
		return;
	log_command(rq->server, rq->client->db, argv, argc);
}

void
propagation_finish(struct request *rq)
{
	struct server *server = rq->server;

	server->journal->changes += rq->changes;
	if (!server->journal->is_on)
		return;
	if (!rq->logged)
		request_propagate(rq, rq->argv, rq->argc);
	if (!rq->in_transaction)
		propagation_commit(server, rq->client);
}

/*
 * At its end the transaction selects the database of its beginning again, which the journal
 * expects.
 */
void
propagation_commit(struct server *server, struct client *c)
{
	if (server->propagation->count == 0)
		return;
	/* A transaction may have switched the journal off. */
	if (server->journal->is_on) {
		if (server->propagation->at_db != server->propagation->db)
			log_select(server, server->propagation->db);
		journal_append(server->journal, server->propagation->db,
		    buffer_slice(&server->propagation->commands), server->propagation->count);
		held_note_change(c);
	}
	propagation_discard(server->propagation);
}
