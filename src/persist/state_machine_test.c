#include "config.h"

#include "persist/state_machine.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"

#define LOGS 4
#define DUMPS 5
#define KINDS 2

/*
 * The whole state machine, written a second time. A phase of the log is O (off), S (starting), N
 * (on), C (closed). A dump is -- (idle), or a phase, w (wanted), c (child), p (placing), x
 * (cancelled), and a kind, r (rewrite), s (snapshot). "=": unchanged.
 *
 * Each combination of a state and an event is in one row at most, so the order of rows means
 * nothing. A combination in no row changes nothing and has no action.
 */
struct row {
	enum state_machine_event event;
	const char *logs, *dumps;
	const char *next_log, *next_dump;
	const char *actions;
};

static const struct row rows[] = {
    {EVENT_LOG_ON, "O", "--", "S", "wr", "journal-on"},
    {EVENT_LOG_ON, "O", "wr", "S", "=", "journal-on"},
    {EVENT_LOG_ON, "O", "cr", "S", "xr", "journal-on schedule-rewrite kill-child"},
    {EVENT_LOG_ON, "O", "pr", "S", "xr", "journal-on schedule-rewrite"},
    {EVENT_LOG_ON, "O", "ws cs ps xr xs", "S", "=", "journal-on schedule-rewrite"},

    {EVENT_LOG_LOADED, "O", "--", "N", "=", "journal-on"},

    {EVENT_LOG_OFF, "S", "-- ws cs ps xr xs", "O", "=",
	"unschedule-rewrite journal-off stop-log fail-start"},
    {EVENT_LOG_OFF, "S", "wr", "O", "--", "unschedule-rewrite journal-off stop-log fail-start"},
    {EVENT_LOG_OFF, "S", "cr", "O", "xr",
	"unschedule-rewrite kill-child journal-off stop-log fail-start"},
    {EVENT_LOG_OFF, "S", "pr", "O", "xr", "unschedule-rewrite journal-off stop-log fail-start"},
    {EVENT_LOG_OFF, "N", "-- ws cs ps xr xs", "O", "=", "unschedule-rewrite journal-off stop-log"},
    {EVENT_LOG_OFF, "N", "wr", "O", "--", "unschedule-rewrite journal-off stop-log"},
    {EVENT_LOG_OFF, "N", "cr", "O", "xr", "unschedule-rewrite kill-child journal-off stop-log"},
    {EVENT_LOG_OFF, "N", "pr", "O", "xr", "unschedule-rewrite journal-off stop-log"},

    {EVENT_LOG_FAULT, "S", "-- ws cs ps xr xs", "O", "=",
	"unschedule-rewrite journal-off stop-log fail-start"},
    {EVENT_LOG_FAULT, "S", "wr", "O", "--", "unschedule-rewrite journal-off stop-log fail-start"},
    {EVENT_LOG_FAULT, "S", "cr", "O", "xr",
	"unschedule-rewrite kill-child journal-off stop-log fail-start"},
    {EVENT_LOG_FAULT, "S", "pr", "O", "xr", "unschedule-rewrite journal-off stop-log fail-start"},

    {EVENT_WANT_REWRITE, "O S N", "--", "=", "wr", "unschedule-rewrite"},
    {EVENT_WANT_REWRITE, "O S N", "wr cr pr", "=", "=", "refuse"},
    {EVENT_WANT_REWRITE, "O S N", "ws cs ps xr xs", "=", "=", "schedule"},
    {EVENT_WANT_REWRITE, "C", "-- wr ws cr cs pr ps xr xs", "=", "=", "refuse"},

    {EVENT_WANT_SNAPSHOT, "O S N", "--", "=", "ws", "unschedule-snapshot"},
    {EVENT_WANT_SNAPSHOT, "O S N", "ws cs ps", "=", "=", "refuse"},
    {EVENT_WANT_SNAPSHOT, "O S N", "wr cr pr xr xs", "=", "=", "schedule"},
    {EVENT_WANT_SNAPSHOT, "C", "-- wr ws cr cs pr ps xr xs", "=", "=", "refuse"},

    {EVENT_TURN_ENDS, "O S N", "wr", "=", "cr", "fork"},
    {EVENT_TURN_ENDS, "O S N", "ws", "=", "cs", "fork"},

    {EVENT_CHILD_DONE, "O", "cr", "=", "pr", "rename"},
    {EVENT_CHILD_DONE, "S N", "cr", "=", "pr", "adopt"},
    {EVENT_CHILD_DONE, "O S N", "cs", "=", "ps", "rename"},
    {EVENT_CHILD_DONE, "O S N C", "xr xs", "=", "--", "remove-temp note-cancelled"},

    {EVENT_CHILD_FAILED, "O N", "cr", "=", "--", "remove-temp note-failed"},
    {EVENT_CHILD_FAILED, "S", "cr", "O", "--",
	"unschedule-rewrite remove-temp note-failed journal-off stop-log fail-start"},
    {EVENT_CHILD_FAILED, "O S N", "cs", "=", "--", "remove-temp note-failed"},
    {EVENT_CHILD_FAILED, "O S N C", "xr xs", "=", "--", "remove-temp note-cancelled"},

    {EVENT_CHILD_STOPPED, "S", "cr", "=", "--", "schedule-rewrite remove-temp note-cancelled"},
    {EVENT_CHILD_STOPPED, "O N C", "cr", "=", "--", "remove-temp note-cancelled"},
    {EVENT_CHILD_STOPPED, "O S N C", "cs xr xs", "=", "--", "remove-temp note-cancelled"},

    {EVENT_PLACED, "O N", "pr", "=", "--", "note-done"},
    {EVENT_PLACED, "S", "pr", "N", "--", "note-done journal-on accept-log"},
    {EVENT_PLACED, "O S N", "ps", "=", "--", "note-done"},
    {EVENT_PLACED, "O S N C", "xr xs", "=", "--", "note-cancelled"},

    {EVENT_PLACE_FAILED, "O N", "pr", "=", "--", "remove-temp note-failed"},
    {EVENT_PLACE_FAILED, "S", "pr", "O", "--",
	"unschedule-rewrite remove-temp note-failed journal-off stop-log fail-start"},
    {EVENT_PLACE_FAILED, "O S N", "ps", "=", "--", "remove-temp note-failed"},
    {EVENT_PLACE_FAILED, "O S N C", "xr xs", "=", "--", "remove-temp note-cancelled"},

    {EVENT_SAVE_NOW, "O S N", "ws", "=", "--", "unschedule-snapshot"},
    {EVENT_SAVE_NOW, "O S N", "cs", "=", "xs", "unschedule-snapshot kill-child"},
    {EVENT_SAVE_NOW, "O S N", "ps", "=", "xs", "unschedule-snapshot refuse-renames"},
    {EVENT_SAVE_NOW, "O S N", "-- wr cr pr xr xs", "=", "=", "unschedule-snapshot"},

    {EVENT_END, "O N", "-- wr ws pr ps xr xs", "C", "=", ""},
    {EVENT_END, "O N", "cr", "C", "xr", "kill-child"},
    {EVENT_END, "O N", "cs", "C", "xs", "kill-child"},
    {EVENT_END, "S", "-- wr ws pr ps xr xs", "C", "=", "fail-start"},
    {EVENT_END, "S", "cr", "C", "xr", "kill-child fail-start"},
    {EVENT_END, "S", "cs", "C", "xs", "kill-child fail-start"},
};

