#include "config.h"

#include <math.h>
#include <stdio.h>

#include "cmd/handlers.h"
#include "cmd/scan.h"
#include "kv/keyspace.h"
#include "kv/zset.h"
#include "resp/writer.h"
#include "server/request_keys.h"

/* ZSCAN. */

/* Scores are bulk strings, also in RESP3. */
static void
put_entry(struct scan *scan, const struct kv_zset_entry *entry, bool digits)
{
	char text[40];
	size_t len;

	if (!scan_see(scan, entry->member, 2))
		return;
	if (digits)
		len = bytes_from_i64(text, (int64_t)entry->score);
	else
		len = (size_t)snprintf(text, sizeof(text), "%.17g", entry->score);
	scan_put(scan, entry->member);
	scan_put(scan, (struct slice){text, len});
}

static void
visit_large(const struct kv_zset_entry *entry, void *arg)
{
	put_entry(arg, entry, false);
}

/*
 * Redis's packed encoding stores whole numbers of up to 62 bits as integers, so they are shown
 * without an exponent.
 */
static void
visit_packed(const struct kv_zset_entry *entry, void *arg)
{
	put_entry(arg, entry, fabs(entry->score) <= 0x1p62 && trunc(entry->score) == entry->score);
}

static uint64_t
scan_some(const void *target, uint64_t cursor, struct scan *scan)
{
	return kv_zset_scan(
	    target, cursor, kv_zset_is_packed(target) ? visit_packed : visit_large, scan);
}

enum command_result
cmd_zscan(struct request *rq)
{
	struct scan scan;
	void *z;

	if (!scan_cursor(rq, 2, &scan) || !key_read_value(rq, rq->argv[1], KV_ZSET, &z))
		return COMMAND_DONE;
	if (z == NULL)
		scan_reply_empty(rq);
	else if (scan_options(rq, 3, false, &scan))
		scan_run(rq, &scan, scan_some, z);
	return COMMAND_DONE;
}
