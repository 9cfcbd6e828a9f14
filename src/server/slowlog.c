#include "config.h"

#include "server/slowlog.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/alloc.h"

/* The most entries that one slowlog_add removes. */
#define DROPS_MAX 64

/*
 * A ring that grows to the configured length: adding an entry and finding the nth are O(1) at any
 * length.
 */
struct slowlog {
	struct slowlog_entry *ring;
	size_t cap;
	size_t first; /* the oldest */
	size_t len;
	uint64_t next_id;
};

struct slowlog *
slowlog_new(void)
{
	return xcalloc(1, sizeof(struct slowlog));
}

void
slowlog_free(struct slowlog *log)
{
	slowlog_reset(log);
	xfree(log);
}

static void
entry_release(struct slowlog_entry *entry)
{
	size_t i;

	for (i = 0; i < entry->argc; i++)
		xfree(entry->argv[i]);
	xfree(entry->argv);
	xfree(entry->argv_len);
	xfree(entry->address);
	xfree(entry->name);
}

static void
drop_oldest(struct slowlog *log)
{
	entry_release(&log->ring[log->first]);
	log->first = (log->first + 1) % log->cap;
	log->len--;
}

void
slowlog_reset(struct slowlog *log)
{
	while (log->len > 0)
		drop_oldest(log);
	xfree(log->ring);
	log->ring = NULL;
	log->cap = log->first = 0;
}

size_t
slowlog_len(const struct slowlog *log)
{
	return log->len;
}

const struct slowlog_entry *
slowlog_get(const struct slowlog *log, size_t n)
{
	return n < log->len ? &log->ring[(log->first + log->len - 1 - n) % log->cap] : NULL;
}

static void
set_arg(struct slowlog_entry *entry, size_t i, struct slice arg)
{
	char note[64] = "";
	size_t kept = arg.len, note_len = 0;

	if (arg.len > SLOWLOG_ARG_BYTES_MAX) {
		kept = SLOWLOG_ARG_BYTES_MAX;
		note_len =
		    (size_t)snprintf(note, sizeof(note), "... (%zu more bytes)", arg.len - kept);
	}
	entry->argv[i] = xmalloc(kept + note_len);
	entry->argv_len[i] = kept + note_len;
	if (kept > 0)
		memcpy(entry->argv[i], arg.ptr, kept);
	memcpy(entry->argv[i] + kept, note, note_len);
}

/* If there are more arguments than are kept, the last one kept states how many. */
static void
set_args(struct slowlog_entry *entry, const struct slice *argv, size_t argc)
{
	char note[64] = "";
	size_t i, kept = argc;

	entry->argc = argc < SLOWLOG_ARGS_MAX ? argc : SLOWLOG_ARGS_MAX;
	entry->argv = xcalloc(entry->argc, sizeof(*entry->argv));
	entry->argv_len = xcalloc(entry->argc, sizeof(*entry->argv_len));
	if (argc > SLOWLOG_ARGS_MAX) {
		kept = SLOWLOG_ARGS_MAX - 1;
		snprintf(note, sizeof(note), "... (%zu more arguments)", argc - kept);
		set_arg(entry, kept, slice_of(note));
	}
	for (i = 0; i < kept; i++)
		set_arg(entry, i, argv[i]);
}

static void
grow(struct slowlog *log)
{
	size_t cap = log->cap == 0 ? 16 : log->cap * 2, i;
	struct slowlog_entry *ring;

	ring = xcalloc(cap, sizeof(*ring));
	for (i = 0; i < log->len; i++)
		ring[i] = log->ring[(log->first + i) % log->cap];
	xfree(log->ring);
	log->ring = ring;
	log->cap = cap;
	log->first = 0;
}

void
slowlog_add(struct slowlog *log, size_t max_len, uint64_t time_s, uint64_t duration_us,
    const struct slice *argv, size_t argc, const char *address, const char *name)
{
	struct slowlog_entry *entry;
	size_t dropped;

	/*
	 * After a reduction of max_len the surplus is removed in parts, so that no command pays for
	 * all of it.
	 */
	for (dropped = 0; log->len > 0 && log->len >= max_len && dropped < DROPS_MAX; dropped++)
		drop_oldest(log);
	if (max_len == 0)
		return;
	if (log->len == log->cap)
		grow(log);
	entry = &log->ring[(log->first + log->len++) % log->cap];
	*entry = (struct slowlog_entry){
	    .id = log->next_id++,
	    .time_s = time_s,
	    .duration_us = duration_us,
	    .address = xstrdup(address),
	    .name = xstrdup(name),
	};
	set_args(entry, argv, argc);
}
