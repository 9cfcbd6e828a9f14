#include "config.h"

#include "import/source.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "import/command_log.h"
#include "import/files.h"
#include "rdb/input.h"

#define COMMANDS_A_STEP 1000

/* The state within a file. */
enum file_state {
	FILE_CLOSED, /* the next one has not begun */
	FILE_SNAPSHOT,
	FILE_COMMANDS,
	FILE_TRANSACTION, /* among the commands, behind MULTI */
};

struct import_source {
	struct import_config config;
	struct import_files files;
	struct buffer error, warning;
	size_t file; /* the current one, or the next */
	enum file_state state;
	bool checks;          /* the first pass */
	bool has_commands;    /* of an append-only file, found in the first pass */
	uint64_t at, end;     /* in the current file: of the next read, of the last byte */
	uint64_t last_end;    /* of the last file: where what is left out begins */
	uint64_t transaction; /* offset of its MULTI */
	uint64_t done;        /* bytes of the files before the current one */
	struct rdb_input in;
	struct rdb_commands *snapshot; /* or NULL */
	struct command_log log;
	struct rdb_left_out left_out;
};

struct import_source *
import_open(const char *path, const struct import_config *config, struct buffer *error)
{
	struct import_source *source = xcalloc(1, sizeof(*source));

	source->config = *config;
	source->checks = true;
	if (!import_files_find(&source->files, path, error)) {
		import_close(source);
		return NULL;
	}
	source->last_end = source->files.files[source->files.count - 1].size;
	if (source->files.not_read != NULL)
		buffer_appendf(&source->warning,
		    "%s: has append-only files, which are read, and %s, which is not", path,
		    source->files.not_read);
	return source;
}

static void
close_snapshot(struct import_source *source)
{
	const struct rdb_left_out *left_out;

	if (source->snapshot == NULL)
		return;
	left_out = rdb_commands_left_out(source->snapshot);
	source->left_out.expired_keys += left_out->expired_keys;
	source->left_out.expired_fields += left_out->expired_fields;
	source->left_out.empty_keys += left_out->empty_keys;
	rdb_commands_free(source->snapshot);
	source->snapshot = NULL;
}

static void
close_file(struct import_source *source)
{
	close_snapshot(source);
	command_log_release(&source->log);
	rdb_input_release(&source->in);
	source->log = (struct command_log){0};
	source->state = FILE_CLOSED;
}

void
import_close(struct import_source *source)
{
	close_file(source);
	import_files_release(&source->files);
	buffer_release(&source->error);
	buffer_release(&source->warning);
	xfree(source);
}

/* rdb_read: of the current file. */
static bool
read_file(void *arg, char *out, size_t len, size_t *got)
{
	struct import_source *source = arg;
	uint64_t left = source->end - source->at;
	ssize_t count;

	do
		count = pread(source->files.files[source->file].fd, out,
		    left < len ? (size_t)left : len, (off_t)source->at);
	while (count < 0 && errno == EINTR);
	*got = count > 0 ? (size_t)count : 0;
	source->at += *got;
	return count >= 0;
}

static void
note_module(void *arg, struct slice name, bool is_key)
{
	struct import_source *source = arg;

	if (!source->checks)
		source->config.module(source->config.arg, name, is_key);
}

static void
begin_snapshot(struct import_source *source)
{
	struct rdb_commands_config config = {.now_ms = source->config.now_ms,
	    .replaces = source->config.replaces,
	    .module = note_module,
	    .arg = source};

	/* A later command may have given a longer life to a key. */
	config.keeps_expired = source->has_commands;
	source->snapshot = rdb_commands_new(&source->in, &config);
	source->state = FILE_SNAPSHOT;
}

static bool
begin_file(struct import_source *source)
{
	const struct import_file *file = &source->files.files[source->file];
	bool is_last = source->file + 1 == source->files.count;

	source->at = 0;
	source->end = is_last ? source->last_end : file->size;
	rdb_input_init(&source->in, read_file, source);
	source->log.in = &source->in;
	if (rdb_input_peek(&source->in) == 'R')
		begin_snapshot(source);
	else
		source->state = FILE_COMMANDS;
	return source->state == FILE_SNAPSHOT || !file->is_snapshot ||
	       rdb_input_fail(&source->in, 0, "a snapshot begins with REDIS");
}

static enum import_result
end_file(struct import_source *source)
{
	source->done += source->files.files[source->file].size;
	close_file(source);
	return ++source->file == source->files.count ? IMPORT_END : IMPORT_MORE;
}

static enum import_result
explain(struct import_source *source)
{
	const struct rdb_fault *fault = &source->in.fault;
	const char *path = source->files.files[source->file].path;

	if (fault->error != 0)
		buffer_appendf(&source->error, "%s: %s", path, strerror(fault->error));
	else
		buffer_appendf(&source->error, "%s: damaged at offset %llu: %s", path,
		    (unsigned long long)fault->offset, fault->reason);
	return IMPORT_BAD;
}

/* The file ends within a command or transaction, of which `keep` is the first byte. */
static enum import_result
ends_early(struct import_source *source, uint64_t keep)
{
	const struct import_file *file = &source->files.files[source->file];
	bool is_last = source->file + 1 == source->files.count;
	const char *what = source->state == FILE_TRANSACTION ? "an incomplete transaction"
							     : "an incomplete command";

	if (!is_last || !source->config.may_truncate || !source->checks) {
		buffer_appendf(&source->error, "%s: ends early, with %s at offset %llu", file->path,
		    what, (unsigned long long)keep);
		return IMPORT_BAD;
	}
	if (source->warning.len > 0)
		buffer_append_str(&source->warning, "; ");
	buffer_appendf(&source->warning,
	    "%s: ends early: the last %llu bytes, from offset %llu on, are %s and are left out",
	    file->path, (unsigned long long)(file->size - keep), (unsigned long long)keep, what);
	source->last_end = keep;
	return end_file(source);
}

