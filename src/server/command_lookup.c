#include "config.h"

#include "server/command_lookup.h"

#include <string.h>

#include "server/command.h"
#include "server/request.h"

/* An error text repeats at most this many bytes of a request, as in Redis. */
#define SHOWN_MAX 128

/* The length of s up to a NUL, at most max: the part that "%s" would show. */
static int
shown_len(struct slice s, size_t max)
{
	return (int)strnlen(s.ptr, s.len < max ? s.len : max);
}

static void
unknown_command(struct request *rq)
{
	char args[SHOWN_MAX * 2];
	size_t len = 0, i;

	/* At most 128 bytes of arguments, each quoted; the last one is cut to what is left. */
	args[0] = '\0';
	for (i = 1; i < rq->argc && len < SHOWN_MAX; i++) {
		int n = shown_len(rq->argv[i], SHOWN_MAX - len);

		args[len++] = '\'';
		memcpy(args + len, rq->argv[i].ptr, (size_t)n);
		len += (size_t)n;
		memcpy(args + len, "' ", 3);
		len += 2;
	}
	request_error(rq, "ERR unknown command '%.*s', with args beginning with: %s",
	    shown_len(rq->argv[0], SHOWN_MAX), rq->argv[0].ptr, args);
}

static void
unknown_subcommand(struct request *rq, const struct command *container)
{
	char name[COMMAND_NAME_MAX];
	size_t i;

	for (i = 0; container->name[i] != '\0'; i++)
		name[i] = (char)(container->name[i] & ~0x20);
	name[i] = '\0';
	request_error(rq, "ERR unknown subcommand '%.*s'. Try %s HELP.",
	    shown_len(rq->argv[1], SHOWN_MAX), rq->argv[1].ptr, name);
}

bool
request_find_command(struct request *rq)
{
	const struct command *command = command_find(rq->server->commands, NULL, rq->argv[0]);
	const struct command *sub;

	if (command == NULL) {
		unknown_command(rq);
		return false;
	}
	if ((command->flags & CMD_CONTAINER) != 0 && rq->argc > 1) {
		sub = command_find(rq->server->commands, command, rq->argv[1]);
		if (sub == NULL) {
			unknown_subcommand(rq, command);
			return false;
		}
		command = sub;
	}
	rq->command = command;
	return true;
}
