#include "config.h"

#include "import/postpone.h"

#include <string.h>

#include "base/alloc.h"

/* A caller that learns the rest of a key's life, and not its time, is wrong by the difference of
 * the clocks. */
#define CLOCKS_MS INT64_C(3600000)

void
postpone_release(struct postpone *postpone)
{
	xfree(postpone->argv);
	postpone->argv = NULL;
}

/* The first argument from `from` on that is this word; 0: none. */
static size_t
find_option(const struct import_command *command, size_t from, const char *word)
{
	for (size_t i = from; i < command->argc; i++)
		if (slice_is_nocase(command->argv[i], word))
			return i;
	return 0;
}

/* The index of the argument that is an expiry time in milliseconds since 1970; 0: none. Redis
 * writes no other form to its files. */
static size_t
time_index(const struct import_command *command)
{
	struct slice name = command->argv[0];
	size_t at;

	if (slice_is_nocase(name, "pexpireat"))
		return command->argc > 2 ? 2 : 0;
	if (slice_is_nocase(name, "restore") || slice_is_nocase(name, "restore-asking"))
		return find_option(command, 4, "absttl") > 0 && !slice_is(command->argv[2], "0")
			   ? 2
			   : 0;
	if (!slice_is_nocase(name, "set"))
		return 0;
	at = find_option(command, 3, "pxat");
	return at > 0 && at + 1 < command->argc ? at + 1 : 0;
}

static void
replace_time(
    struct postpone *postpone, struct import_command *command, size_t index, int64_t time_ms)
{
	if (time_ms < postpone->now_ms)
		time_ms = postpone->now_ms;
	if (command->argc > postpone->room) {
		postpone->room = command->argc;
		postpone->argv = xrealloc(postpone->argv, postpone->room * sizeof(*postpone->argv));
	}
	memcpy(postpone->argv, command->argv, command->argc * sizeof(*postpone->argv));
	postpone->argv[index] = (struct slice){
	    postpone->digits, bytes_from_i64(postpone->digits, time_ms + POSTPONE_BY_MS)};
	command->argv = postpone->argv;
	postpone->count++;
}

void
postpone_follow(struct postpone *postpone, struct import_command *command)
{
	size_t index = time_index(command);
	int64_t time_ms;

	if (index == 0 || !slice_to_i64(command->argv[index], &time_ms))
		return;
	if (slice_is_nocase(command->argv[0], "pexpireat"))
		command->argc = 3;
	if (time_ms <= postpone->now_ms + POSTPONE_WITHIN_MS)
		replace_time(postpone, command, index, time_ms);
}

bool
postpone_is_replaced(const struct postpone *postpone, int64_t time_ms, int64_t *real_ms)
{
	*real_ms = time_ms - POSTPONE_BY_MS;
	return *real_ms >= postpone->now_ms - CLOCKS_MS &&
	       *real_ms <= postpone->now_ms + POSTPONE_WITHIN_MS + CLOCKS_MS;
}