/* True if the command is MULTI or EXEC, which are not carried out. False in *ok: it is at the wrong
 * place. */
static bool
follow_transaction(struct import_source *source, bool *ok)
{
	bool is_inside = source->state == FILE_TRANSACTION;
	bool is_multi = slice_is_nocase(source->log.argv[0], "multi");

	*ok = true;
	if (!is_multi && !slice_is_nocase(source->log.argv[0], "exec"))
		return false;
	if (is_multi == is_inside)
		*ok = rdb_input_fail(&source->in, source->log.at,
		    is_multi ? "MULTI in a transaction" : "EXEC without MULTI");
	source->transaction = source->log.at;
	source->state = is_multi ? FILE_TRANSACTION : FILE_COMMANDS;
	return true;
}

/* True for commands that act on a connection or on the whole server. Redis writes none of them to
 * its files, and over a connection they could change what all others do. */
static bool
is_out_of_place(struct slice name)
{
	static const char *const names[] = {"acl", "auth", "client", "cluster", "config", "debug",
	    "failover", "hello", "module", "monitor", "psubscribe", "psync", "quit", "replicaof",
	    "reset", "shutdown", "slaveof", "ssubscribe", "subscribe", "sync"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (slice_is_nocase(name, names[i]))
			return true;
	return false;
}

/* The next command of the append-only file; argc 0: none yet. */
static enum import_result
next_logged(struct import_source *source, struct import_command *command)
{
	bool ok;

	switch (command_log_next(&source->log)) {
	case COMMAND_LOG_END:
		return source->state == FILE_TRANSACTION ? ends_early(source, source->transaction)
							 : end_file(source);
	case COMMAND_LOG_BAD:
		if (!source->in.fault.is_end)
			return explain(source);
		return ends_early(source,
		    source->state == FILE_TRANSACTION ? source->transaction : source->log.at);
	default:
		break;
	}
	source->has_commands = true;
	if (is_out_of_place(source->log.argv[0])) {
		(void)!rdb_input_fail(
		    &source->in, source->log.at, "a command that is not for keys");
		return explain(source);
	}
	if (follow_transaction(source, &ok))
		return ok ? IMPORT_MORE : explain(source);
	*command = (struct import_command){.argv = source->log.argv,
	    .argc = source->log.argc,
	    .part =
		slice_is_nocase(source->log.argv[0], "select") ? IMPORT_DATABASE : IMPORT_COMMAND};
	return IMPORT_MORE;
}

static enum import_result
next_of_snapshot(struct import_source *source, struct import_command *command)
{
	static const enum import_part parts[] = {[RDB_PART_DATABASE] = IMPORT_DATABASE,
	    [RDB_PART_KEY] = IMPORT_KEY,
	    [RDB_PART_FIELD_TIME] = IMPORT_FIELD_TIME,
	    [RDB_PART_FUNCTIONS] = IMPORT_FUNCTIONS};
	struct rdb_command found;

	switch (rdb_commands_next(source->snapshot, &found)) {
	case RDB_COMMANDS_BAD:
		return explain(source);
	case RDB_COMMANDS_END:
		close_snapshot(source);
		source->state = FILE_COMMANDS;
		return IMPORT_MORE;
	default:
		*command = (struct import_command){.argv = found.argv,
		    .argc = found.argc,
		    .part = parts[found.part],
		    .type = found.type,
		    .begins_key = found.begins_key};
		return IMPORT_MORE;
	}
}

enum import_result
import_next(struct import_source *source, struct import_command *command)
{
	enum import_result result = IMPORT_MORE;

	command->argc = 0;
	while (command->argc == 0 && result == IMPORT_MORE) {
		if (source->state == FILE_CLOSED && source->file == source->files.count)
			return IMPORT_END;
		if (source->state == FILE_CLOSED && !begin_file(source))
			return explain(source);
		result = source->state == FILE_SNAPSHOT ? next_of_snapshot(source, command)
							: next_logged(source, command);
	}
	return result;
}

enum import_result
import_check(struct import_source *source)
{
	enum import_result result = IMPORT_MORE;
	struct import_command command;

	for (int i = 0; i < COMMANDS_A_STEP && result == IMPORT_MORE; i++)
		result = import_next(source, &command);
	if (result != IMPORT_END)
		return result;
	source->checks = false;
	source->file = 0;
	source->done = 0;
	source->left_out = (struct rdb_left_out){0};
	return IMPORT_END;
}

struct slice
import_error(const struct import_source *source)
{
	return buffer_slice(&source->error);
}

struct slice
import_warning(const struct import_source *source)
{
	return buffer_slice(&source->warning);
}

bool
import_has_commands(const struct import_source *source)
{
	return source->has_commands;
}

const struct rdb_left_out *
import_left_out(const struct import_source *source)
{
	return &source->left_out;
}

uint64_t
import_bytes_done(const struct import_source *source)
{
	return source->done + (source->state != FILE_CLOSED ? rdb_input_offset(&source->in) : 0);
}

uint64_t
import_bytes(const struct import_source *source)
{
	return source->files.size;
}
