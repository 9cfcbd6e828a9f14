#include "config.h"

#include "tool/sweep.h"

#include "cli/connection.h"
#include "import/overdue.h"
#include "resp/reply.h"

static void
add_key(void *arg, uint64_t database, struct slice key)
{
	struct sweep *sweep = arg;

	sweep->keys[sweep->count++] =
	    (struct sweep_key){.database = database, .from = sweep->names.len, .len = key.len};
	buffer_append_slice(&sweep->names, key);
}

/* A command for the key in its database. */
static void
send(struct sweep *sweep, const char *command, const struct sweep_key *key)
{
	char digits[BYTES_U64_MAX];
	struct slice select[] = {SLICE("SELECT"), {digits, bytes_from_u64(digits, key->database)}};
	struct slice argv[] = {slice_of(command), {sweep->names.ptr + key->from, key->len}};

	connection_send(sweep->connection, select, 2);
	connection_send(sweep->connection, argv, 2);
	sweep->awaited += 2;
}

static void
ask(struct sweep *sweep)
{
	sweep->state = SWEEP_ASKS;
	for (size_t i = 0; i < sweep->count; i++)
		send(sweep, "PEXPIRETIME", &sweep->keys[i]);
}

static void
remove_keys(struct sweep *sweep)
{
	sweep->state = SWEEP_REMOVES;
	for (size_t i = 0; i < sweep->count; i++)
		if (sweep->keys[i].is_over)
			send(sweep, "DEL", &sweep->keys[i]);
}

bool
sweep_go_on(struct sweep *sweep)
{
	sweep->awaited = sweep->answered = 0;
	if (sweep->state == SWEEP_ASKS)
		remove_keys(sweep);
	while (sweep->awaited == 0) {
		sweep->count = 0;
		buffer_clear(&sweep->names);
		(void)buffer_reserve(&sweep->names, 1); /* so that an empty name has an address */
		if (!overdue_take(sweep->overdue, SWEEP_KEYS, add_key, sweep))
			return false;
		ask(sweep);
	}
	return true;
}

bool
sweep_reply(struct sweep *sweep, const struct resp_value *value)
{
	bool is_answer = sweep->answered % 2 == 1; /* and not that of SELECT */
	struct sweep_key *key = &sweep->keys[sweep->answered / 2];

	sweep->failed += is_answer && value->type == RESP_TYPE_ERROR;
	if (is_answer && sweep->state == SWEEP_ASKS)
		key->is_over =
		    value->type == RESP_TYPE_INT && value->number == sweep->overdue->later_ms;
	else if (is_answer)
		sweep->removed += value->type == RESP_TYPE_INT && value->number == 1;
	return ++sweep->answered == sweep->awaited;
}

void
sweep_release(struct sweep *sweep)
{
	buffer_release(&sweep->names);
}
