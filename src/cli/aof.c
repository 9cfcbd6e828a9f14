#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "persist/aof_file.h"

/* fanfare aof check FILE: whether an append-only file or a snapshot is good. */

struct aof_options {
	bool fix;
};

struct check {
	struct cli *cli;
	const char *path;
	struct aof_file file;
	struct aof_scan scan;
	struct slice last; /* commands of the last verdict */
	uint64_t commands;
};

/* What has a good checksum may still be no commands, where something else wrote it. */
static enum aof_verdict
count_commands(struct check *check, struct slice run)
{
	struct aof_commands taken = {0};
	enum aof_command_result result;
	enum aof_verdict verdict = AOF_COMMANDS;

	while ((result = aof_command_next(&taken, &run)) == AOF_COMMAND)
		check->commands++;
	if (result != AOF_COMMAND_NONE) {
		check->scan.damaged_at = (size_t)(run.ptr - check->file.bytes.ptr);
		check->scan.keep = check->scan.batch_at;
		check->scan.reason =
		    result == AOF_COMMAND_BAD ? taken.reason : "a command without an end";
		verdict = AOF_DAMAGED;
	}
	aof_commands_release(&taken);
	return verdict;
}

static enum aof_verdict
read_all(struct check *check)
{
	enum aof_verdict verdict;

	do {
		verdict = aof_scan_next(&check->scan, &check->last);
		if (verdict == AOF_COMMANDS || verdict == AOF_CUT) {
			enum aof_verdict of_commands = count_commands(check, check->last);

			if (of_commands == AOF_DAMAGED)
				return AOF_DAMAGED;
		}
	} while (verdict == AOF_COMMANDS);
	return verdict;
}

static void
report(struct check *check, enum aof_verdict verdict)
{
	struct buffer *out = &check->cli->out;
	const struct aof_scan *scan = &check->scan;

	buffer_appendf(out, "%s: ", check->path);
	if (verdict == AOF_CUT)
		buffer_appendf(out,
		    "ends early: the last %zu bytes, behind offset %zu, are not whole\n",
		    check->file.bytes.len - scan->keep, scan->keep);
	else if (verdict == AOF_DAMAGED)
		buffer_appendf(out, "damaged at offset %zu: %s\n", scan->damaged_at, scan->reason);
	else
		buffer_appendf(out, "good: %zu bytes, %llu commands in %llu batches\n",
		    check->file.bytes.len, (unsigned long long)check->commands,
		    (unsigned long long)scan->batches);
}

static enum cli_status
fix(struct check *check, enum aof_verdict verdict)
{
	struct slice kept = verdict == AOF_CUT ? check->last : (struct slice){"", 0};
	size_t len = check->file.bytes.len;

	if (!aof_file_mend(&check->file, &check->scan, kept)) {
		cli_warn("%s: %s", check->path, strerror(errno));
		return CLI_FAILED;
	}
	buffer_appendf(&check->cli->out, "%s: cut to %zu bytes, %zu are gone\n", check->path,
	    check->scan.keep, len - check->scan.keep);
	return CLI_OK;
}

static enum cli_status
check_file(struct check *check, bool may_fix)
{
	enum cli_status status = CLI_OK;
	enum aof_verdict verdict;

	if (!aof_file_open(&check->file, check->path, may_fix)) {
		cli_warn("%s: %s", check->path, strerror(errno));
		return CLI_FAILED;
	}
	check->scan.file = check->file.bytes;
	verdict = read_all(check);
	report(check, verdict);
	if (verdict != AOF_END)
		status = may_fix ? fix(check, verdict) : CLI_ERROR_REPLY;
	aof_file_close(&check->file);
	if (!cli_flush(check->cli))
		return CLI_FAILED;
	return status;
}

static enum cli_status
run(struct cli *cli)
{
	const struct aof_options *options = cli->options;
	struct check check = {.cli = cli, .path = cli->operands[1]};

	if (strcmp(cli->operands[0], "check") != 0) {
		cli_warn("aof %s: there is only aof check", cli->operands[0]);
		return CLI_USAGE;
	}
	return check_file(&check, options->fix);
}

static const struct option_row rows[] = {
    {"fix", 0, OPTION_FLAG, .offset = offsetof(struct aof_options, fix),
	.text = "cut off what is not whole, or damaged, and all behind it"},
    {0},
};

static const struct aof_options defaults;

const struct cli_command aof_command = {
    .name = "aof",
    .operands = "check FILE",
    .summary = "look whether an append-only file or a snapshot is good",
    .options = rows,
    .defaults = &defaults,
    .options_bytes = sizeof(struct aof_options),
    .min_operands = 2,
    .max_operands = 2,
    .run = run,
};
