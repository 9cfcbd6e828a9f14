#include "config.h"

#include "persist/aof_load.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "persist/aof_file.h"
#include "persist/keyspace.h"

#define PROGRESS_US 5000000
#define COMMANDS_A_LOOK 4096

struct load {
	const struct persist_keyspace *keyspace;
	const char *path;
	struct aof_file file;
	struct aof_scan scan;
	struct aof_commands taken;
	uint64_t commands;
	uint64_t begun_us, said_us;
	bool has_end_mark;
};

static void
say_progress(struct load *load, size_t at)
{
	uint64_t now_us = clock_mono_us();

	if (now_us - load->said_us < PROGRESS_US)
		return;
	load->said_us = now_us;
	log_notice("loading %s: %zu of %zu MB", load->path, at >> 20, load->file.bytes.len >> 20);
}

/* False: error says why. */
static bool
replay(struct load *load, struct slice commands, struct buffer *error)
{
	enum aof_command_result result;
	char why[256];

	load->has_end_mark = commands.len >= sizeof(AOF_END_MARK) - 1 &&
			     memcmp(commands.ptr, AOF_END_MARK, sizeof(AOF_END_MARK) - 1) == 0;
	for (;;) {
		size_t at = (size_t)(commands.ptr - load->file.bytes.ptr);

		result = aof_command_next(&load->taken, &commands);
		if (result == AOF_COMMAND_NONE)
			return true;
		if (result != AOF_COMMAND) {
			buffer_appendf(error, "%s: damaged at offset %zu: %s", load->path, at,
			    result == AOF_COMMAND_BAD ? load->taken.reason
						      : "a command without an end");
			return false;
		}
		if (!load->keyspace->replay(load->keyspace->arg, load->taken.args,
			load->taken.count, why, sizeof(why))) {
			buffer_appendf(error, "%s: at offset %zu: %s", load->path, at, why);
			return false;
		}
		if (++load->commands % COMMANDS_A_LOOK == 0)
			say_progress(load, at);
	}
}

/* The file ends early: what is whole of the last batch is kept. */
static bool
mend(struct load *load, struct slice commands, bool may_be_cut, struct buffer *error)
{
	size_t len = load->file.bytes.len;

	if (!may_be_cut) {
		buffer_appendf(error,
		    "%s: ends early: %zu bytes behind offset %zu are not whole; see "
		    "aof-load-truncated, and "
		    "'fanfare aof check' in fanfare(1)",
		    load->path, len - load->scan.keep, load->scan.keep);
		return false;
	}
	if (!replay(load, commands, error))
		return false;
	log_warn(
	    "%s: ends early: the last %zu bytes, behind offset %zu, are not whole and were cut off",
	    load->path, len - load->scan.keep, load->scan.keep);
	if (aof_file_mend(&load->file, &load->scan, commands))
		return true;
	buffer_appendf(error, "%s: %s", load->path, strerror(errno));
	return false;
}

static bool
load_batches(struct load *load, bool may_be_cut, struct buffer *error)
{
	struct slice commands;

	for (;;) {
		switch (aof_scan_next(&load->scan, &commands)) {
		case AOF_COMMANDS:
			if (!replay(load, commands, error))
				return false;
			break;
		case AOF_CUT:
			return mend(load, commands, may_be_cut, error);
		case AOF_END:
			load->scan.keep = load->file.bytes.len;
			return true;
		case AOF_DAMAGED:
			buffer_appendf(error,
			    "%s: damaged at offset %zu: %s; see 'fanfare aof check' in fanfare(1)",
			    load->path, load->scan.damaged_at, load->scan.reason);
			return false;
		}
	}
}

enum aof_load_result
aof_load(const struct persist_keyspace *keyspace, const char *path, bool is_snapshot,
    bool may_be_cut, uint64_t *size, struct buffer *error)
{
	struct load load = {.keyspace = keyspace, .path = path, .begun_us = clock_mono_us()};
	bool ok;

	load.said_us = load.begun_us;
	if (!aof_file_open(&load.file, path, may_be_cut)) {
		if (errno == ENOENT)
			return AOF_LOAD_NONE;
		buffer_appendf(error, "%s: %s", path, strerror(errno));
		return AOF_LOAD_FAILED;
	}
	load.scan.file = load.file.bytes;
	keyspace->replay_begin(keyspace->arg);
	ok = load_batches(&load, may_be_cut, error);
	keyspace->replay_end(keyspace->arg);
	if (ok && is_snapshot && !load.has_end_mark) {
		buffer_appendf(error, "%s: ends early: it is no whole snapshot", path);
		ok = false;
	}
	*size = load.scan.keep;
	if (ok)
		log_notice("%s: %llu commands loaded, %zu keys, in %.3f s", path,
		    (unsigned long long)load.commands, keyspace->key_count(keyspace->arg),
		    (double)(clock_mono_us() - load.begun_us) / 1e6);
	aof_commands_release(&load.taken);
	aof_file_close(&load.file);
	return ok ? AOF_LOADED : AOF_LOAD_FAILED;
}
