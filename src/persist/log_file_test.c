#include "config.h"

#include "persist/log_file.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/testing.h"
#include "persist/testing_disk.h"

static struct testing_disk *disk;
static struct log_file file;
static uint64_t now_us;
static uint64_t number;
static char folder[64];

static uint64_t
test_clock_us(void)
{
	return now_us;
}

static int
create(const char *name)
{
	int fd = disk->disk.open(disk, name, O_RDWR | O_CREAT | O_TRUNC);

	ck_assert_int_ne(fd, -1);
	return fd;
}

static void
works(void)
{
	testing_disk_fail(disk, 0, 0, 0, 0);
}

static void
begin(void)
{
	disk = testing_disk_new();
	number = 0;
	now_us = 1000000000;
	log_file_init(&file, &disk->disk, test_clock_us);
	file.policy = AOF_SYNC_ALWAYS;
	works();
}

static void
end(void)
{
	log_file_release(&file);
	testing_disk_free(disk);
	testing_disk_empty_folder();
}

static void
setup(void)
{
	snprintf(folder, sizeof(folder), "%s/fanfare-log-file-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	begin();
}

static void
teardown(void)
{
	end();
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}

static void
open_log(const char *name, uint64_t generation)
{
	int fd = create(name);

	ck_assert(disk_sync_folder_of(&disk->disk, name));
	log_file_open(&file, fd, 0, generation);
}

/* A batch that says which it is. */
static void
append(void)
{
	struct buffer commands = {0};

	buffer_appendf(
	    &commands, "*2\r\n$3\r\nADD\r\n$6\r\n%06llu\r\n", (unsigned long long)++number);
	log_file_append(&file, number, &commands);
	ck_assert_ptr_null(commands.ptr);
}

/* A rewritten file: it has all batches up to this one. */
static int
create_rewritten(const char *name, uint64_t base)
{
	char header[AOF_HEADER_LEN], commands[64];
	int len = snprintf(commands, sizeof(commands), "*2\r\n$4\r\nBASE\r\n$6\r\n%06llu\r\n",
	    (unsigned long long)base);
	struct iovec pieces[2] = {{header, sizeof(header)}, {commands, (size_t)len}};
	int fd = create(name);

	aof_header_write(header, 0, (struct slice){commands, (size_t)len});
	ck_assert(disk_write_all(&disk->disk, fd, pieces, 2, 0));
	ck_assert_int_eq(disk->disk.sync(disk, fd), 0);
	return fd;
}

/* The number of the last batch in a file that has all before it, each once; only whole ones. */
static uint64_t
last_in(struct slice bytes, bool may_be_cut)
{
	struct aof_scan scan = {.file = bytes};
	struct aof_commands taken = {0};
	struct slice commands;
	enum aof_verdict verdict;
	uint64_t last = 0;

	while ((verdict = aof_scan_next(&scan, &commands)) == AOF_COMMANDS)
		while (aof_command_next(&taken, &commands) == AOF_COMMAND) {
			char digits[7] = {0};
			uint64_t value;

			ck_assert_uint_eq(taken.args[1].len, 6);
			memcpy(digits, taken.args[1].ptr, 6);
			value = strtoull(digits, NULL, 10);
			if (slice_is_nocase(taken.args[0], "add"))
				ck_assert_uint_eq(value, last + 1);
			else
				ck_assert_uint_eq(last, 0);
			last = value;
		}
	ck_assert_msg(verdict == AOF_END || (may_be_cut && verdict == AOF_CUT), "damaged at %zu",
	    scan.damaged_at);
	aof_commands_release(&taken);
	return last;
}

/* After this loss: the number of the last batch in it. */
static uint64_t
last_after(enum testing_loss loss, const char *name, bool may_be_cut)
{
	struct testing_image *image = testing_disk_image(disk, loss);
	struct slice bytes = testing_image_file(image, name);
	uint64_t last;

	ck_assert_ptr_nonnull(bytes.ptr);
	last = last_in(bytes, may_be_cut);
	testing_image_free(image);
	return last;
}

/* What holds in every state. */
static void
expect_invariants(void)
{
	uint64_t unsynced = 0, unwritten = 0, next = file.synced.number + 1;
	const struct batch *batch;

	TAILQ_FOREACH (batch, &file.batches, next) {
		ck_assert(batch->number >= next);
		next = batch->number + 1;
		unsynced += batch->commands.len;
		if (batch->state == BATCH_QUEUED)
			unwritten += batch->commands.len;
	}
	ck_assert_uint_eq(file.unsynced_bytes, unsynced);
	ck_assert_uint_eq(file.unwritten_bytes, unwritten);
	ck_assert_uint_eq(file.last_number, number);
	ck_assert_uint_le(file.synced.number, number);
	ck_assert_int_eq(file.fault.error != 0, file.state == LOG_FAILING);
	if (file.state == LOG_STOPPED) {
		ck_assert_int_eq(file.copy.state, COPY_NONE);
		ck_assert_uint_eq(file.synced.number, number);
		ck_assert_int_eq(file.fd, -1);
		return;
	}
	if (file.generation != 1)
		return;
	ck_assert_uint_ge(last_after(TESTING_KILLED, "a.aof", file.has_rest), file.synced.number);
	ck_assert_uint_ge(last_after(TESTING_OLD_NAMES, "a.aof", true), file.synced.number);
	ck_assert_uint_ge(last_after(TESTING_NEW_NAMES, "a.aof", true), file.synced.number);
}

/*
 * Each state of the file and its copy, each policy, each event. S: stopped. W: writing. F: a write
 * failed. Y: a sync failed. Behind it c: a copy runs, r: the copy has the name, which is not
 * synced. Three batches were handed over, the last of which is not kept; where there is a copy,
 * four.
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
    {WRITE_FAILS, "W F Y", "aen", "F", NOT_PLACED},
    {WRITE_FAILS, "Wc Fc Yc", "aen", "F", EIO},
    {WRITE_FAILS, "Yr", "aen", "W", 0},

    /* The copy is another file: there is room again, or it is none of the old one's troubles. */
    {WRITE_FAILS_SHORT, "S", "aen", "=", NOT_PLACED},
    {WRITE_FAILS_SHORT, "W F Y", "aen", "F", NOT_PLACED},
    {WRITE_FAILS_SHORT, "Wc Fc Yc Yr", "aen", "W", 0},
    {TRUNCATE_FAILS, "S", "aen", "=", NOT_PLACED},
    {TRUNCATE_FAILS, "W F Y", "aen", "F", NOT_PLACED},
    {TRUNCATE_FAILS, "Wc Fc Yc Yr", "aen", "W", 0},

    {RENAME_FAILS, "S", "aen", "=", NOT_PLACED},
    {RENAME_FAILS, "W F Y", "aen", "W", NOT_PLACED},
    {RENAME_FAILS, "Wc Fc Yc", "aen", "W", EIO},
    {RENAME_FAILS, "Yr", "aen", "W", 0},

    {OPEN_FAILS, "S", "aen", "=", NOT_PLACED},
    {OPEN_FAILS, "W F Y", "aen", "W", NOT_PLACED},
    {OPEN_FAILS, "Wc Fc Yc", "aen", "Yr", NOT_PLACED},
    {OPEN_FAILS, "Yr", "aen", "=", NOT_PLACED},

    /* What is not synced comes from memory. */
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

static const char *
name_state(void)
{
	static char name[3];

	name[0] = file.state == LOG_STOPPED   ? 'S'
		  : file.state == LOG_WRITING ? 'W'
		  : file.fault.is_sync        ? 'Y'
					      : 'F';
	name[1] = file.copy.state == COPY_NONE ? '\0' : file.copy.state == COPY_RUNNING ? 'c' : 'r';
	return name;
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
	ck_assert_msg(
	    found != NULL, "event %d, %s, %c stands in no row", (int)event, start, policy);
	return found;
}

static void
set_policy(char policy)
{
	file.policy = policy == 'a'   ? AOF_SYNC_ALWAYS
		      : policy == 'e' ? AOF_SYNC_EVERYSEC
				      : AOF_SYNC_NO;
}

static void
work_failing(uint32_t kinds, uint32_t count)
{
	testing_disk_fail(disk, kinds, 0, count, EIO);
	log_file_work(&file);
	works();
}

static void
reach(const char *start, char policy)
{
	bool has_copy = start[1] != '\0';

	set_policy(policy);
	if (start[0] == 'S') {
		append();
		return;
	}
	open_log("a.aof", 1);
	append();
	append();
	log_file_work(&file);
	now_us += 10000;
	log_file_mark(&file);
	append();
	if (start[0] == 'F')
		work_failing(TESTING_WRITE, UINT32_MAX);
	if (start[0] == 'Y' && start[1] != 'r') {
		set_policy('a');
		work_failing(TESTING_SYNC, UINT32_MAX);
		set_policy(policy);
	}
	if (has_copy) {
		append();
		log_file_adopt(&file, create_rewritten("b.tmp", 2), "b.tmp", "a.aof", 1);
	}
	if (start[1] == 'r')
		work_failing(TESTING_OPEN, UINT32_MAX);
	ck_assert_str_eq(name_state(), start);
	expect_invariants();
}

static void
work_later_failing(uint32_t kinds, uint32_t count, bool is_short)
{
	now_us += 1500000;
	testing_disk_fail(disk, kinds, 0, count, EIO);
	disk->fails_short = is_short;
	log_file_work(&file);
	works();
}

static void
happen(enum event event)
{
	switch (event) {
	case APPEND:
		append();
		break;
	case MARK:
		log_file_mark(&file);
		ck_assert_uint_eq(file.mark.number, number);
		break;
	case ADOPT:
		log_file_adopt(&file, create_rewritten("c.tmp", 2), "c.tmp", "a.aof", 1);
		break;
	case ADOPT_OTHER:
		log_file_adopt(&file, create_rewritten("c.tmp", 2), "c.tmp", "a.aof", 7);
		break;
	case OPEN:
		open_log("d.aof", 2);
		break;
	case STOP:
		log_file_stop(&file);
		break;
	case STOP_FAILING:
		testing_disk_fail(disk, TESTING_ALL & ~TESTING_UNLINK, 0, UINT32_MAX, EIO);
		log_file_stop(&file);
		works();
		break;
	case END:
		log_file_end(&file);
		break;
	case POLICY_ALWAYS:
		file.policy = AOF_SYNC_ALWAYS;
		break;
	case POLICY_EVERYSEC:
		file.policy = AOF_SYNC_EVERYSEC;
		break;
	case POLICY_NO:
		file.policy = AOF_SYNC_NO;
		break;
	case SPARE_DISK:
		file.spares_disk = true;
		break;
	case WORK:
		log_file_work(&file);
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

/* The disk works, and the policy asks for it: everything is kept. */
static void
expect_all_is_kept_soon(void)
{
	file.policy = AOF_SYNC_ALWAYS;
	file.spares_disk = false;
	append();
	for (int i = 0; i < 3; i++) {
		now_us += 1500000;
		log_file_work(&file);
	}
	ck_assert(log_file_is_settled(&file));
	ck_assert_uint_eq(log_file_due_us(&file), UINT64_MAX);
	expect_invariants();
	ck_assert_uint_eq(file.synced.number, number);
	if (file.state == LOG_STOPPED || file.generation != 1)
		return;
	ck_assert_str_eq(name_state(), "W");
	ck_assert_uint_eq(last_after(TESTING_OLD_NAMES, "a.aof", false), number);
	ck_assert_uint_eq(last_after(TESTING_KILLED, "a.aof", false), number);
}

static void
expect_event(enum event event, const char *start, char policy)
{
	const struct row *row = row_of(event, start, policy);
	uint64_t synced, before;
	bool was_open;

	begin();
	reach(start, policy);
	synced = file.synced.number;
	before = number;
	was_open = file.state != LOG_STOPPED;
	file.placed = 0;
	file.place_error = 0;
	happen(event);
	ck_assert_msg(strcmp(name_state(), row->next[0] == '=' ? start : row->next) == 0,
	    "event %d, %s, %c: %s follows", (int)event, start, policy, name_state());
	ck_assert_msg(file.placed == (row->placed != NOT_PLACED) &&
			  file.place_error == (row->placed > 0 ? row->placed : 0),
	    "event %d, %s, %c: %d copies ended, %s", (int)event, start, policy, (int)file.placed,
	    strerror(file.place_error));
	ck_assert_uint_ge(file.synced.number, synced);
	expect_invariants();
	if (file.copy.state != COPY_RUNNING)
		ck_assert_int_ne(access("b.tmp", F_OK), 0);
	if (event != ADOPT || row->placed != NOT_PLACED)
		ck_assert_int_ne(access("c.tmp", F_OK), 0);
	if (was_open && (event == STOP || event == OPEN)) {
		ck_assert_int_eq(file.stop_error, 0);
		ck_assert_uint_eq(last_after(TESTING_OLD_NAMES, "a.aof", false), before);
	}
	if (was_open && event == STOP_FAILING)
		ck_assert_int_eq(file.stop_error, EIO);
	expect_all_is_kept_soon();
	end();
}

START_TEST(every_event_in_every_state_does_what_the_rows_say)
{
	end();
	for (int event = 0; event < EVENTS; event++)
		for (size_t start = 0; start < STARTS; start++)
			for (const char *policy = "aen"; *policy != '\0'; policy++)
				expect_event((enum event)event, starts[start], *policy);
	begin();
}
END_TEST

int
main(void)
{
	return testing_main("persist/log_file", setup, teardown,
	    (const TTest *[]){every_event_in_every_state_does_what_the_rows_say, NULL});
}