static const struct {
	const char *word;
	uint32_t action;
} words[] = {
    {"schedule", ACTION_SCHEDULE},
    {"refuse", ACTION_REFUSE},
    {"unschedule-rewrite", ACTION_UNSCHEDULE_REWRITE},
    {"unschedule-snapshot", ACTION_UNSCHEDULE_SNAPSHOT},
    {"schedule-rewrite", ACTION_SCHEDULE_REWRITE},
    {"kill-child", ACTION_KILL_CHILD},
    {"refuse-renames", ACTION_REFUSE_RENAMES},
    {"fork", ACTION_FORK},
    {"adopt", ACTION_ADOPT},
    {"rename", ACTION_RENAME},
    {"remove-temp", ACTION_REMOVE_TEMP},
    {"note-done", ACTION_NOTE_DONE},
    {"note-failed", ACTION_NOTE_FAILED},
    {"note-cancelled", ACTION_NOTE_CANCELLED},
    {"journal-on", ACTION_JOURNAL_ON},
    {"journal-off", ACTION_JOURNAL_OFF},
    {"stop-log", ACTION_STOP_LOG},
    {"accept-log", ACTION_ACCEPT_LOG},
    {"fail-start", ACTION_FAIL_START},
};

static uint32_t
actions_of(const char *text)
{
	uint32_t actions = 0;
	char copy[128], *rest = NULL, *word;

	ck_assert_uint_lt(strlen(text), sizeof(copy));
	strcpy(copy, text);
	for (word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
		size_t i = 0;

		while (i < sizeof(words) / sizeof(*words) && strcmp(words[i].word, word) != 0)
			i++;
		if (i == sizeof(words) / sizeof(*words))
			ck_abort_msg("unknown action: %s", word);
		else
			actions |= words[i].action;
	}
	return actions;
}

