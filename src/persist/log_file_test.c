#include "config.h"

#include "persist/log_file.h"

#include <check.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/testing.h"
#include "persist/testing_log.h"

static struct testing_log t;

static void
setup(void)
{
	testing_log_enter(&t);
}

static void
teardown(void)
{
	testing_log_leave(&t);
}

/*
 * Each state of the file and its copy, each policy, each event. S: stopped. W: writing. F: a write
 * failed. Y: a sync failed. Followed by c: a copy runs; r: the copy has the name, which is not
 * synced. Three batches were appended, the last of which is not synced; with a copy, four.
 */
enum event {
	APPEND,
	MARK,
	ADOPT,
	ADOPT_OTHER, /* a rewrite of another file */
	OPEN,
	STOP,
	STOP_FAILING,
	END,
	POLICY_ALWAYS,
	POLICY_EVERYSEC,
	POLICY_NO,
	SPARE_DISK,
	WORK, /* at once */
	/* After more than a second: */
	WORK_LATER,
	SYNC_FAILS,
	WRITE_FAILS,
	WRITE_FAILS_SHORT,
	TRUNCATE_FAILS, /* as well */
	RENAME_FAILS,
	OPEN_FAILS, /* of the folder, to sync it */
	READ_FAILS,
	EVENTS,
};

#define NOT_PLACED (-1)

struct row {
	enum event event;
	const char *starts;
	const char *policies; /* a: always, e: everysec, n: no */
	const char *next;     /* "=": the same */
	int placed;           /* 0 or errno: a copy has ended */
};

#define ALL "S W F Y Wc Fc Yc Yr"

static const struct row rows[] = {
    {APPEND, ALL, "aen", "=", NOT_PLACED},
    {MARK, ALL, "aen", "=", NOT_PLACED},

    {ADOPT, "S", "aen", "=", ECANCELED},
    {ADOPT, "W", "aen", "Wc", NOT_PLACED},
    {ADOPT, "F", "aen", "Fc", NOT_PLACED},
    {ADOPT, "Y", "aen", "Yc", NOT_PLACED},
    {ADOPT, "Wc Fc Yc Yr", "aen", "=", EBUSY},
    {ADOPT_OTHER, ALL, "aen", "=", ECANCELED},

    {OPEN, "S W F Y", "aen", "W", NOT_PLACED},
    {OPEN, "Wc Fc Yc", "aen", "W", ECANCELED},
    {OPEN, "Yr", "aen", "W", 0},
    {STOP, "S W F Y", "aen", "S", NOT_PLACED},
    {STOP, "Wc Fc Yc", "aen", "S", ECANCELED},
    {STOP, "Yr", "aen", "S", 0},
    {STOP_FAILING, "S W F Y", "aen", "S", NOT_PLACED},
    {STOP_FAILING, "Wc Fc Yc Yr", "aen", "S", ECANCELED},
    {END, "S W F Y Yr", "aen", "=", NOT_PLACED},
    {END, "Wc", "aen", "W", ECANCELED},
    {END, "Fc", "aen", "F", ECANCELED},
    {END, "Yc", "aen", "Y", ECANCELED},

    {POLICY_ALWAYS, ALL, "aen", "=", NOT_PLACED},
    {POLICY_EVERYSEC, ALL, "aen", "=", NOT_PLACED},
    {POLICY_NO, ALL, "aen", "=", NOT_PLACED},
    {SPARE_DISK, ALL, "aen", "=", NOT_PLACED},

    {WORK, "S W F Y Yr", "aen", "=", NOT_PLACED},
    {WORK, "Wc Fc Yc", "aen", "W", 0},
    {WORK_LATER, "S", "aen", "=", NOT_PLACED},
    {WORK_LATER, "W F Y", "aen", "W", NOT_PLACED},
    {WORK_LATER, "Wc Fc Yc Yr", "aen", "W", 0},

    {SYNC_FAILS, "S", "aen", "=", NOT_PLACED},
    {SYNC_FAILS, "W F", "ae", "Y", NOT_PLACED},
    {SYNC_FAILS, "W F", "n", "W", NOT_PLACED},
    {SYNC_FAILS, "Y", "aen", "Y", NOT_PLACED},
    {SYNC_FAILS, "Wc Fc", "ae", "Y", EIO},
    {SYNC_FAILS, "Wc Fc", "n", "W", EIO},
    {SYNC_FAILS, "Yc", "aen", "Y", EIO},
    {SYNC_FAILS, "Yr", "aen", "=", NOT_PLACED},

    {WRITE_FAILS, "S", "aen", "=", NOT_PLACED},
    {WRITE_FAILS, "W F", "aen", "F", NOT_PLACED},
    {WRITE_FAILS, "Wc Fc Yc", "aen", "F", EIO},
    /* Data that could not be synced was written again at once. */
    {WRITE_FAILS, "Y", "aen", "W", NOT_PLACED},
    {WRITE_FAILS, "Yr", "aen", "W", 0},

    /* The copy is another file, which has room and none of the old file's faults. */
    {WRITE_FAILS_SHORT, "S", "aen", "=", NOT_PLACED},
    {WRITE_FAILS_SHORT, "W F", "aen", "F", NOT_PLACED},
    {WRITE_FAILS_SHORT, "Y", "aen", "W", NOT_PLACED},
    {WRITE_FAILS_SHORT, "Wc Fc Yc Yr", "aen", "W", 0},
    {TRUNCATE_FAILS, "S", "aen", "=", NOT_PLACED},
    {TRUNCATE_FAILS, "W F", "aen", "F", NOT_PLACED},
    {TRUNCATE_FAILS, "Y", "aen", "W", NOT_PLACED},
    {TRUNCATE_FAILS, "Wc Fc Yc Yr", "aen", "W", 0},

    {RENAME_FAILS, "S", "aen", "=", NOT_PLACED},
    {RENAME_FAILS, "W F Y", "aen", "W", NOT_PLACED},
    {RENAME_FAILS, "Wc Fc Yc", "aen", "W", EIO},
    {RENAME_FAILS, "Yr", "aen", "W", 0},

    {OPEN_FAILS, "S", "aen", "=", NOT_PLACED},
    {OPEN_FAILS, "W F Y", "aen", "W", NOT_PLACED},
    {OPEN_FAILS, "Wc Fc Yc", "aen", "Yr", NOT_PLACED},
    {OPEN_FAILS, "Yr", "aen", "=", NOT_PLACED},

    /* Batches that are not synced come from memory. */
    {READ_FAILS, "S", "aen", "=", NOT_PLACED},
    {READ_FAILS, "W F Y", "aen", "W", NOT_PLACED},
    {READ_FAILS, "Wc Fc", "ae", "W", EIO},
    {READ_FAILS, "Wc Fc", "n", "W", 0},
    {READ_FAILS, "Yc", "aen", "W", EIO},
    {READ_FAILS, "Yr", "aen", "W", 0},
};

