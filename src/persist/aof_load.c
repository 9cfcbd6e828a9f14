#include "config.h"

#include "persist/aof_load.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "persist/aof_file.h"
#include "persist/keyspace.h"

#define PROGRESS_US 5000000
#define COMMANDS_A_LOOK 4096

struct load {
	const struct persist_keyspace *keyspace;
	const char *path;
	struct slice file;
	struct aof_scan scan;
	struct aof_commands taken;
	struct aof_finding *finding;
	uint64_t said_us;
	bool has_end_mark;
};

static void
say_progress(struct load *load, size_t at)
{
	uint64_t now_us = clock_mono_us();

	if (now_us - load->said_us < PROGRESS_US)
		return;
	load->said_us = now_us;
	log_notice("loading %s: %zu of %zu MB", load->path, at >> 20, load->file.len >> 20);
}

static bool
bad(struct load *load, size_t keep, size_t at, const char *reason)
{
	load->finding->kind = AOF_FILE_BAD;
	load->finding->keep = keep;
	buffer_appendf(&load->finding->text, "damaged at offset %zu: %s", at, reason);
	return false;
}

/* The reason why MULTI and EXEC do not match, else NULL. */
static const char *
follow_transaction(const struct aof_commands *taken, bool *in_transaction)
{
	bool is_multi = slice_is_nocase(taken->args[0], "multi");

	if (!is_multi && !slice_is_nocase(taken->args[0], "exec"))
		return NULL;
	if (is_multi == *in_transaction)
		return is_multi ? "MULTI in a transaction" : "EXEC without MULTI";
	*in_transaction = is_multi;
	return NULL;
}

/* Carries out a run of commands from the scan. False: one is bad. A bad command makes its whole
 * batch bad. Among commands without a header, those before the bad one are valid. */
static bool
replay(struct load *load, struct slice commands)
{
	size_t keep = load->scan.batch_at;
	bool in_transaction = false;
	const char *reason;
	char why[256];

	/* Only Redis writes commands without a header. */
	if (load->keyspace->replay_foreign != NULL)
		load->keyspace->replay_foreign(load->keyspace->arg, !load->scan.has_header);
	load->has_end_mark = commands.len >= sizeof(AOF_END_MARK) - 1 &&
			     memcmp(commands.ptr, AOF_END_MARK, sizeof(AOF_END_MARK) - 1) == 0;
	for (;;) {
		size_t at = (size_t)(commands.ptr - load->file.ptr);
		enum aof_command_result result = aof_command_next(&load->taken, &commands);

		if (!load->scan.has_header && !in_transaction)
			keep = at;
		if (result == AOF_COMMAND_NONE && !in_transaction)
			return true;
		if (result == AOF_COMMAND_NONE)
			return bad(load, keep, at, "incomplete transaction");
		if (result != AOF_COMMAND)
			return bad(load, keep, at,
			    result == AOF_COMMAND_BAD ? load->taken.reason : "incomplete command");
		reason = follow_transaction(&load->taken, &in_transaction);
		if (reason == NULL && !load->keyspace->replay(load->keyspace->arg, load->taken.args,
					  load->taken.count, why, sizeof(why)))
			reason = why;
		if (reason != NULL)
			return bad(load, keep, at, reason);
		if (++load->finding->commands % COMMANDS_A_LOOK == 0)
			say_progress(load, at);
	}
}

static void
ends_early(struct load *load)
{
	struct aof_finding *finding = load->finding;

	finding->kind = AOF_FILE_TRUNCATED;
	finding->keep = load->scan.keep;
	buffer_appendf(&finding->text,
	    "ends early: the last %zu bytes, at offset %zu, are incomplete: %s",
	    load->file.len - finding->keep, finding->keep, load->scan.reason);
}

