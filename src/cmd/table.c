#include "config.h"

#include "cmd/table.h"

#include "cmd/handlers.h"

/* `since` of commands that Redis does not have: the first Fanfare release that had them. */
#define COMMAND_SINCE_OURS "0.1.0"

static const struct command rows[] = {
#define COMMAND(container, name, handler, ...) {container, name, handler, __VA_ARGS__},
#include "cmd/commands.def"
#undef COMMAND
};

const struct command_table *
cmd_table(void)
{
	static struct command_table *table;

	if (table == NULL)
		table = command_table_new(rows, sizeof(rows) / sizeof(rows[0]));
	return table;
}