static const char *const starts[] = {"S", "W", "F", "Y", "Wc", "Fc", "Yc", "Yr"};
#define STARTS (sizeof(starts) / sizeof(*starts))

static bool
has_word(const char *words, const char *word)
{
	size_t len = strlen(word);
	const char *at = words;

	while ((at = strstr(at, word)) != NULL) {
		if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
		at += len;
	}
	return false;
}

static const struct row *
row_of(enum event event, const char *start, char policy)
{
	const struct row *found = NULL;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (rows[i].event != event || !has_word(rows[i].starts, start) ||
		    strchr(rows[i].policies, policy) == NULL)
			continue;
		ck_assert_msg(found == NULL, "event %d, %s stands in two rows", (int)event, start);
		found = &rows[i];
	}
	ck_assert_msg(found != NULL, "event %d, %s, %c is in no row", (int)event, start, policy);
	return found;
}

static void
set_policy(char policy)
{
	t.file.policy = policy == 'a'   ? AOF_SYNC_ALWAYS
			: policy == 'e' ? AOF_SYNC_EVERYSEC
					: AOF_SYNC_NO;
}

static void
reach(const char *start, char policy)
{
	bool has_copy = start[1] != '\0';

	set_policy(policy);
	if (start[0] == 'S') {
		testing_log_append(&t);
		return;
	}
	testing_log_open(&t, "a.aof", 1);
	testing_log_append(&t);
	testing_log_append(&t);
	log_file_work(&t.file);
	testing_pass_us(10000);
	log_file_mark(&t.file);
	testing_log_append(&t);
	if (start[0] == 'F')
		testing_log_work_failing(&t, TESTING_WRITE, UINT32_MAX);
	if (start[0] == 'Y' && start[1] != 'r') {
		set_policy('a');
		testing_log_work_failing(&t, TESTING_SYNC, UINT32_MAX);
		set_policy(policy);
	}
	if (has_copy) {
		testing_log_append(&t);
		log_file_adopt(
		    &t.file, testing_log_create_rewritten(&t, "b.tmp", 2), "b.tmp", "a.aof", 1);
	}
	if (start[1] == 'r')
		testing_log_work_failing(&t, TESTING_OPEN, UINT32_MAX);
	ck_assert_str_eq(testing_log_state(&t), start);
	testing_log_check(&t);
}

