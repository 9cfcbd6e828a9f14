#include "config.h"

#include "cmd/args.h"
#include "cmd/handlers.h"
#include "cmd/stream_args.h"
#include "cmd/stream_reply.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/request_keys.h"

/* Streams: ranges of entries. */

/* COUNT, which may be repeated; *count is -1 without it. */
static bool
parse_count(struct request *rq, int64_t *count)
{
	*count = -1;
	for (size_t i = 4; i < rq->argc; i += 2) {
		if (!slice_is_nocase(rq->argv[i], "count") || i + 1 == rq->argc) {
			request_syntax_error(rq);
			return false;
		}
		if (!args_i64(rq, rq->argv[i + 1], count))
			return false;
		if (*count < 0)
			*count = 0;
	}
	return true;
}

static enum command_result
range(struct request *rq, bool reverse)
{
	struct stream_id first, last;
	int64_t count;
	void *stream;

	if (!stream_args_start(rq, rq->argv[reverse ? 3 : 2], &first) ||
	    !stream_args_end(rq, rq->argv[reverse ? 2 : 3], &last) || !parse_count(rq, &count) ||
	    !key_read_value(rq, rq->argv[1], KV_STREAM, &stream))
		return COMMAND_DONE;
	if (stream == NULL)
		resp_put_array(rq->reply, 0);
	else if (count == 0)
		resp_put_null_array(rq->reply, rq->proto);
	else
		stream_put_range(
		    rq->reply, stream, first, last, count < 0 ? 0 : (uint64_t)count, reverse);
	return COMMAND_DONE;
}

enum command_result
cmd_xrange(struct request *rq)
{
	return range(rq, false);
}

enum command_result
cmd_xrevrange(struct request *rq)
{
	return range(rq, true);
}
