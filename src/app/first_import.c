#include "config.h"

#include "app/first_import.h"

#include <stdio.h>
#include <string.h>

#include "app/persistence.h"
#include "app/settings.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "import/source.h"
#include "import/summary.h"
#include "server/replay.h"

#define PROGRESS_US 5000000

struct first_import {
	struct import_source *source;
	struct import_summary summary;
	struct server *server;
	uint64_t said_us;
	uint64_t commands;
};

struct first_import *
first_import_open(const char *path, const struct settings *settings, struct buffer *error)
{
	struct first_import *import = xcalloc(1, sizeof(*import));
	const struct import_config config = {.now_ms = (int64_t)(clock_wall_us() / 1000),
	    .may_truncate = settings->disk.load_truncated,
	    .module = import_summary_module,
	    .arg = &import->summary};

	buffer_append_str(error, "--import ");
	import->source = import_open(path, &config, error);
	if (import->source == NULL) {
		first_import_close(import);
		return NULL;
	}
	buffer_clear(error);
	return import;
}

void
first_import_close(struct first_import *import)
{
	if (import == NULL)
		return;
	if (import->source != NULL)
		import_close(import->source);
	import_summary_release(&import->summary);
	xfree(import);
}

static void
say_progress(struct first_import *import, const char *work)
{
	uint64_t now_us = clock_mono_us();

	if (now_us - import->said_us < PROGRESS_US)
		return;
	import->said_us = now_us;
	log_notice("import: %s: %llu of %llu MB", work,
	    (unsigned long long)(import_bytes_done(import->source) >> 20),
	    (unsigned long long)(import_bytes(import->source) >> 20));
}

static bool
explain(const struct first_import *import, struct buffer *error)
{
	buffer_append_str(error, "import: ");
	buffer_append_slice(error, import_error(import->source));
	return false;
}

static bool
check(struct first_import *import, struct buffer *error)
{
	enum import_result result;
	struct slice warning;

	import->said_us = clock_mono_us();
	do {
		result = import_check(import->source);
		say_progress(import, "checking");
	} while (result == IMPORT_MORE);
	if (result == IMPORT_BAD)
		return explain(import, error);
	warning = import_warning(import->source);
	if (warning.len > 0)
		log_warn("import: %.*s", (int)warning.len, warning.ptr);
	return true;
}

/* Redis before 5 logs scripts themselves, not what they change. Here nothing can end one that takes
 * too long. */
static bool
is_script(struct slice name)
{
	return slice_is_nocase(name, "eval") || slice_is_nocase(name, "evalsha") ||
	       slice_is_nocase(name, "script");
}

/* why: of IMPORT_REFUSED. */
static enum import_outcome
execute(struct server *server, const struct import_command *command, char *why, size_t why_len)
{
	if (!server_replay_knows(server, command->argv, command->argc))
		return IMPORT_NOT_HERE;
	if (is_script(command->argv[0])) {
		snprintf(why, why_len,
		    "--import executes no scripts: start the daemon, and import with 'fanfare "
		    "import'");
		return IMPORT_REFUSED;
	}
	server_replay_set_foreign(server, command->part == IMPORT_COMMAND);
	return server_replay(server, command->argv, command->argc, why, why_len) ? IMPORT_DONE
										 : IMPORT_REFUSED;
}

/* False: a command without which the others would go to the wrong place. */
static bool
carry_out(struct first_import *import, const struct import_command *command, struct buffer *error)
{
	struct import_note note = import_note(command);
	enum import_outcome outcome;
	char why[256] = "";

	outcome = execute(import->server, command, why, sizeof(why));
	import_summary_add(&import->summary, &note, outcome, slice_of(why));
	if (outcome == IMPORT_DONE || command->part != IMPORT_DATABASE)
		return true;
	buffer_appendf(error, "import: database %.*s: start with more databases",
	    command->argc > 1 && command->argv[1].len < 20 ? (int)command->argv[1].len : 0,
	    command->argc > 1 ? command->argv[1].ptr : "");
	return false;
}

static void
log_line(void *arg, const char *text, bool is_gap)
{
	(void)arg;
	if (is_gap)
		log_warn("import: %s", text);
	else
		log_notice("import: %s", text);
}

/* Puts the keys into the server. */
static bool
fill(void *arg, struct buffer *error)
{
	struct first_import *import = arg;
	enum import_result result;
	struct import_command command;
	bool ok = true;

	if (!check(import, error))
		return false;
	server_replay_begin(import->server, false);
	while (ok && (result = import_next(import->source, &command)) != IMPORT_END) {
		ok = result == IMPORT_MORE ? carry_out(import, &command, error)
					   : explain(import, error);
		if (++import->commands % 4096 == 0)
			say_progress(import, "importing");
	}
	server_replay_end(import->server);
	import_summary_end(&import->summary);
	if (ok)
		import_summary_write(
		    &import->summary, import_left_out(import->source), log_line, NULL);
	return ok;
}

bool
first_import_start(struct first_import *import, struct server *server,
    struct persistence *persistence, struct buffer *error)
{
	import->server = server;
	return persistence_import(persistence, fill, import, error);
}