static void
work_later_failing(uint32_t kinds, uint32_t count, bool is_short)
{
	testing_pass_us(1500000);
	testing_disk_fail(t.disk, kinds, 0, count, EIO);
	t.disk->fails_short = is_short;
	log_file_work(&t.file);
	testing_disk_heal(t.disk);
}

static void
happen(enum event event)
{
	switch (event) {
	case APPEND:
		testing_log_append(&t);
		break;
	case MARK:
		log_file_mark(&t.file);
		ck_assert_uint_eq(t.file.mark.number, t.number);
		break;
	case ADOPT:
		log_file_adopt(
		    &t.file, testing_log_create_rewritten(&t, "c.tmp", 2), "c.tmp", "a.aof", 1);
		break;
	case ADOPT_OTHER:
		log_file_adopt(
		    &t.file, testing_log_create_rewritten(&t, "c.tmp", 2), "c.tmp", "a.aof", 7);
		break;
	case OPEN:
		testing_log_open(&t, "d.aof", 2);
		break;
	case STOP:
		log_file_stop(&t.file);
		break;
	case STOP_FAILING:
		testing_disk_fail(t.disk, TESTING_ALL & ~TESTING_UNLINK, 0, UINT32_MAX, EIO);
		log_file_stop(&t.file);
		testing_disk_heal(t.disk);
		break;
	case END:
		log_file_end(&t.file);
		break;
	case POLICY_ALWAYS:
		t.file.policy = AOF_SYNC_ALWAYS;
		break;
	case POLICY_EVERYSEC:
		t.file.policy = AOF_SYNC_EVERYSEC;
		break;
	case POLICY_NO:
		t.file.policy = AOF_SYNC_NO;
		break;
	case SPARE_DISK:
		t.file.spares_disk = true;
		break;
	case WORK:
		log_file_work(&t.file);
		break;
	case WORK_LATER:
		work_later_failing(0, 0, false);
		break;
	case SYNC_FAILS:
		work_later_failing(TESTING_SYNC, UINT32_MAX, false);
		break;
	case WRITE_FAILS:
		work_later_failing(TESTING_WRITE, UINT32_MAX, false);
		break;
	case WRITE_FAILS_SHORT:
		work_later_failing(TESTING_WRITE, 2, true);
		break;
	case TRUNCATE_FAILS:
		work_later_failing(TESTING_WRITE | TESTING_TRUNCATE, 3, true);
		break;
	case RENAME_FAILS:
		work_later_failing(TESTING_RENAME, UINT32_MAX, false);
		break;
	case OPEN_FAILS:
		work_later_failing(TESTING_OPEN, UINT32_MAX, false);
		break;
	case READ_FAILS:
		work_later_failing(TESTING_READ, UINT32_MAX, false);
		break;
	case EVENTS:
		break;
	}
}

/* The disk works and the policy syncs: everything becomes durable. */
static void
expect_all_is_kept_soon(void)
{
	t.file.policy = AOF_SYNC_ALWAYS;
	t.file.spares_disk = false;
	testing_log_append(&t);
	for (int i = 0; i < 3; i++) {
		testing_pass_us(1500000);
		log_file_work(&t.file);
	}
	ck_assert(log_file_is_settled(&t.file));
	ck_assert_uint_eq(log_file_due_us(&t.file), UINT64_MAX);
	testing_log_check(&t);
	ck_assert_uint_eq(t.file.synced.number, t.number);
	if (t.file.state == LOG_STOPPED || t.file.generation != 1)
		return;
	ck_assert_str_eq(testing_log_state(&t), "W");
	ck_assert_uint_eq(testing_log_last_after(&t, TESTING_OLD_NAMES, "a.aof", false), t.number);
	ck_assert_uint_eq(testing_log_last_after(&t, TESTING_KILLED, "a.aof", false), t.number);
}

