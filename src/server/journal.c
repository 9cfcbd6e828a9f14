#include "config.h"

#include "server/journal.h"

#include <assert.h>
#include <stdio.h>

#include "base/buffer.h"
#include "resp/writer.h"
#include "server/core.h"
#include "server/wait.h"

static void
put_word(struct buffer *out, const char *word)
{
	resp_put_array(out, 1);
	resp_put_bulk_str(out, word);
}

static void
select_database(struct journal *journal, uint32_t db)
{
	if (journal->has_db && journal->db == db)
		return;
	resp_put_array(&journal->batch, 2);
	resp_put_bulk_str(&journal->batch, "SELECT");
	resp_put_bulk_int(&journal->batch, db);
	journal->has_db = true;
	journal->db = db;
}

void
journal_append(struct journal *journal, uint32_t db, struct slice commands, size_t count)
{
	assert(journal->is_on);
	/* As in Redis, the SELECT comes before MULTI. */
	select_database(journal, db);
	if (count > 1)
		put_word(&journal->batch, "MULTI");
	buffer_append_slice(&journal->batch, commands);
	if (count > 1)
		put_word(&journal->batch, "EXEC");
}

void
server_journal_set(struct server *server, bool is_on, bool holds)
{
	struct journal *journal = server->journal;

	if (is_on && !journal->is_on)
		journal->has_db = false;
	/* Resumes requests that wait for a change without a reply, and WAITAOF. */
	if ((journal->holds && !(is_on && holds)) || (journal->is_on && !is_on))
		wait_event(server, WAIT_EVENT_DISK);
	journal->is_on = is_on;
	journal->holds = is_on && holds;
	if (!is_on)
		buffer_release(&journal->batch);
}

bool
server_journal_take(struct server *server, struct buffer *batch, uint64_t *number)
{
	struct journal *journal = server->journal;

	if (journal->batch.len == 0)
		return false;
	*batch = journal->batch;
	journal->batch = (struct buffer){0};
	*number = ++journal->taken;
	return true;
}

uint64_t
server_journal_taken(const struct server *server)
{
	return server->journal->taken;
}

void
server_journal_forget_database(struct server *server)
{
	server->journal->has_db = false;
}

void
server_refuse_writes(struct server *server, const char *error)
{
	struct journal *journal = server->journal;

	journal->refuses = error != NULL;
	if (error == NULL)
		return;
	snprintf(journal->refusal, sizeof(journal->refusal), "%s", error);
	/* Resumes writers that wait for the disk: they get the error at once. */
	wait_event(server, WAIT_EVENT_DISK);
}

void
server_journal_crowded(struct server *server, bool crowded)
{
	if (server->journal->is_crowded && !crowded)
		wait_event(server, WAIT_EVENT_DISK);
	server->journal->is_crowded = crowded;
}

uint64_t
server_changes(const struct server *server)
{
	return server->journal->changes;
}

void
server_saved(struct server *server, uint64_t changes)
{
	server->journal->changes -=
	    changes < server->journal->changes ? changes : server->journal->changes;
}

void
server_restore_changes(struct server *server, uint64_t changes)
{
	server->journal->changes = changes;
}
