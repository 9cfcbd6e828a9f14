#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "app/config_source.h"
#include "app/persistence.h"
#include "app/settings.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cmd/table.h"
#include "persist/aof_file.h"
#include "persist/aof_load.h"
#include "server/server.h"

/*
 * fanfare aof check FILE: reports whether an append-only file or a snapshot is valid. It runs the
 * daemon's own loading code with a private server instance, so both always report the same.
 */

struct aof_options {
	bool fix;
	bool snapshot;
	const char *config; /* or NULL */
	uint64_t databases; /* 0: as the configuration says */
};

/* Reads the settings that the daemon would use. False after printing the error. */
static bool
load_settings(const struct aof_options *options, struct settings *settings)
{
	struct config_source source;
	struct buffer error = {0};
	char name[] = "fanfared", option[] = "--databases", number[24];
	char *config = (char *)(uintptr_t)options->config;
	char *argv[5] = {name};
	int argc = 1;
	bool ok;

	if (config != NULL)
		argv[argc++] = config;
	if (options->databases > 0) {
		snprintf(number, sizeof(number), "%llu", (unsigned long long)options->databases);
		argv[argc++] = option;
		argv[argc++] = number;
	}
	ok = config_source_parse(&source, argc, argv, &error) &&
	     config_source_load(&source, settings, &error);
	if (!ok)
		cli_warn("%.*s", (int)error.len, error.ptr);
	config_source_release(&source);
	buffer_release(&error);
	return ok;
}

static void
find(const struct settings *settings, const struct aof_file *file, const char *path,
    bool is_snapshot, struct aof_finding *finding)
{
	static const struct server_io io = {0};
	static const struct server_settings no_settings = {0};
	struct server *server = server_new(&settings->server, cmd_table(), &io, &no_settings);
	const struct persist_keyspace keyspace = persistence_keyspace(server);

	aof_read(&keyspace, file, path, is_snapshot, finding);
	server_free(server);
}

/* Unless --snapshot is given, the name decides. */
static bool
is_snapshot(const struct settings *settings, const char *path)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash != NULL ? slash + 1 : path, settings->disk.dbfilename) == 0;
}

static enum cli_status
fix(struct cli *cli, struct aof_file *file, const char *path, size_t keep)
{
	struct buffer done = {0};
	bool ok = aof_file_truncate(file, path, keep, &done);

	if (ok)
		buffer_appendf(&cli->out, "%s: %.*s\n", path, (int)done.len, done.ptr);
	else
		cli_warn("%s: %.*s", path, (int)done.len, done.ptr);
	buffer_release(&done);
	return ok ? CLI_OK : CLI_FAILED;
}

static enum cli_status
check(struct cli *cli, const struct settings *settings, const char *path)
{
	const struct aof_options *options = cli->options;
	bool snapshot = options->snapshot || is_snapshot(settings, path);
	enum cli_status status = CLI_OK;
	struct aof_finding finding;
	struct aof_file file;

	if (snapshot && options->fix) {
		cli_warn("%s: a snapshot cannot be cut: it would be incomplete", path);
		return CLI_USAGE;
	}
	if (!aof_file_open(&file, path, options->fix)) {
		cli_warn("%s: %s", path, strerror(errno));
		return CLI_FAILED;
	}
	find(settings, &file, path, snapshot, &finding);
	buffer_appendf(&cli->out, "%s: %.*s\n", path, (int)finding.text.len, finding.text.ptr);
	if (finding.kind != AOF_FILE_GOOD)
		status = options->fix ? fix(cli, &file, path, finding.keep) : CLI_ERROR_REPLY;
	aof_finding_release(&finding);
	aof_file_close(&file);
	return cli_flush(cli) ? status : CLI_FAILED;
}

static enum cli_status
run(struct cli *cli)
{
	struct settings settings;
	enum cli_status status;

	if (strcmp(cli->operands[0], "check") != 0) {
		cli_warn(
		    "aof %s: unknown subcommand; the only one is: aof check", cli->operands[0]);
		return CLI_USAGE;
	}
	if (!load_settings(cli->options, &settings))
		return CLI_USAGE;
	status = check(cli, &settings, cli->operands[1]);
	settings_release(&settings);
	return status;
}

static const struct option_row rows[] = {
    {"config", 0, OPTION_TEXT, "FILE", .offset = offsetof(struct aof_options, config),
	.text = "configuration of fanfared, for databases, dbfilename and limits"},
    {"databases", 0, OPTION_NUMBER, "N", .offset = offsetof(struct aof_options, databases),
	.min = 1, .max = INT32_MAX, .text = "number of databases; overrides the configuration"},
    {"snapshot", 0, OPTION_FLAG, .offset = offsetof(struct aof_options, snapshot),
	.text = "the file is a snapshot, whatever its name"},
    {"fix", 0, OPTION_FLAG, .offset = offsetof(struct aof_options, fix),
	.text = "move the incomplete or damaged part and the rest to another file"},
    {0},
};

static const struct aof_options defaults;

const struct cli_command aof_command = {
    .name = "aof",
    .operands = "check FILE",
    .summary = "check an append-only file or a snapshot",
    .options = rows,
    .defaults = &defaults,
    .options_bytes = sizeof(struct aof_options),
    .min_operands = 2,
    .max_operands = 2,
    .run = run,
};