static void
expect_event(enum event event, const char *start, char policy)
{
	const struct row *row = row_of(event, start, policy);
	uint64_t synced, before;
	bool was_open;

	testing_log_init(&t);
	reach(start, policy);
	synced = t.file.synced.number;
	before = t.number;
	was_open = t.file.state != LOG_STOPPED;
	t.file.placed = 0;
	t.file.place_error = 0;
	happen(event);
	ck_assert_msg(strcmp(testing_log_state(&t), row->next[0] == '=' ? start : row->next) == 0,
	    "event %d, %s, %c: %s follows", (int)event, start, policy, testing_log_state(&t));
	ck_assert_msg(t.file.placed == (row->placed != NOT_PLACED) &&
			  t.file.place_error == (row->placed > 0 ? row->placed : 0),
	    "event %d, %s, %c: %d copies ended, %s", (int)event, start, policy, (int)t.file.placed,
	    strerror(t.file.place_error));
	ck_assert_uint_ge(t.file.synced.number, synced);
	testing_log_check(&t);
	if (t.file.copy.state != COPY_RUNNING)
		ck_assert_int_ne(access("b.tmp", F_OK), 0);
	if (event != ADOPT || row->placed != NOT_PLACED)
		ck_assert_int_ne(access("c.tmp", F_OK), 0);
	if (was_open && (event == STOP || event == OPEN)) {
		ck_assert_int_eq(t.file.stop_error, 0);
		ck_assert_uint_eq(
		    testing_log_last_after(&t, TESTING_OLD_NAMES, "a.aof", false), before);
	}
	if (was_open && event == STOP_FAILING)
		ck_assert_int_eq(t.file.stop_error, EIO);
	expect_all_is_kept_soon();
	testing_log_release(&t);
}

START_TEST(every_event_in_every_state_does_what_the_rows_say)
{
	testing_log_release(&t);
	for (int event = 0; event < EVENTS; event++)
		for (size_t start = 0; start < STARTS; start++)
			for (const char *policy = "aen"; *policy != '\0'; policy++)
				expect_event((enum event)event, starts[start], *policy);
	testing_log_init(&t);
}
END_TEST

/* Random events in any order, also while the disk fails. */
static void
walk(uint64_t *seed, int steps)
{
	static const uint32_t kinds[] = {
	    TESTING_ALL, TESTING_SYNC, TESTING_WRITE | TESTING_TRUNCATE, TESTING_OPEN};

	testing_log_init(&t);
	testing_log_open(&t, "a.aof", 1);
	while (steps-- > 0 && t.number < 200) {
		uint64_t synced = t.file.synced.number, random = testing_random(seed);
		enum event event = (enum event)(random % EVENTS);

		testing_pass_us(random >> 8 & 0xfffff);
		if (event == APPEND || event >= WORK || event == MARK || event == ADOPT_OTHER ||
		    (event >= POLICY_ALWAYS && event <= SPARE_DISK))
			happen(event);
		/* A rewrite begins at the current mark. */
		if (event == ADOPT && t.file.mark.offset != 0 && t.file.copy.state == COPY_NONE) {
			uint64_t base = t.number;

			log_file_mark(&t.file);
			testing_log_append(&t);
			if ((random >> 32) % 2 == 0)
				log_file_work(&t.file);
			log_file_adopt(&t.file, testing_log_create_rewritten(&t, "b.tmp", base),
			    "b.tmp", "a.aof", 1);
		}
		if (event == STOP) {
			testing_disk_fail(t.disk, kinds[random >> 40 & 3], random >> 44 & 7,
			    random >> 48 & 7, ENOSPC);
			t.disk->fails_short = (random >> 52 & 1) != 0;
			log_file_work(&t.file);
			testing_disk_heal(t.disk);
		}
		ck_assert_uint_ge(t.file.synced.number, synced);
		testing_log_check(&t);
	}
	expect_all_is_kept_soon();
	testing_log_release(&t);
}

START_TEST(random_events_never_lose_what_was_kept)
{
	uint64_t seed = 56;

	testing_log_release(&t);
	for (int i = testing_steps(80); i > 0; i--)
		walk(&seed, 100);
	testing_log_init(&t);
}
END_TEST

int
main(void)
{
	return testing_main("persist/log_file", setup, teardown,
	    (const TTest *[]){every_event_in_every_state_does_what_the_rows_say,
		random_events_never_lose_what_was_kept, NULL});
}
