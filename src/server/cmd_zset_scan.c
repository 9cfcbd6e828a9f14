#include "config.h"

#include <stdio.h>

#include "kv/zset.h"
#include "resp/writer.h"
#include "server/handlers.h"
#include "server/keys.h"
#include "server/scan.h"

/* ZSCAN. */

/* In RESP3 too scores are text here. */
static void
scan_entry(const struct kv_zset_entry *entry, void *arg)
{
	struct scan *scan = arg;
	char text[40];
	int len;

	if (!scan_see(scan, entry->member, 2))
		return;
	len = snprintf(text, sizeof(text), "%.17g", entry->score);
	scan_put(scan, entry->member);
	scan_put(scan, (struct slice){text, (size_t)len});
}

static uint64_t
scan_some(const void *target, uint64_t cursor, struct scan *scan)
{
	return kv_zset_scan(target, cursor, scan_entry, scan);
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
