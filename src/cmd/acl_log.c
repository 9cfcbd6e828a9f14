#include "config.h"

#include "acl/acl_log.h"
#include "base/clock.h"
#include "cmd/handlers.h"
#include "resp/writer.h"
#include "server/access.h"

/* ACL LOG. The log is short (its length is bounded), so one reply can show all of it. */

#define COUNT_BY_DEFAULT 10

static void
put_entry(struct request *rq, const struct acl_log_entry *entry, uint64_t now_ms)
{
	struct buffer *out = rq->reply;

	resp_put_map(out, rq->proto, 10);
	resp_put_bulk_str(out, "count");
	resp_put_int(out, (int64_t)entry->count);
	resp_put_bulk_str(out, "reason");
	resp_put_bulk_str(out, acl_log_reason_name(entry->reason));
	resp_put_bulk_str(out, "context");
	resp_put_bulk_str(out, acl_log_context_name(entry->context));
	resp_put_bulk_str(out, "object");
	resp_put_bulk(out, (struct slice){entry->object, entry->object_len});
	resp_put_bulk_str(out, "username");
	resp_put_bulk(out, (struct slice){entry->user, entry->user_len});
	resp_put_bulk_str(out, "age-seconds");
	resp_put_double(out, rq->proto, (double)(int64_t)(now_ms - entry->updated_ms) / 1000);
	resp_put_bulk_str(out, "client-info");
	resp_put_bulk_str(out, entry->client);
	resp_put_bulk_str(out, "entry-id");
	resp_put_int(out, (int64_t)entry->id);
	resp_put_bulk_str(out, "timestamp-created");
	resp_put_int(out, (int64_t)entry->created_ms);
	resp_put_bulk_str(out, "timestamp-last-updated");
	resp_put_int(out, (int64_t)entry->updated_ms);
}

enum command_result
cmd_acl_log(struct request *rq)
{
	struct acl_log *log = &rq->server->access->log;
	uint64_t now_ms = clock_wall_us() / 1000;
	const struct acl_log_entry *entry;
	int64_t count = COUNT_BY_DEFAULT;

	if (rq->argc > 3) {
		request_subcommand_syntax_error(rq);
		return COMMAND_DONE;
	}
	if (rq->argc == 3 && slice_is_nocase(rq->argv[2], "reset")) {
		acl_log_reset(log);
		request_ok(rq);
		return COMMAND_DONE;
	}
	if (rq->argc == 3 && !slice_to_i64(rq->argv[2], &count)) {
		request_error(rq, "ERR value is not an integer or out of range");
		return COMMAND_DONE;
	}
	if (count < 0)
		count = 0;
	if ((uint64_t)count > log->len)
		count = (int64_t)log->len;
	resp_put_array(rq->reply, (size_t)count);
	TAILQ_FOREACH (entry, &log->entries, all) {
		if (count-- == 0)
			break;
		put_entry(rq, entry, now_ms);
	}
	return COMMAND_DONE;
}