/* The name of a dump as in the rows. */
static void
name_dump(const struct state_machine *m, char name[3])
{
	name[0] = "-wcpx"[m->dump];
	name[1] = m->dump == DUMP_IDLE ? '-' : "rs"[m->kind];
	name[2] = '\0';
}

static void
name_log(const struct state_machine *m, char name[2])
{
	name[0] = "OSNC"[m->log];
	name[1] = '\0';
}

static const struct row *
row_of(const struct state_machine *m, enum state_machine_event event)
{
	const struct row *found = NULL;
	char log[2], dump[3];

	name_log(m, log);
	name_dump(m, dump);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i];

		if (row->event != event || strstr(row->logs, log) == NULL ||
		    strstr(row->dumps, dump) == NULL)
			continue;
		ck_assert_msg(
		    found == NULL, "event %d in %s %s stands in two rows", (int)event, log, dump);
		found = row;
	}
	return found;
}

static void
expect_step(const struct state_machine *before, enum state_machine_event event)
{
	const struct row *row = row_of(before, event);
	struct state_machine after = *before;
	uint32_t actions = state_machine_step(&after, event);
	char log[2], dump[3], next_log[2], next_dump[3];

	name_log(before, log);
	name_dump(before, dump);
	name_log(&after, next_log);
	name_dump(&after, next_dump);
	if (row == NULL) {
		ck_assert_msg(
		    actions == 0 && strcmp(log, next_log) == 0 && strcmp(dump, next_dump) == 0,
		    "event %d in %s %s: %s %s and actions %#x, but nothing is to happen",
		    (int)event, log, dump, next_log, next_dump, actions);
		return;
	}
	ck_assert_msg(strcmp(row->next_log[0] == '=' ? log : row->next_log, next_log) == 0 &&
			  strcmp(row->next_dump[0] == '=' ? dump : row->next_dump, next_dump) == 0,
	    "event %d in %s %s: %s %s follows", (int)event, log, dump, next_log, next_dump);
	ck_assert_msg(actions == actions_of(row->actions),
	    "event %d in %s %s: actions %#x instead of \"%s\"", (int)event, log, dump, actions,
	    row->actions);
}

START_TEST(every_event_in_every_state_does_what_the_rows_say)
{
	int steps = 0;

	for (int log = 0; log < LOGS; log++)
		for (int dump = 0; dump < DUMPS; dump++)
			for (int kind = 0; kind < KINDS; kind++)
				for (int event = 0; event < STATE_MACHINE_EVENTS;
				     event++, steps++) {
					struct state_machine m = {(enum log_phase)log,
					    (enum dump_phase)dump, (enum dump_kind)kind};

					expect_step(&m, (enum state_machine_event)event);
				}
	ck_assert_int_eq(steps, LOGS * DUMPS * KINDS * STATE_MACHINE_EVENTS);
}
END_TEST

/* The environment of the state machine, as its actions change it. */
struct world {
	struct state_machine m;
	bool journal_is_on;
	bool is_scheduled[KINDS];
	bool child_lives;
	bool writer_places; /* an adoption or a rename is under way */
	bool is_fresh;      /* the dump under way began after the log was last switched off */
};

