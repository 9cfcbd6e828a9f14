#include "config.h"

#include "persist/testing_host.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The keyspace. */

static bool
dump(void *arg, bool with_use, bool (*sink)(void *sink_arg, struct slice commands), void *sink_arg)
{
	struct buffer commands = {0};
	bool ok = true;

	struct testing_host *host = arg;
	(void)with_use;
	for (uint64_t i = 0; i < host->count && ok; i++) {
		char number[24];
		int len = snprintf(number, sizeof(number), "%llu", (unsigned long long)i);

		buffer_appendf(&commands, "*2\r\n$3\r\nADD\r\n$%d\r\n%s\r\n", len, number);
		if (commands.len > 200 || i + 1 == host->count) {
			ok = sink(sink_arg, buffer_slice(&commands));
			buffer_clear(&commands);
		}
	}
	buffer_release(&commands);
	return ok;
}

static void
replay_begin(void *arg, bool with_use)
{
	struct testing_host *host = arg;

	(void)with_use;
	ck_assert(!host->is_loading);
	host->is_loading = true;
}

static bool
replay(void *arg, const struct slice *argv, size_t argc, char *why, size_t why_len)
{
	struct testing_host *host = arg;
	char number[24] = "";

	ck_assert(host->is_loading);
	if (argc == 1)
		return true; /* MULTI, EXEC */
	if (argc == 2 && argv[1].len < sizeof(number)) {
		memcpy(number, argv[1].ptr, argv[1].len);
		if (strtoull(number, NULL, 10) != host->count)
			host->is_wrong = true;
		host->count++;
	} else {
		snprintf(why, why_len, "unknown command");
		return false;
	}
	return true;
}

static void
replay_end(void *arg)
{
	struct testing_host *host = arg;

	host->is_loading = false;
}

static size_t
key_count(void *arg)
{
	struct testing_host *host = arg;
	return (size_t)host->count;
}

/* The journal and the other callbacks. */

static void
journal_set(void *arg, bool is_on, bool holds)
{
	struct testing_host *host = arg;
	host->journal_is_on = is_on;
	host->holds = holds;
	if (!is_on)
		buffer_release(&host->pending);
}

static bool
journal_take(void *arg, struct buffer *batch, uint64_t *number)
{
	struct testing_host *host = arg;
	if (host->pending.len == 0)
		return false;
	*batch = host->pending;
	host->pending = (struct buffer){0};
	*number = ++host->number;
	ck_assert_uint_lt(host->number, TESTING_BATCHES_MAX);
	host->counts[host->number] = host->pending_count;
	return true;
}

static void
journal_kept(void *arg, uint64_t number)
{
	struct testing_host *host = arg;
	ck_assert_uint_le(number, host->number);
	if (host->journal_is_on && host->holds && host->counts[number] > host->kept)
		host->kept = host->counts[number];
}

static void
journal_failed(void *arg, const char *why)
{
	struct testing_host *host = arg;
	host->is_failed = why != NULL;
}

static void
journal_crowded(void *arg, bool crowded)
{
	struct testing_host *host = arg;
	host->is_crowded = crowded;
}

static void
journal_forget_database(void *arg)
{
	struct testing_host *host = arg;
	/* At the mark, the writer must have all changes from the journal. */
	ck_assert_uint_eq(host->pending.len, 0);
}

static void
refuse_writes(void *arg, const char *why)
{
	struct testing_host *host = arg;
	host->is_refused = why != NULL;
}

static uint64_t
changes(void *arg)
{
	struct testing_host *host = arg;
	return host->count;
}

static void
saved(void *arg, uint64_t count)
{
	struct testing_host *host = arg;
	if (count > host->saved)
		host->saved = count;
}

static void
ended(void *arg)
{
	struct testing_host *host = arg;
	host->ended++;
}

static void
accepted(void *arg)
{
	struct testing_host *host = arg;
	host->accepted++;
}

static void *
watch(void *arg, int fd, void (*ready)(void *ready_arg), void *ready_arg)
{
	struct stat st;

	struct testing_host *host = arg;
	ck_assert_int_eq(fstat(fd, &st), 0);
	/* The writer has no thread: persist_run_writer() fetches its reports. */
	if (!S_ISFIFO(st.st_mode))
		return host;
	ck_assert_int_eq(host->child_fd, -1);
	host->child_fd = fd;
	host->child_ready = ready;
	host->child_arg = ready_arg;
	return &host->child_fd;
}

static void
unwatch(void *arg, void *watched)
{
	struct testing_host *host = arg;
	if (watched == &host->child_fd)
		host->child_fd = -1;
}

void
testing_host_init(struct testing_host *host)
{
	*host = (struct testing_host){.child_fd = -1};
	host->keyspace = (struct persist_keyspace){.dump = dump,
	    .replay_begin = replay_begin,
	    .replay = replay,
	    .replay_end = replay_end,
	    .key_count = key_count,
	    .arg = host};
	host->host = (struct persist_host){.keyspace = &host->keyspace,
	    .journal_set = journal_set,
	    .journal_take = journal_take,
	    .journal_kept = journal_kept,
	    .journal_failed = journal_failed,
	    .journal_crowded = journal_crowded,
	    .journal_forget_database = journal_forget_database,
	    .refuse_writes = refuse_writes,
	    .changes = changes,
	    .saved = saved,
	    .ended = ended,
	    .accepted = accepted,
	    .watch = watch,
	    .unwatch = unwatch,
	    .arg = host};
}

void
testing_host_release(struct testing_host *host)
{
	buffer_release(&host->pending);
}

void
testing_host_change(struct testing_host *host)
{
	static const char *const forms[] = {"*1\r\n$5\r\nMULTI\r\n", "*1\r\n$4\r\nEXEC\r\n"};

	if (host->is_refused)
		return;
	if (host->journal_is_on) {
		buffer_append_str(&host->pending, forms[0]);
		for (uint64_t i = host->count; i < host->count + 2; i++) {
			char number[24];
			int len = snprintf(number, sizeof(number), "%llu", (unsigned long long)i);

			buffer_appendf(
			    &host->pending, "*2\r\n$3\r\nADD\r\n$%d\r\n%s\r\n", len, number);
		}
		buffer_append_str(&host->pending, forms[1]);
	}
	host->count += 2;
	host->pending_count = host->count;
}