static void
read_batches(struct load *load, bool is_snapshot)
{
	struct aof_finding *finding = load->finding;
	struct slice commands;
	enum aof_verdict verdict;

	do {
		verdict = aof_scan_next(&load->scan, &commands);
		if ((verdict == AOF_COMMANDS || verdict == AOF_TRUNCATED) &&
		    !replay(load, commands))
			return;
	} while (verdict == AOF_COMMANDS);
	finding->batches = load->scan.batches;
	finding->keep = load->file.len;
	if (verdict == AOF_DAMAGED) {
		(void)!bad(load, load->scan.keep, load->scan.damaged_at, load->scan.reason);
	} else if (verdict == AOF_TRUNCATED) {
		ends_early(load);
	} else if (is_snapshot && !load->has_end_mark) {
		finding->kind = AOF_FILE_TRUNCATED;
		buffer_append_str(&finding->text, "ends early: the snapshot has no end mark");
	} else {
		buffer_appendf(&finding->text, "good: %zu bytes, %llu commands in %llu batches",
		    finding->keep, (unsigned long long)finding->commands,
		    (unsigned long long)finding->batches);
	}
}

void
aof_read(const struct persist_keyspace *keyspace, const struct aof_file *file, const char *path,
    bool is_snapshot, struct aof_finding *finding)
{
	struct load load = {.keyspace = keyspace,
	    .path = path,
	    .file = file->bytes,
	    .scan = {.file = file->bytes},
	    .finding = finding,
	    .said_us = clock_mono_us()};

	*finding = (struct aof_finding){.kind = AOF_FILE_GOOD};
	keyspace->replay_begin(keyspace->arg, false);
	read_batches(&load, is_snapshot);
	if (is_snapshot && finding->kind == AOF_FILE_TRUNCATED)
		finding->kind = AOF_FILE_BAD;
	keyspace->replay_end(keyspace->arg);
	aof_commands_release(&load.taken);
}

void
aof_finding_release(struct aof_finding *finding)
{
	buffer_release(&finding->text);
}

/* Truncates the file if that is allowed. False: error says why the file cannot be used. */
static bool
settle(struct aof_file *file, const char *path, const struct aof_finding *finding,
    bool may_truncate, struct buffer *error)
{
	struct buffer done = {0};
	bool ok;

	if (finding->kind == AOF_FILE_GOOD)
		return true;
	if (finding->kind == AOF_FILE_BAD || !may_truncate) {
		buffer_appendf(error, "%s: %.*s; see %s'fanfare aof check' in fanfare(1)", path,
		    (int)finding->text.len, finding->text.ptr,
		    finding->kind == AOF_FILE_TRUNCATED ? "aof-load-truncated, and " : "");
		return false;
	}
	log_warn("%s: %.*s", path, (int)finding->text.len, finding->text.ptr);
	ok = aof_file_truncate(file, path, finding->keep, &done);
	if (ok)
		log_warn("%s: %.*s", path, (int)done.len, done.ptr);
	else
		buffer_appendf(error, "%s: %.*s", path, (int)done.len, done.ptr);
	buffer_release(&done);
	return ok;
}

enum aof_load_result
aof_load(const struct persist_keyspace *keyspace, const char *path, bool is_snapshot,
    bool may_truncate, uint64_t *size, struct buffer *error)
{
	uint64_t begun_us = clock_mono_us();
	struct aof_finding finding;
	struct aof_file file;
	bool ok;

	if (!aof_file_open(&file, path, may_truncate)) {
		if (errno == ENOENT)
			return AOF_LOAD_NONE;
		buffer_appendf(error, "%s: %s", path, strerror(errno));
		return AOF_LOAD_FAILED;
	}
	aof_read(keyspace, &file, path, is_snapshot, &finding);
	ok = settle(&file, path, &finding, may_truncate, error);
	*size = finding.keep;
	if (ok && !is_snapshot && fsync(file.fd) != 0) {
		buffer_appendf(error, "%s: cannot be synced: %s", path, strerror(errno));
		ok = false;
	}
	if (ok)
		log_notice("%s: %llu commands loaded, %zu keys, in %.3f s", path,
		    (unsigned long long)finding.commands, keyspace->key_count(keyspace->arg),
		    (double)(clock_mono_us() - begun_us) / 1e6);
	aof_finding_release(&finding);
	aof_file_close(&file);
	return ok ? AOF_LOADED : AOF_LOAD_FAILED;
}
