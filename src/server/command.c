#include "config.h"

#include "server/command.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "acl/command.h"
#include "base/alloc.h"
#include "base/hash_map.h"
#include "resp/writer.h"
#include "server/state.h"

/* Codes told apart in errorstats, as many as Redis tells apart. */
#define ERROR_CODES_MAX 128
#define ERROR_TEXT_MAX 1024

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

static enum acl_channels
channels_of(const struct command *row)
{
	if ((row->flags & CMD_CHANNEL) != 0)
		return ACL_CHANNELS_FIRST;
	if ((row->flags & CMD_CHANNELS) != 0)
		return ACL_CHANNELS_ALL;
	return (row->flags & CMD_PATTERNS) != 0 ? ACL_CHANNELS_PATTERNS : ACL_CHANNELS_NONE;
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

/* The map borrows the rows, which are const: its values are only ever read. */
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
command_find_full(const struct server *server, struct slice name)
{
	char key[COMMAND_NAME_MAX];
	size_t len = append_lower(key, 0, name);

	return len == 0 ? NULL : hash_map_get(server->commands->names, (struct slice){key, len});
}

const struct command *
command_find(const struct server *server, const struct command *container, struct slice name)
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
	return len == 0 ? NULL : hash_map_get(server->commands->names, (struct slice){key, len});
}

size_t
command_index(const struct server *server, const struct command *command)
{
	const struct command_table *table = server->commands;

	assert(command >= table->rows && command < table->rows + table->count);
	return (size_t)(command - table->rows);
}

const struct acl_command *
command_acl(const struct server *server, const struct command *command)
{
	return acl_commands_at(server->commands->acl, command_index(server, command));
}

bool
command_arity_fits(const struct command *command, size_t argc)
{
	if (command->arity >= 0)
		return argc == (size_t)command->arity;
	return argc >= (size_t)-command->arity;
}

void
server_count_error(struct server *server, struct slice text)
{
	const char *space = memchr(text.ptr, ' ', text.len);
	struct slice code = {text.ptr, space != NULL ? (size_t)(space - text.ptr) : text.len};
	uint64_t *count = hash_map_get(server->errors, code);

	server->counters.errors++;
	if (count == NULL) {
		if (hash_map_count(server->errors) >= ERROR_CODES_MAX)
			return;
		count = xcalloc(1, sizeof(*count));
		hash_map_set(server->errors, code, count);
	}
	++*count;
}

void
request_error(struct request *rq, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	struct slice s = {text, 0};
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	assert(len > 0);
	s.len = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
	resp_put_error(rq->reply, s);
	rq->failed = true;
	server_count_error(rq->server, s);
}

void
request_ok(struct request *rq)
{
	resp_put_simple(rq->reply, "OK");
}

void
request_syntax_error(struct request *rq)
{
	request_error(rq, "ERR syntax error");
}

/* name in capitals, cut to what any row's name fits in. */
static const char *
upper(const char *name, char out[COMMAND_NAME_MAX])
{
	size_t i;

	for (i = 0; i < COMMAND_NAME_MAX - 1 && name[i] != '\0'; i++)
		out[i] = (char)toupper((unsigned char)name[i]);
	out[i] = '\0';
	return out;
}

void
request_subcommand_syntax_error(struct request *rq)
{
	char container[COMMAND_NAME_MAX];
	const struct slice *name = &rq->argv[rq->argc > 1];

	upper(
	    rq->command->container != NULL ? rq->command->container : rq->command->name, container);
	request_error(rq,
	    "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.",
	    (int)(name->len < 128 ? name->len : 128), name->ptr, container);
}

void
request_help(struct request *rq, const char *const lines[])
{
	char container[COMMAND_NAME_MAX], header[COMMAND_NAME_MAX + 80];
	size_t count = 0, i;

	while (lines[count] != NULL)
		count++;
	upper(
	    rq->command->container != NULL ? rq->command->container : rq->command->name, container);
	snprintf(header, sizeof(header),
	    "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", container);
	resp_put_array(rq->reply, count + 3);
	resp_put_simple(rq->reply, header);
	for (i = 0; i < count; i++)
		resp_put_simple(rq->reply, lines[i]);
	resp_put_simple(rq->reply, "HELP");
	resp_put_simple(rq->reply, "    Prints this help.");
}
