#include "config.h"

#include <limits.h>

#include "cmd/handlers.h"
#include "kv/keyspace.h"
#include "resp/writer.h"
#include "server/evict.h"
#include "server/request_keys.h"

/* OBJECT: the encoding of a key, and how it was used. */

/* Redis shares one object for each integer below this, and does not count references to it. */
#define SHARED_INTEGERS 10000

static const char switched_note[] =
    "Please note that when switching between policies at runtime LRU and LFU data will take some "
    "time to adjust.";

/*
 * The key that the third argument names. NULL: there is none, and the reply says so. The look-up
 * does not count as an access.
 */
static struct kv_key *
object_key(struct request *rq)
{
	struct kv_key *key = key_peek(rq, request_db(rq), rq->argv[2]);

	if (key == NULL)
		resp_put_null(rq->reply, rq->proto);
	return key;
}

enum command_result
cmd_object_encoding(struct request *rq)
{
	const struct kv_key *key = object_key(rq);

	if (key != NULL)
		resp_put_bulk_str(rq->reply, kv_encoding(key));
	return COMMAND_DONE;
}

enum command_result
cmd_object_refcount(struct request *rq)
{
	const struct kv_key *key = object_key(rq);
	int64_t v;

	if (key != NULL)
		resp_put_int(rq->reply, kv_is_integer(key, &v) && v >= 0 && v < SHARED_INTEGERS &&
						evict_shares_integers(rq->server)
					    ? INT_MAX
					    : 1);
	return COMMAND_DONE;
}

enum command_result
cmd_object_idletime(struct request *rq)
{
	const struct kv_key *key = object_key(rq);

	if (key == NULL)
		return COMMAND_DONE;
	if (evict_counts_uses(rq->server))
		request_error(rq,
		    "ERR An LFU maxmemory policy is selected, idle time not tracked. %s",
		    switched_note);
	else
		resp_put_int(rq->reply, evict_idle_s(rq->server, key));
	return COMMAND_DONE;
}

enum command_result
cmd_object_freq(struct request *rq)
{
	const struct kv_key *key = object_key(rq);

	if (key == NULL)
		return COMMAND_DONE;
	if (!evict_counts_uses(rq->server))
		request_error(rq,
		    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. %s",
		    switched_note);
	else
		resp_put_int(rq->reply, evict_uses(rq->server, key));
	return COMMAND_DONE;
}

enum command_result
cmd_object_help(struct request *rq)
{
	static const char *const lines[] = {
	    "ENCODING <key>",
	    "    Return the kind of internal representation used in order to store the value",
	    "    associated with a <key>.",
	    "FREQ <key>",
	    "    Return the access frequency index of the <key>. The returned integer is",
	    "    proportional to the logarithm of the recent access frequency of the key.",
	    "IDLETIME <key>",
	    "    Return the idle time of the <key>, that is the approximated number of",
	    "    seconds elapsed since the last access to the key.",
	    "REFCOUNT <key>",
	    "    Return the number of references of the value associated with the specified",
	    "    <key>.",
	    NULL,
	};

	request_help(rq, lines);
	return COMMAND_DONE;
}
