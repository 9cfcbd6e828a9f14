#include "config.h"

#include "tool/sweep.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "cli/connection.h"
#include "import/postpone.h"
#include "resp/reply.h"

#define SCAN_COUNT SLICE("256")

static int64_t
now_ms(void)
{
	return (int64_t)(clock_wall_us() / 1000);
}

static void
send(struct sweep *sweep, const struct slice *argv, size_t argc)
{
	connection_send(sweep->connection, argv, argc);
	sweep->awaited++;
}

static struct slice
name_of(const struct sweep *sweep, const struct sweep_key *key)
{
	return (struct slice){sweep->names.ptr + key->from, key->len};
}

/* Sends SELECT before the first SCAN of a database. */
static void
scan(struct sweep *sweep)
{
	char digits[BYTES_U64_MAX];
	struct slice select[] = {
	    SLICE("SELECT"), {digits, bytes_from_u64(digits, sweep->database)}};
	struct slice argv[] = {
	    SLICE("SCAN"), buffer_slice(&sweep->cursor), SLICE("COUNT"), SCAN_COUNT};

	sweep->state = SWEEP_SCANS;
	sweep->count = 0;
	buffer_clear(&sweep->names);
	(void)buffer_reserve(&sweep->names, 1); /* so that an empty name has an address */
	if (!sweep->has_selected)
		send(sweep, select, 2);
	send(sweep, argv, 4);
}

static void
scan_database(struct sweep *sweep, uint64_t database)
{
	sweep->database = database;
	sweep->has_selected = false;
	buffer_clear(&sweep->cursor);
	buffer_append_str(&sweep->cursor, "0");
	scan(sweep);
}

/* The rest of this database, or the next one. */
static void
scan_on(struct sweep *sweep)
{
	if (slice_is(buffer_slice(&sweep->cursor), "0"))
		scan_database(sweep, sweep->database + 1);
	else
		scan(sweep);
}

static void
ask(struct sweep *sweep)
{
	sweep->state = SWEEP_ASKS;
	sweep->ask_again = false;
	for (size_t i = 0; i < sweep->count; i++) {
		struct slice argv[] = {sweep->asks_left ? SLICE("PTTL") : SLICE("PEXPIRETIME"),
		    name_of(sweep, &sweep->keys[i])};

		send(sweep, argv, 2);
	}
}

static void
set_times(struct sweep *sweep)
{
	size_t count = 0;

	sweep->state = SWEEP_SETS;
	for (size_t i = 0; i < sweep->count; i++)
		if (sweep->keys[i].is_replaced)
			sweep->keys[count++] = sweep->keys[i];
	sweep->count = count;
	for (size_t i = 0; i < count; i++) {
		char digits[BYTES_I64_MAX];
		struct slice argv[] = {SLICE("PEXPIREAT"), name_of(sweep, &sweep->keys[i]),
		    {digits, bytes_from_i64(digits, sweep->keys[i].real_ms)}};

		send(sweep, argv, 3);
	}
}

bool
sweep_go_on(struct sweep *sweep)
{
	sweep->awaited = sweep->answered = 0;
	if (sweep->state == SWEEP_IDLE)
		scan_database(sweep, 0);
	else if (sweep->state == SWEEP_SCANS && sweep->has_selected && !sweep->has_failed)
		ask(sweep);
	else if (sweep->state == SWEEP_ASKS && sweep->ask_again)
		ask(sweep);
	else if (sweep->state == SWEEP_ASKS)
		set_times(sweep);
	else if (sweep->state != SWEEP_SETS)
		sweep->state = SWEEP_DONE;
	if (sweep->awaited == 0 && sweep->state != SWEEP_DONE)
		scan_on(sweep);
	return sweep->state != SWEEP_DONE;
}

static void
add_key(struct sweep *sweep, struct slice name)
{
	if (sweep->count == sweep->room) {
		sweep->room = sweep->room == 0 ? 512 : 2 * sweep->room;
		sweep->keys = xrealloc(sweep->keys, sweep->room * sizeof(*sweep->keys));
	}
	sweep->keys[sweep->count++] = (struct sweep_key){.from = sweep->names.len, .len = name.len};
	buffer_append_slice(&sweep->names, name);
}

static void
fail(struct sweep *sweep, struct slice error)
{
	sweep->has_failed = true;
	buffer_clear(&sweep->error);
	buffer_append_slice(&sweep->error, error);
}

/* The reply to SCAN; an error if its SELECT has failed is not its own. */
static void
take_keys(struct sweep *sweep, const struct resp_value *value)
{
	const struct resp_value *keys;

	if (value->type != RESP_TYPE_ARRAY || value->count != 2 ||
	    value->items[1].type != RESP_TYPE_ARRAY) {
		fail(sweep, value->type == RESP_TYPE_ERROR ? value->text : SLICE("not a SCAN"));
		return;
	}
	buffer_clear(&sweep->cursor);
	buffer_append_slice(&sweep->cursor, value->items[0].text);
	keys = &value->items[1];
	for (size_t i = 0; i < keys->count; i++)
		add_key(sweep, keys->items[i].text);
}

/* The first database that does not exist ends the search. */
static void
take_scan(struct sweep *sweep, const struct resp_value *value)
{
	bool is_select = sweep->awaited == 2 && sweep->answered == 0;

	if (is_select)
		sweep->has_selected = value->type != RESP_TYPE_ERROR;
	if (is_select && !sweep->has_selected && sweep->database == 0)
		fail(sweep, value->text);
	else if (!is_select && sweep->has_selected)
		take_keys(sweep, value);
}

static void
take_time(struct sweep *sweep, const struct resp_value *value)
{
	struct sweep_key *key = &sweep->keys[sweep->answered];
	int64_t time_ms = value->number;

	if (value->type != RESP_TYPE_INT) {
		sweep->failed += sweep->asks_left && !sweep->ask_again;
		if (!sweep->asks_left)
			sweep->asks_left = sweep->ask_again = true;
		return;
	}
	if (sweep->asks_left && time_ms >= 0)
		time_ms += now_ms();
	key->is_replaced = postpone_is_replaced(sweep->postpone, time_ms, &key->real_ms);
}

bool
sweep_reply(struct sweep *sweep, const struct resp_value *value)
{
	if (sweep->state == SWEEP_SCANS)
		take_scan(sweep, value);
	else if (sweep->state == SWEEP_ASKS)
		take_time(sweep, value);
	else if (value->type != RESP_TYPE_INT)
		sweep->failed++;
	else if (value->number == 1)
		sweep->removed += sweep->keys[sweep->answered].real_ms <= now_ms();
	return ++sweep->answered == sweep->awaited;
}

void
sweep_release(struct sweep *sweep)
{
	buffer_release(&sweep->cursor);
	buffer_release(&sweep->names);
	buffer_release(&sweep->error);
	xfree(sweep->keys);
}
