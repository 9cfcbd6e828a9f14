#include "config.h"

#include "link/interest.h"

#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "resp/parser.h"

/*
 * Interest against a list of names, and an upstream that answers each command in order: with a
 * confirmation a name, or with an error at any place.
 */
#define SECOND ((uint64_t)1000000)
#define NEEDED (10 * SECOND) /* as in interest.c */
#define STEPS 100000
#define NAMES 60
#define LONG_NAMES 3
#define COMMANDS 256
#define MARKS 64

struct model_name {
	enum hub_kind kind;
	struct slice bytes;
	enum interest_state state;
	uint64_t wanted_until_us;
	uint64_t retry_us;
	bool has_members;
	bool was_held;
};

struct command {
	bool leaves;
	size_t count, at; /* names[at] is answered next */
	struct model_name *names[NAMES];
};

static struct model_name names[NAMES];
static struct command commands[COMMANDS]; /* unanswered, a ring */
static size_t commands_first, commands_count;
static uint64_t marks[MARKS];
static size_t marks_count;
static bool has_forgotten; /* a name that was held and not left */
static struct interest *in;
static struct buffer out;
static const struct slice since; /* empty: names do not resume */
static struct resp_parser *parser;
static uint64_t seed, now, linger, asked, left, refused;

static const struct protocol_limits limits = {
    .arg_bytes = 1 << 20, .arg_count = 1024, .line_bytes = 65536, .request_bytes = 1 << 24};

static uint64_t
below(uint64_t n)
{
	return testing_random(&seed) % n;
}

/* One name is empty, some are long, some have the same bytes and another kind. */
static void
make_names(void)
{
	for (size_t i = 0; i < NAMES; i++) {
		size_t len = i < LONG_NAMES ? 65536 : i / 2 % 20;
		char *bytes = xmalloc(len + 1);

		for (size_t k = 0; k < len; k++)
			bytes[k] = (char)(k * 7 + i / 2);
		names[i] = (struct model_name){
		    .kind = (enum hub_kind)(i % 2 + (i % 10 == 9)), .bytes = {bytes, len}};
		for (size_t k = 0; k < i; k++)
			while (names[k].kind == names[i].kind && len > 0 &&
			       slice_eq(names[k].bytes, names[i].bytes))
				bytes[0]++;
	}
}

static void
free_names(void)
{
	for (size_t i = 0; i < NAMES; i++)
		xfree((void *)(uintptr_t)names[i].bytes.ptr);
}

static bool
is_wanted(const struct model_name *name)
{
	return name->has_members || name->wanted_until_us > now;
}

static void
linger_from_now(struct model_name *name)
{
	name->state = name->has_members ? INTEREST_HELD : INTEREST_LINGERS;
	if (!name->has_members && name->wanted_until_us < now + linger)
		name->wanted_until_us = now + linger;
}

/* Its record is gone if nobody wants it. */
static void
wait_or_go(struct model_name *name)
{
	name->state = is_wanted(name) ? INTEREST_WAITING : INTEREST_ABSENT;
	if (is_wanted(name))
		return;
	has_forgotten = has_forgotten || name->was_held;
	name->was_held = false;
}

/* What clients do */

static void
add(struct model_name *name)
{
	interest_add(in, name->kind, name->bytes);
	name->has_members = true;
	name->wanted_until_us = 0;
	if (name->state == INTEREST_LINGERS)
		name->state = INTEREST_HELD;
	else if (name->state == INTEREST_ABSENT)
		name->state = INTEREST_WAITING;
}

static void
take_away(struct model_name *name)
{
	bool had_members = name->has_members;

	interest_remove(in, name->kind, name->bytes, now);
	name->has_members = false;
	if (!had_members)
		return;
	if (name->state == INTEREST_HELD)
		linger_from_now(name);
	else if (name->state == INTEREST_WAITING)
		wait_or_go(name);
}

static void
need(struct model_name *name)
{
	enum interest_state state = interest_need(in, name->kind, name->bytes, now);

	if (name->wanted_until_us < now + linger + NEEDED)
		name->wanted_until_us = now + linger + NEEDED;
	if (name->state == INTEREST_ABSENT)
		name->state = INTEREST_WAITING;
	ck_assert_int_eq(state, name->state);
	if (state != INTEREST_HELD && state != INTEREST_LINGERS && state != INTEREST_REFUSED) {
		ck_assert_uint_lt(interest_answered(in), interest_mark(in));
		if (marks_count < MARKS)
			marks[marks_count++] = interest_mark(in);
	}
}

/* Commands */

