#include "config.h"

#include "acl/command.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/hash_map.h"

#define NAME_BYTES_MAX 64 /* of "container|name" */

const char *const acl_categories[] = {"keyspace", "read", "write", "set", "sortedset", "list",
    "hash", "string", "bitmap", "hyperloglog", "geo", "stream", "pubsub", "admin", "fast", "slow",
    "blocking", "dangerous", "connection", "transaction", "scripting", NULL};

_Static_assert(sizeof(acl_categories) / sizeof(*acl_categories) <= ACL_CATEGORIES_MAX + 1,
    "more categories than room for them");

struct acl_commands {
	struct acl_command *rows; /* owned */
	size_t count;
	struct hash_map *names; /* "client|list" -> row */
	struct acl_command_set categories[ACL_CATEGORIES_MAX];
};

static void
add_name(struct acl_commands *commands, struct acl_command *row)
{
	char name[NAME_BYTES_MAX];
	int len = row->container != NULL
		      ? snprintf(name, sizeof(name), "%s|%s", row->container, row->name)
		      : snprintf(name, sizeof(name), "%s", row->name);

	assert(len > 0 && len < NAME_BYTES_MAX);
	if (hash_map_set(commands->names, slice_of(name), row) != NULL)
		assert(!"two commands of one name");
}

struct acl_commands *
acl_commands_new(
    size_t count, void (*describe)(struct acl_command *row, const void *arg), const void *arg)
{
	struct acl_commands *commands = xcalloc(1, sizeof(*commands));
	size_t i, at;

	assert(count <= ACL_COMMANDS_MAX);
	commands->rows = xcalloc(count, sizeof(*commands->rows));
	commands->count = count;
	commands->names = hash_map_new();
	for (at = 0; at < count; at++) {
		commands->rows[at].index = at;
		describe(&commands->rows[at], arg);
		add_name(commands, &commands->rows[at]);
	}
	for (i = 0; acl_categories[i] != NULL; i++)
		for (at = 0; at < count; at++)
			if (acl_category_holds(slice_of(acl_categories[i]), &commands->rows[at]))
				acl_commands_add(
				    commands, &commands->rows[at], &commands->categories[i]);
	return commands;
}

void
acl_commands_free(struct acl_commands *commands)
{
	if (commands == NULL)
		return;
	hash_map_free(commands->names);
	xfree(commands->rows);
	xfree(commands);
}

const struct acl_command *
acl_commands_at(const struct acl_commands *commands, size_t index)
{
	assert(index < commands->count);
	return &commands->rows[index];
}

const struct acl_command *
acl_commands_find(const struct acl_commands *commands, struct slice name)
{
	char lower[NAME_BYTES_MAX];

	if (name.len == 0 || name.len > sizeof(lower))
		return NULL;
	for (size_t i = 0; i < name.len; i++)
		lower[i] = (char)tolower((unsigned char)name.ptr[i]);
	return hash_map_get(commands->names, (struct slice){lower, name.len});
}

static void
add_one(struct acl_command_set *set, size_t index)
{
	set->bits[index / 64] |= UINT64_C(1) << (index % 64);
}

void
acl_commands_add(
    const struct acl_commands *commands, const struct acl_command *row, struct acl_command_set *set)
{
	add_one(set, row->index);
	if (!row->is_container)
		return;
	for (size_t i = 0; i < commands->count; i++)
		if (commands->rows[i].container != NULL &&
		    strcmp(commands->rows[i].container, row->name) == 0)
			add_one(set, i);
}

bool
acl_category_holds(struct slice category, const struct acl_command *row)
{
	const char *at = row->categories;

	while (*at == '@') {
		size_t len = strcspn(at, " ");

		if (len == category.len + 1 && strncasecmp(at + 1, category.ptr, len - 1) == 0)
			return true;
		at += len;
		at += strspn(at, " ");
	}
	return false;
}

const struct acl_command_set *
acl_commands_of_category(const struct acl_commands *commands, size_t category)
{
	return &commands->categories[category];
}
