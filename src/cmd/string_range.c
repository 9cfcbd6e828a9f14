#include "config.h"

#include <string.h>

#include "cmd/args.h"
#include "cmd/handlers.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/request_keys.h"

/* Parts of strings: APPEND STRLEN SETRANGE GETRANGE SUBSTR. */

/* Returns false after replying with an error if a string of a + b bytes would be too long. */
static bool
fits(struct request *rq, size_t a, size_t b)
{
	size_t most = request_max_string(rq);

	if (a <= most && b <= most - a)
		return true;
	request_error(rq, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
	return false;
}

enum command_result
cmd_append(struct request *rq)
{
	struct slice name = rq->argv[1], tail = rq->argv[2];
	struct kv_key *key = key_write(rq, name);
	size_t len = 0;

	if (!key_is_of(rq, key, KV_STRING))
		return COMMAND_DONE;
	if (key == NULL) {
		key_put_string(rq, NULL, name, tail);
	} else {
		len = kv_string(key).len;
		if (!fits(rq, len, tail.len))
			return COMMAND_DONE;
		char *at = kv_string_room(request_db(rq), &key, len + tail.len);

		if (tail.len > 0)
			memcpy(at + len, tail.ptr, tail.len);
	}
	key_changed(rq, name, KEY_STRING, "append");
	resp_put_int(rq->reply, (int64_t)(len + tail.len));
	return COMMAND_DONE;
}

enum command_result
cmd_strlen(struct request *rq)
{
	const struct kv_key *key = key_read(rq, rq->argv[1]);

	if (key_is_of(rq, key, KV_STRING))
		resp_put_int(rq->reply, key != NULL ? (int64_t)kv_string(key).len : 0);
	return COMMAND_DONE;
}

enum command_result
cmd_setrange(struct request *rq)
{
	struct slice name = rq->argv[1], part = rq->argv[3];
	struct kv_key *key;
	int64_t offset;
	size_t len, end;

	if (!args_i64(rq, rq->argv[2], &offset))
		return COMMAND_DONE;
	if (offset < 0) {
		request_error(rq, "ERR offset is out of range");
		return COMMAND_DONE;
	}
	key = key_write(rq, name);
	if (!key_is_of(rq, key, KV_STRING))
		return COMMAND_DONE;
	len = key != NULL ? kv_string(key).len : 0;
	if (part.len == 0) {
		resp_put_int(rq->reply, (int64_t)len);
		return COMMAND_DONE;
	}
	if (!fits(rq, (size_t)offset, part.len))
		return COMMAND_DONE;
	end = (size_t)offset + part.len;
	if (key == NULL)
		key = key_put_string(rq, NULL, name, SLICE(""));
	if (end > len)
		len = end;
	memcpy(kv_string_room(request_db(rq), &key, len) + offset, part.ptr, part.len);
	key_changed(rq, name, KEY_STRING, "setrange");
	resp_put_int(rq->reply, (int64_t)len);
	return COMMAND_DONE;
}

/* The part from start to end. Both are included, and count from the end if they are negative. */
static struct slice
part_of(struct slice s, int64_t start, int64_t end)
{
	if ((start < 0 && end < 0 && start > end) ||
	    !args_range_clamp((int64_t)s.len, &start, &end))
		return SLICE("");
	return (struct slice){s.ptr + start, (size_t)(end - start + 1)};
}

enum command_result
cmd_getrange(struct request *rq)
{
	const struct kv_key *key;
	int64_t start, end;

	if (!args_i64(rq, rq->argv[2], &start) || !args_i64(rq, rq->argv[3], &end))
		return COMMAND_DONE;
	key = key_read(rq, rq->argv[1]);
	if (!key_is_of(rq, key, KV_STRING))
		return COMMAND_DONE;
	resp_put_bulk(rq->reply, key != NULL ? part_of(kv_string(key), start, end) : SLICE(""));
	return COMMAND_DONE;
}

enum command_result
cmd_substr(struct request *rq)
{
	return cmd_getrange(rq);
}
