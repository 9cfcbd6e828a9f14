#include "config.h"

#include "import/overdue.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash_map.h"

#define DAY_MS 86400000

void
overdue_init(struct overdue *overdue, int64_t now_ms)
{
	*overdue =
	    (struct overdue){.now_ms = now_ms, .later_ms = now_ms + DAY_MS, .keys = hash_map_new()};
}

void
overdue_release(struct overdue *overdue)
{
	hash_map_free(overdue->keys);
	buffer_release(&overdue->scratch);
	xfree(overdue->argv);
	overdue->keys = NULL;
	overdue->argv = NULL;
}

/* What the map has for a key: borrowed until the next call. */
static struct slice
entry_of(struct overdue *overdue, struct slice key)
{
	buffer_clear(&overdue->scratch);
	buffer_append(&overdue->scratch, &overdue->database, sizeof(overdue->database));
	buffer_append_slice(&overdue->scratch, key);
	return buffer_slice(&overdue->scratch);
}

static void
remember(struct overdue *overdue, struct slice key)
{
	(void)hash_map_set(overdue->keys, entry_of(overdue, key), overdue);
}

/* The index of the argument that is an expiry time in milliseconds since 1970; 0: none. Redis
 * writes no other form to its files. */
static size_t
time_index(const struct import_command *command)
{
	if (slice_is_nocase(command->argv[0], "pexpireat"))
		return command->argc > 2 ? 2 : 0;
	if (!slice_is_nocase(command->argv[0], "set"))
		return 0;
	for (size_t i = 3; i + 1 < command->argc; i++)
		if (slice_is_nocase(command->argv[i], "pxat"))
			return i + 1;
	return 0;
}

static void
replace_time(struct overdue *overdue, struct import_command *command, size_t index)
{
	if (command->argc > overdue->room) {
		overdue->room = command->argc;
		overdue->argv = xrealloc(overdue->argv, overdue->room * sizeof(*overdue->argv));
	}
	memcpy(overdue->argv, command->argv, command->argc * sizeof(*overdue->argv));
	overdue->argv[index] =
	    (struct slice){overdue->later, bytes_from_i64(overdue->later, overdue->later_ms)};
	command->argv = overdue->argv;
	remember(overdue, command->argv[1]);
}

static bool
is_removal(struct slice name)
{
	return slice_is_nocase(name, "del") || slice_is_nocase(name, "unlink");
}

/* True if the second argument gets what the first one has, with its expiry time. */
static bool
is_copy(struct slice name)
{
	return slice_is_nocase(name, "rename") || slice_is_nocase(name, "renamenx") ||
	       slice_is_nocase(name, "copy");
}

void
overdue_follow(struct overdue *overdue, struct import_command *command)
{
	struct slice name = command->argv[0];
	size_t index = time_index(command);
	int64_t time_ms;

	if (command->part == IMPORT_DATABASE) {
		if (command->argc > 1)
			(void)!slice_to_u64(command->argv[1], &overdue->database);
	} else if (index > 0) {
		if (slice_to_i64(command->argv[index], &time_ms) && time_ms <= overdue->now_ms)
			replace_time(overdue, command, index);
	} else if (is_removal(name)) {
		for (size_t i = 1; i < command->argc; i++)
			(void)hash_map_remove(overdue->keys, entry_of(overdue, command->argv[i]));
	} else if (is_copy(name) && command->argc > 2) {
		if (hash_map_get(overdue->keys, entry_of(overdue, command->argv[1])) != NULL)
			remember(overdue, command->argv[2]);
	}
}

struct visit {
	void (*visit)(void *arg, uint64_t database, struct slice key);
	void *arg;
};

static void
visit_entry(struct slice entry, void *value, void *arg)
{
	const struct visit *visit = arg;
	uint64_t database;

	(void)value;
	memcpy(&database, entry.ptr, sizeof(database));
	visit->visit(visit->arg, database,
	    (struct slice){entry.ptr + sizeof(database), entry.len - sizeof(database)});
}

bool
overdue_take(struct overdue *overdue, size_t most,
    void (*visit)(void *arg, uint64_t database, struct slice key), void *arg)
{
	struct visit each = {visit, arg};

	if (hash_map_count(overdue->keys) == 0)
		return false;
	(void)!hash_map_drain(overdue->keys, visit_entry, &each, &most);
	return true;
}