static struct model_name *
name_of(enum hub_kind kind, struct slice bytes)
{
	for (size_t i = 0; i < NAMES; i++)
		if (names[i].kind == kind && slice_eq(names[i].bytes, bytes))
			return &names[i];
	ck_abort_msg("a name that nobody has");
}

static enum hub_kind
kind_of(struct slice verb, bool leaves)
{
	static const char *const verbs[2][HUB_KINDS] = {{"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"},
	    {"UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"}};

	for (int kind = 0; kind < HUB_KINDS; kind++)
		if (slice_is(verb, verbs[leaves][kind]))
			return (enum hub_kind)kind;
	ck_abort_msg("an unknown command");
}

/* The names of which the record is freed on the way to a command. */
static void
forget(void)
{
	for (size_t i = 0; i < NAMES; i++) {
		struct model_name *name = &names[i];

		if (name->state == INTEREST_REFUSED && name->retry_us <= now)
			wait_or_go(name);
		if (name->state == INTEREST_WAITING && !is_wanted(name) &&
		    interest_of(in, name->kind, name->bytes) == INTEREST_ABSENT)
			wait_or_go(name);
	}
}

static void
check_sent(struct model_name *name, bool leaves)
{
	if (leaves) {
		ck_assert_int_eq(name->state, INTEREST_LINGERS);
		ck_assert(!is_wanted(name));
		name->state = INTEREST_LEAVING;
		left++;
	} else {
		ck_assert_int_eq(name->state, INTEREST_WAITING);
		ck_assert(is_wanted(name));
		name->state = INTEREST_ASKED;
		asked++;
	}
}

static void
read_command(struct interest_command written)
{
	struct command *command = &commands[(commands_first + commands_count++) % COMMANDS];
	struct protocol_request request;
	size_t taken, bytes = 0;
	enum hub_kind kind;

	ck_assert_uint_le(commands_count, COMMANDS);
	ck_assert_int_eq(
	    resp_parser_feed(parser, out.ptr, out.len, false, &taken, &request), PROTOCOL_REQUEST);
	ck_assert_uint_eq(taken, out.len);
	ck_assert_uint_eq(request.count, written.names + 1);
	ck_assert_uint_le(written.names, INTEREST_BATCH);
	command->leaves = written.leaves;
	command->count = written.names;
	command->at = 0;
	kind = kind_of(request.args[0], written.leaves);
	for (size_t i = 0; i < written.names; i++) {
		ck_assert_uint_lt(bytes, INTEREST_BATCH_BYTES);
		bytes += request.args[i + 1].len;
		command->names[i] = name_of(kind, request.args[i + 1]);
		check_sent(command->names[i], written.leaves);
	}
	resp_parser_reset(parser);
}

/* After it had nothing to write, no wanted name waits, and none lingers for more than the time by
 * which a name in front of it may have been kept longer. */
static void
check_idle(void)
{
	for (size_t i = 0; i < NAMES; i++) {
		ck_assert_int_ne(names[i].state, INTEREST_WAITING);
		if (names[i].state == INTEREST_LINGERS)
			ck_assert_uint_gt(names[i].wanted_until_us + NEEDED, now);
	}
	ck_assert_uint_gt(interest_due_us(in), now);
}

/* False if there was nothing to write, or no room for it. */
static bool
write_one(void)
{
	struct interest_command written;

	if (commands_count == COMMANDS)
		return false;
	buffer_clear(&out);
	written = interest_write(in, now, since, &out);
	forget();
	if (written.names > 0)
		read_command(written);
	else
		check_idle();
	return written.names > 0;
}

/* Answers */

static void
pop(struct command *command)
{
	if (command->at < command->count)
		return;
	commands_first = (commands_first + 1) % COMMANDS;
	commands_count--;
}

static void
confirm(struct model_name *name)
{
	enum interest_join how = INTEREST_JOINED;

	ck_assert(interest_confirm(in, name->kind, name->bytes, now, &how));
	ck_assert_int_eq(how, name->has_members || name->was_held || has_forgotten
				  ? INTEREST_MISSED
				  : INTEREST_JOINED);
	has_forgotten = false;
	name->was_held = true;
	linger_from_now(name);
}

static void
answer(void)
{
	struct command *command = &commands[commands_first];
	struct model_name *name;

	if (commands_count == 0)
		return;
	name = command->names[command->at++];
	if (command->leaves) {
		ck_assert(interest_left(in, name->kind, name->bytes, now));
		name->was_held = false;
		wait_or_go(name);
	} else
		confirm(name);
	pop(command);
}

