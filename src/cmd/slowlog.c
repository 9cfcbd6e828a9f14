#include "config.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "cmd/handlers.h"
#include "cmd/help.h"
#include "cmd/long_reply.h"
#include "resp/writer.h"
#include "server/job.h"
#include "server/request.h"
#include "server/slowlog.h"

/*
 * SLOWLOG. The log may be long and each entry may have some KiB, so it is read in slices. Entries
 * may be added and removed meanwhile; therefore all are collected before the first is sent.
 */
#define COUNT_BY_DEFAULT 10
#define AT_ONCE_US 1000
#define ENTRIES_A_LOOK 32

struct get {
	uint64_t next_id; /* of the newest entry that has not been read */
	uint64_t left;
	size_t count;
	struct long_reply entries;
	bool is_gathered;
};

static void
get_free(void *state)
{
	struct get *get = state;

	long_reply_release(&get->entries);
	xfree(get);
}

static void
put_entry(struct buffer *out, const struct slowlog_entry *entry)
{
	size_t i;

	resp_put_array(out, 6);
	resp_put_int(out, (int64_t)entry->id);
	resp_put_int(out, (int64_t)entry->time_s);
	resp_put_int(out, (int64_t)entry->duration_us);
	resp_put_array(out, entry->argc);
	for (i = 0; i < entry->argc; i++)
		resp_put_bulk(out, (struct slice){entry->argv[i], entry->argv_len[i]});
	resp_put_bulk_str(out, entry->address);
	resp_put_bulk_str(out, entry->name);
}

/* Ids are consecutive, so the position of an entry is the distance of its id from the newest. */
static const struct slowlog_entry *
entry_by_id(const struct slowlog *log, uint64_t id)
{
	const struct slowlog_entry *newest = slowlog_get(log, 0);

	return newest != NULL && newest->id >= id ? slowlog_get(log, newest->id - id) : NULL;
}

/* Returns false if the time is up before all entries are collected. */
static bool
gather(struct get *get, const struct slowlog *log, uint64_t deadline_us)
{
	const struct slowlog_entry *entry;

	while (get->left > 0) {
		entry = entry_by_id(log, get->next_id);
		if (entry == NULL)
			break;
		put_entry(long_reply_room(&get->entries), entry);
		get->count++;
		get->left--;
		if (get->next_id-- == 0)
			break;
		if (get->count % ENTRIES_A_LOOK == 0 && clock_mono_us() >= deadline_us)
			return false;
	}
	return true;
}

static enum job_state
get_step(void *state, struct job_step *step)
{
	struct get *get = state;

	if (!get->is_gathered) {
		if (!gather(get, step->server->slowlog, step->deadline_us))
			return JOB_MORE;
		get->is_gathered = true;
		resp_put_array(step->reply, get->count);
	}
	return long_reply_send(&get->entries, step);
}

enum command_result
cmd_slowlog_get(struct request *rq)
{
	static const struct job_kind kind = {"slowlog get", get_step, get_free};
	struct job_step step = long_reply_first_step(rq, AT_ONCE_US);
	const struct slowlog_entry *newest = slowlog_get(rq->server->slowlog, 0);
	int64_t count = COUNT_BY_DEFAULT;
	struct get *get;

	if (rq->argc > 3) {
		request_subcommand_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (rq->argc == 3 && (!slice_to_i64(rq->argv[2], &count) || count < -1)) {
		request_error(rq, "ERR count should be greater than or equal to -1");
		return COMMAND_DONE;
	}
	get = xcalloc(1, sizeof(*get));
	get->left = newest == NULL ? 0 : count < 0 ? UINT64_MAX : (uint64_t)count;
	get->next_id = newest != NULL ? newest->id : 0;
	if (get_step(get, &step) == JOB_DONE)
		get_free(get);
	else
		job_start(rq->server, rq->client, &kind, get);
	return COMMAND_DONE;
}

enum command_result
cmd_slowlog_len(struct request *rq)
{
	resp_put_int(rq->reply, (int64_t)slowlog_len(rq->server->slowlog));
	return COMMAND_DONE;
}

enum command_result
cmd_slowlog_reset(struct request *rq)
{
	slowlog_reset(rq->server->slowlog);
	request_ok(rq);
	return COMMAND_DONE;
}

enum command_result
cmd_slowlog_help(struct request *rq)
{
	return request_help_from_table(rq);
}
