#include "config.h"

#include "server/command.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "acl/command.h"
#include "base/alloc.h"
#include "base/hash_map.h"

const char *
command_full_name(const struct command *command, char out[COMMAND_NAME_MAX])
{
	int len;

	if (command->container == NULL)
		len = snprintf(out, COMMAND_NAME_MAX, "%s", command->name);
	else
		len = snprintf(out, COMMAND_NAME_MAX, "%s|%s", command->container, command->name);
	assert(len > 0 && len < COMMAND_NAME_MAX);
	return out;
}

static struct acl_channels
channels_of(const struct command *row)
{
	struct acl_channels channels = {0};

	if ((row->flags & (CMD_CHANNEL | CMD_CHANNELS | CMD_PATTERNS)) == 0)
		return channels;
	channels.first = row->container != NULL ? 2 : 1;
	if ((row->flags & CMD_CHANNELS_LATER) != 0)
		channels.first++;
	if ((row->flags & CMD_CHANNEL) == 0)
		channels.step = (row->flags & CMD_CHANNEL_PAIRS) != 0 ? 2 : 1;
	if ((row->flags & CMD_PATTERNS) != 0)
		channels.names =
		    (row->flags & CMD_CHANNELS) != 0 ? ACL_NAMES_EITHER : ACL_NAMES_PATTERNS;
	channels.may_be_queues = command_takes_queue_names(row);
	return channels;
}

static void
describe_to_acl(struct acl_command *out, const void *arg)
{
	const struct command_table *table = arg;
	const struct command *row = &table->rows[out->index];

	out->container = row->container;
	out->name = row->name;
	out->categories = row->categories;
	out->keys = row->keys;
	out->channels = channels_of(row);
	out->is_container = (row->flags & CMD_CONTAINER) != 0;
	out->always_allowed = (row->flags & CMD_NO_AUTH) != 0;
}

/* The map borrows the rows, which are const: its values are only read. */
struct command_table *
command_table_new(const struct command *rows, size_t count)
{
	struct command_table *table = xcalloc(1, sizeof(*table));
	char name[COMMAND_NAME_MAX];
	size_t i;

	table->rows = rows;
	table->count = count;
	table->names = hash_map_new();
	for (i = 0; i < count; i++) {
		union {
			const struct command *row;
			void *value;
		} entry = {.row = &rows[i]};

		command_full_name(entry.row, name);
		if (hash_map_set(table->names, slice_of(name), entry.value) != NULL)
			assert(!"two rows of the same name");
	}
	table->acl = acl_commands_new(count, describe_to_acl, table);
	return table;
}

void
command_table_free(struct command_table *table)
{
	if (table == NULL)
		return;
	acl_commands_free(table->acl);
	hash_map_free(table->names);
	xfree(table);
}

/* Appends name in lower case at out[at]; 0 if it is too long for any row. */
static size_t
append_lower(char out[COMMAND_NAME_MAX], size_t at, struct slice name)
{
	size_t i;

	if (name.len > COMMAND_NAME_MAX - 1 - at)
		return 0;
	for (i = 0; i < name.len; i++)
		out[at + i] = (char)tolower((unsigned char)name.ptr[i]);
	return at + name.len;
}

const struct command *
command_find_full(const struct command_table *table, struct slice name)
{
	char key[COMMAND_NAME_MAX];
	size_t len = append_lower(key, 0, name);

	return len == 0 ? NULL : hash_map_get(table->names, (struct slice){key, len});
}

const struct command *
command_find(const struct command_table *table, const struct command *container, struct slice name)
{
	char key[COMMAND_NAME_MAX];
	size_t len = 0;

	if (name.len == 0 || memchr(name.ptr, '|', name.len) != NULL)
		return NULL;
	if (container != NULL) {
		len = append_lower(key, 0, slice_of(container->name));
		key[len++] = '|';
	}
	len = append_lower(key, len, name);
	return len == 0 ? NULL : hash_map_get(table->names, (struct slice){key, len});
}

const struct command *
command_find_of(const struct command_table *table, const struct slice *argv, size_t argc)
{
	const struct command *command = command_find(table, NULL, argv[0]);

	if (command != NULL && (command->flags & CMD_CONTAINER) != 0 && argc > 1)
		command = command_find(table, command, argv[1]);
	return command;
}

const struct acl_command *
command_acl(const struct command_table *table, const struct command *command)
{
	return acl_commands_at(table->acl, command_index(table, command));
}

bool
command_arity_fits(const struct command *command, size_t argc)
{
	if (command->arity >= 0)
		return argc == (size_t)command->arity;
	return argc >= (size_t)-command->arity;
}
