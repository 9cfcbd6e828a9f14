#include "config.h"

#include "server/transaction.h"

#include <string.h>

#include "base/alloc.h"
#include "server/command.h"

struct transaction *
transaction_new(uint32_t rules_version)
{
	struct transaction *t = xcalloc(1, sizeof(*t));

	TAILQ_INIT(&t->commands);
	t->rules_version = rules_version;
	return t;
}

static void
drop_commands(struct transaction *t)
{
	struct queued_command *q;

	while ((q = TAILQ_FIRST(&t->commands)) != NULL) {
		TAILQ_REMOVE(&t->commands, q, all);
		xfree(q);
	}
	t->count = 0;
	t->bytes = 0;
	t->flags = 0;
}

void
transaction_free(struct transaction *t)
{
	if (t == NULL)
		return;
	drop_commands(t);
	xfree(t);
}

/* The sum cannot overflow, because the request is in memory with all its arguments. */
static size_t
bytes_of(const struct slice *argv, size_t argc)
{
	size_t bytes = sizeof(struct queued_command) + argc * sizeof(*argv);

	for (size_t i = 0; i < argc; i++)
		bytes += argv[i].len;
	return bytes;
}

bool
transaction_add(struct transaction *t, const struct command *command, uint32_t flags,
    const struct slice *argv, size_t argc, size_t commands_max, size_t bytes_max)
{
	size_t bytes = bytes_of(argv, argc);
	struct queued_command *q;
	char *at;

	if (t->count >= commands_max || t->bytes >= bytes_max || bytes > bytes_max - t->bytes)
		return false;
	q = xmalloc(bytes);
	q->command = command;
	q->argc = argc;
	at = (char *)&q->argv[argc];
	for (size_t i = 0; i < argc; i++) {
		if (argv[i].len > 0)
			memcpy(at, argv[i].ptr, argv[i].len);
		q->argv[i] = (struct slice){at, argv[i].len};
		at += argv[i].len;
	}
	TAILQ_INSERT_TAIL(&t->commands, q, all);
	t->count++;
	t->bytes += bytes;
	t->flags |= flags;
	return true;
}

void
transaction_spoil(struct transaction *t)
{
	t->spoiled = true;
	drop_commands(t);
}