static void
refuse(void)
{
	struct command *command = &commands[commands_first];
	size_t count = command->count - command->at;

	if (commands_count == 0 || command->leaves)
		return;
	interest_refuse(in, count, now);
	for (; command->at < command->count; command->at++) {
		struct model_name *name = command->names[command->at];

		name->state = count == 1 ? INTEREST_REFUSED : INTEREST_WAITING;
		name->retry_us = now + INTEREST_REFUSED_US;
	}
	refused += count == 1;
	pop(command);
}

/* Answers that do not fit are refused. */
static void
answer_wrong(const struct model_name *name)
{
	enum interest_join how = INTEREST_JOINED;

	for (size_t i = 0; i < commands_count; i++) {
		const struct command *command = &commands[(commands_first + i) % COMMANDS];
		if (command->names[command->at] == name)
			return;
	}
	ck_assert(!interest_confirm(in, name->kind, name->bytes, now, &how));
	ck_assert(!interest_left(in, name->kind, name->bytes, now));
}

static void
lose(void)
{
	interest_lost(in);
	commands_count = 0;
	for (size_t i = 0; i < NAMES; i++)
		if (names[i].state != INTEREST_ABSENT)
			names[i].state = INTEREST_WAITING;
}

/* What must hold at any time */

static void
check_marks(bool all_are_answered)
{
	size_t kept = 0;

	for (size_t i = 0; i < marks_count; i++)
		if (marks[i] > interest_answered(in))
			marks[kept++] = marks[i];
	marks_count = kept;
	ck_assert(!all_are_answered || marks_count == 0);
}

static void
check_all(void)
{
	struct interest_figures figures = interest_figures(in);
	size_t count[INTEREST_STATES] = {0}, total = 0;

	for (size_t i = 0; i < NAMES; i++) {
		ck_assert_int_eq(interest_of(in, names[i].kind, names[i].bytes), names[i].state);
		count[names[i].state]++;
		total += names[i].state != INTEREST_ABSENT;
	}
	count[INTEREST_ABSENT] = 0;
	ck_assert_uint_eq(figures.names, total);
	ck_assert_mem_eq(figures.count, count, sizeof(count));
	check_marks(count[INTEREST_WAITING] + count[INTEREST_ASKED] + count[INTEREST_LEAVING] == 0);
}

static void
step(void)
{
	struct model_name *name = &names[below(below(10) == 0 ? NAMES : NAMES / 2)];

	switch (below(16)) {
	case 0:
	case 1:
		add(name);
		break;
	case 2:
	case 3:
		take_away(name);
		break;
	case 4:
		need(name);
		break;
	case 5:
	case 6:
		(void)write_one();
		break;
	case 7:
		if (below(4) == 0)
			refuse();
		break;
	case 8:
		now += below(below(10) == 0 ? 2 * linger + SECOND : SECOND);
		break;
	case 9:
		answer_wrong(name);
		if (below(100) == 0)
			lose();
		break;
	case 10:
		if (below(50) == 0)
			now += INTEREST_REFUSED_US;
		break;
	default:
		answer();
	}
	ck_assert_int_eq(interest_of(in, name->kind, name->bytes), name->state);
}

/* Everything is written and answered: what has members is held or refused, nothing else stays. */
static void
settle(void)
{
	for (int round = 0; round < 3; round++) {
		while (write_one() || commands_count > 0)
			while (commands_count > 0)
				answer();
		check_all();
		now += linger + NEEDED + INTEREST_REFUSED_US;
	}
	for (size_t i = 0; i < NAMES; i++)
		ck_assert_int_eq(
		    names[i].state, names[i].has_members ? INTEREST_HELD : INTEREST_ABSENT);
}

static void
run(uint64_t first_seed)
{
	seed = first_seed;
	now = first_seed * SECOND;
	linger = first_seed % 3 * 5 * SECOND;
	commands_count = marks_count = 0;
	has_forgotten = false;
	make_names();
	in = interest_new();
	interest_set_linger(in, linger);
	for (int i = 1; i <= testing_steps(STEPS); i++) {
		step();
		if (i % 100 == 0)
			check_all();
		if (i % 20000 == 0)
			settle();
	}
	settle();
	interest_free(in);
	free_names();
}

START_TEST(names_are_as_in_a_list_whatever_happens)
{
	parser = resp_parser_new(&limits);
	for (uint64_t i = 1; i <= 4; i++)
		run(i);
	ck_assert_uint_gt(asked, 0);
	ck_assert_uint_gt(left, 0);
	ck_assert_uint_gt(refused, 0);
	resp_parser_free(parser);
	buffer_release(&out);
}
END_TEST

int
main(void)
{
	return testing_main("link/interest_model", NULL, NULL,
	    (const TTest *[]){names_are_as_in_a_list_whatever_happens, NULL});
}
