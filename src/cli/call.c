#include "config.h"

#include "cli/cli.h"

#include <unistd.h>

#include "base/alloc.h"
#include "cli/ask.h"
#include "cli/options.h"
#include "cli/reply_text.h"

struct call_options {
	bool resp3;
	bool json;
	bool raw;
	bool pretty;
};

static void
print_reply(struct cli *cli, const struct resp_value *value)
{
	const struct call_options *o = cli->options;

	if (o->json)
		reply_text_json(&cli->out, value);
	else if (o->pretty || (!o->raw && isatty(STDOUT_FILENO)))
		reply_text_pretty(&cli->out, value);
	else
		reply_text_raw(&cli->out, value);
}

static enum cli_status
run(struct cli *cli)
{
	const struct call_options *o = cli->options;
	struct slice *args;
	enum cli_status status;

	if (o->json + o->raw + o->pretty > 1) {
		cli_warn("--json, --raw and --pretty exclude each other");
		return CLI_USAGE;
	}
	args = xcalloc(cli->operand_count, sizeof(*args));
	for (size_t i = 0; i < cli->operand_count; i++)
		args[i] = slice_of(cli->operands[i]);
	status = ask(cli, o->resp3 ? 3 : 2, args, cli->operand_count, print_reply);
	xfree(args);
	return status;
}

#define AT(field) .offset = offsetof(struct call_options, field)

static const struct option_row rows[] = {
    {"resp3", '3', OPTION_FLAG, AT(resp3), .text = "speak RESP3"},
    {"json", 0, OPTION_FLAG, AT(json), .text = "print the reply as one line of JSON"},
    {"raw", 0, OPTION_FLAG, AT(raw), .text = "print plain bytes, as into a pipe"},
    {"pretty", 0, OPTION_FLAG, AT(pretty), .text = "print types and quotes, as on a terminal"},
    {0},
};

const struct cli_command call_command = {
    .name = "call",
    .operands = "COMMAND [ARG...]",
    .summary = "send one command and print its reply",
    .options = rows,
    .options_bytes = sizeof(struct call_options),
    .min_operands = 1,
    .max_operands = SIZE_MAX,
    .ends_options = true,
    .run = run,
};
