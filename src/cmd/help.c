#include "config.h"

#include "cmd/help.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "server/command.h"
#include "server/request.h"

static char *
usage_line(const struct command *row)
{
	char *line = xasprintf("%s%s%s", row->name, row->syntax[0] != '\0' ? " " : "", row->syntax);
	size_t i, name_len = strlen(row->name);

	for (i = 0; i < name_len; i++)
		line[i] = (char)toupper((unsigned char)line[i]);
	return line;
}

enum command_result
request_help_from_table(struct request *rq)
{
	char **lines = xcalloc(2 * rq->server->commands->count + 1, sizeof(*lines));
	size_t count = 0, i;

	for (i = 0; i < rq->server->commands->count; i++) {
		const struct command *row = &rq->server->commands->rows[i];

		if (row->container == NULL || strcmp(row->container, rq->command->container) != 0 ||
		    strcmp(row->name, "help") == 0)
			continue;
		lines[count++] = usage_line(row);
		lines[count++] = xasprintf("    %s", row->summary);
	}
	request_help(rq, (const char *const *)lines);
	for (i = 0; i < count; i++)
		xfree(lines[i]);
	xfree(lines);
	return COMMAND_DONE;
}