/* Whether this event can happen in this environment. */
static bool
can_happen(const struct world *world, enum state_machine_event event)
{
	switch (event) {
	case EVENT_LOG_ON:
	case EVENT_LOG_LOADED:
		return world->m.log == PHASE_OFF;
	case EVENT_CHILD_DONE:
	case EVENT_CHILD_FAILED:
	case EVENT_CHILD_STOPPED:
		return world->child_lives;
	case EVENT_PLACED:
	case EVENT_PLACE_FAILED:
		return world->writer_places;
	default:
		return true;
	}
}

static void
expect_conditions(const struct world *world, const struct state_machine *before, uint32_t actions,
    enum state_machine_event e)
{
	const struct state_machine *m = &world->m;

	if ((actions & ACTION_FORK) != 0) {
		ck_assert_int_eq(before->dump, DUMP_WANTED);
		ck_assert_int_eq(e, EVENT_TURN_ENDS);
		ck_assert(!world->child_lives && !world->writer_places);
	}
	if ((actions & ACTION_KILL_CHILD) != 0)
		ck_assert(world->child_lives && m->dump == DUMP_CANCELLED);
	if ((actions & ACTION_ADOPT) != 0)
		ck_assert(before->kind == DUMP_REWRITE && before->dump == DUMP_CHILD &&
			  (m->log == PHASE_STARTING || m->log == PHASE_ON) && world->is_fresh);
	if ((actions & ACTION_RENAME) != 0)
		ck_assert(before->kind == DUMP_SNAPSHOT || m->log == PHASE_OFF);
	if ((actions & ACTION_ACCEPT_LOG) != 0)
		ck_assert(e == EVENT_PLACED && before->log == PHASE_STARTING &&
			  before->kind == DUMP_REWRITE && world->is_fresh);
	if ((actions & ACTION_FAIL_START) != 0)
		ck_assert(before->log == PHASE_STARTING && m->log != PHASE_STARTING &&
			  m->log != PHASE_ON);
	/* A dump has one outcome. */
	actions &= ACTION_NOTE_DONE | ACTION_NOTE_FAILED | ACTION_NOTE_CANCELLED;
	ck_assert_uint_eq(actions & (actions - 1), 0);
	if (actions != 0)
		ck_assert(before->dump != DUMP_IDLE && m->dump == DUMP_IDLE);
	if (before->log == PHASE_STARTING && m->log == PHASE_ON)
		ck_assert(e == EVENT_PLACED);
}

static void
carry_out(struct world *world, const struct state_machine *before, uint32_t actions)
{
	if ((actions & ACTION_SCHEDULE_REWRITE) != 0)
		world->is_scheduled[DUMP_REWRITE] = true;
	if ((actions & ACTION_UNSCHEDULE_REWRITE) != 0)
		world->is_scheduled[DUMP_REWRITE] = false;
	if ((actions & ACTION_UNSCHEDULE_SNAPSHOT) != 0)
		world->is_scheduled[DUMP_SNAPSHOT] = false;
	if ((actions & ACTION_FORK) != 0)
		world->child_lives = world->is_fresh = true;
	if ((actions & (ACTION_ADOPT | ACTION_RENAME)) != 0)
		world->writer_places = true;
	if ((actions & ACTION_STOP_LOG) != 0)
		world->is_fresh = false;
	if (before->log == PHASE_OFF && world->m.log == PHASE_STARTING)
		world->is_fresh = false;
	if ((actions & ACTION_JOURNAL_ON) != 0)
		world->journal_is_on = true;
	if ((actions & ACTION_JOURNAL_OFF) != 0)
		world->journal_is_on = false;
}

static void
expect_invariants(const struct world *world)
{
	const struct state_machine *m = &world->m;

	if (m->log != PHASE_CLOSED)
		ck_assert_int_eq(
		    world->journal_is_on, m->log == PHASE_STARTING || m->log == PHASE_ON);
	/* A child or a file that is being placed belongs to a dump, and only to one. */
	ck_assert(!(world->child_lives && world->writer_places));
	if (world->child_lives)
		ck_assert(m->dump == DUMP_CHILD || m->dump == DUMP_CANCELLED);
	if (world->writer_places)
		ck_assert(m->dump == DUMP_PLACING || m->dump == DUMP_CANCELLED);
	if (m->dump == DUMP_CHILD)
		ck_assert(world->child_lives);
	if (m->dump == DUMP_PLACING)
		ck_assert(world->writer_places);
	if (m->dump == DUMP_CANCELLED)
		ck_assert(world->child_lives || world->writer_places);
	/* The log is never STARTING without a rewrite that will end this state. */
	if (m->log == PHASE_STARTING)
		ck_assert(
		    world->is_scheduled[DUMP_REWRITE] ||
		    (m->dump != DUMP_IDLE && m->dump != DUMP_CANCELLED && m->kind == DUMP_REWRITE));
}

