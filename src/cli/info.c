#include "config.h"

#include "cli/cli.h"

#include <string.h>

#include "base/alloc.h"
#include "cli/ask.h"
#include "cli/options.h"
#include "resp/reply.h"

/* Replaces the CR LF of the server with LF. */
static void
print_info(struct cli *cli, const struct resp_value *value)
{
	struct slice rest = value->text;

	while (rest.len > 0) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		size_t len = end == NULL ? rest.len : (size_t)(end - rest.ptr);
		size_t shown = len > 0 && rest.ptr[len - 1] == '\r' ? len - 1 : len;

		buffer_append(&cli->out, rest.ptr, shown);
		buffer_append(&cli->out, "\n", 1);
		len += end != NULL;
		rest.ptr += len;
		rest.len -= len;
	}
}

static enum cli_status
run(struct cli *cli)
{
	struct slice *args = xcalloc(cli->operand_count + 1, sizeof(*args));
	enum cli_status status;

	args[0] = SLICE("INFO");
	for (size_t i = 0; i < cli->operand_count; i++)
		args[i + 1] = slice_of(cli->operands[i]);
	status = ask(cli, 2, args, cli->operand_count + 1, print_info);
	xfree(args);
	return status;
}

static const struct option_row rows[] = {{0}};

const struct cli_command info_command = {
    .name = "info",
    .operands = "[SECTION...]",
    .summary = "print the server's INFO",
    .options = rows,
    .max_operands = SIZE_MAX,
    .run = run,
};