static void
walk(uint64_t *seed, int steps)
{
	struct world world = {.m = {PHASE_OFF, DUMP_IDLE, DUMP_REWRITE}};

	while (steps-- > 0) {
		enum state_machine_event event =
		    (enum state_machine_event)(testing_random(seed) % STATE_MACHINE_EVENTS);
		struct state_machine before = world.m;
		uint32_t actions;

		/* persist.c begins scheduled dumps. */
		if (world.m.dump == DUMP_IDLE && world.is_scheduled[DUMP_REWRITE])
			event = EVENT_WANT_REWRITE;
		if (!can_happen(&world, event) ||
		    (event == EVENT_END && testing_random(seed) % 16 != 0))
			continue;
		if (event == EVENT_CHILD_DONE || event == EVENT_CHILD_FAILED ||
		    event == EVENT_CHILD_STOPPED)
			world.child_lives = false;
		if (event == EVENT_PLACED || event == EVENT_PLACE_FAILED)
			world.writer_places = false;
		actions = state_machine_step(&world.m, event);
		expect_conditions(&world, &before, actions, event);
		carry_out(&world, &before, actions);
		if ((actions & ACTION_SCHEDULE) != 0)
			world.is_scheduled[event == EVENT_WANT_SNAPSHOT] = true;
		if (world.m.log == PHASE_CLOSED)
			return;
		expect_invariants(&world);
	}
}

START_TEST(random_events_never_break_what_must_hold)
{
	uint64_t seed = 12;

	for (int i = testing_steps(600); i > 0; i--)
		walk(&seed, 200);
}
END_TEST

/* After any events other than switching on or loading. */
START_TEST(a_rewrite_of_a_log_that_was_switched_off_never_makes_it_on)
{
	uint64_t seed = 34;

	for (int i = testing_steps(2000); i > 0; i--) {
		struct state_machine m = {i % 2 ? PHASE_STARTING : PHASE_ON,
		    (enum dump_phase)(testing_random(&seed) % DUMPS),
		    (enum dump_kind)(testing_random(&seed) % KINDS)};

		(void)state_machine_step(&m, EVENT_LOG_OFF);
		for (int steps = 0; steps < 20; steps++) {
			enum state_machine_event event = (enum state_machine_event)(
			    testing_random(&seed) % STATE_MACHINE_EVENTS);

			if (event == EVENT_LOG_ON || event == EVENT_LOG_LOADED)
				continue;
			ck_assert_uint_eq(
			    state_machine_step(&m, event) & (ACTION_ACCEPT_LOG | ACTION_ADOPT), 0);
			ck_assert(m.log == PHASE_OFF || m.log == PHASE_CLOSED);
		}
	}
}
END_TEST

/* The outcome of a rewrite that began before the log was switched on does not affect the start. */
START_TEST(a_rewrite_begun_while_the_log_was_off_does_not_end_its_start)
{
	for (int dump = DUMP_CHILD; dump < DUMPS; dump++)
		for (int event = EVENT_CHILD_DONE; event <= EVENT_PLACE_FAILED; event++) {
			struct state_machine m = {PHASE_OFF, (enum dump_phase)dump, DUMP_REWRITE};

			(void)state_machine_step(&m, EVENT_LOG_ON);
			(void)state_machine_step(&m, (enum state_machine_event)event);
			ck_assert_int_eq(m.log, PHASE_STARTING);
		}
}
END_TEST

int
main(void)
{
	return testing_main("persist/state_machine", NULL, NULL,
	    (const TTest *[]){every_event_in_every_state_does_what_the_rows_say,
		random_events_never_break_what_must_hold,
		a_rewrite_of_a_log_that_was_switched_off_never_makes_it_on,
		a_rewrite_begun_while_the_log_was_off_does_not_end_its_start, NULL});
}
