#include "config.h"

#include "persist/history_file.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/testing.h"
#include "persist/disk.h"
#include "persist/keyspace.h"
#include "persist/testing_daemon.h"
#include "persist/testing_disk.h"

/*
 * A history that consists of its position, and the truth about all positions that were ever given:
 * none is given twice.
 */
#define EPOCHS 8
#define SEQS 200

static struct testing_daemon folder;
static struct testing_disk *disk;
static const struct disk *used;
static struct persist_keyspace history;
static struct buffer error;
static unsigned long epoch, seq, epochs;
static bool was_given[EPOCHS][SEQS];

static bool
dump(void *arg, bool with_use, bool (*sink)(void *sink_arg, struct slice commands), void *sink_arg)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "*2\r\n$1\r\n%lu\r\n$3\r\n%03lu\r\n", epoch, seq);

	(void)arg;
	(void)with_use;
	return sink(sink_arg, (struct slice){text, (size_t)len});
}

static void
replay_begin(void *arg, bool with_use)
{
	(void)arg;
	(void)with_use;
}

static bool
replay(void *arg, const struct slice *argv, size_t argc, char *why, size_t why_len)
{
	(void)arg;
	ck_assert_uint_eq(argc, 2);
	epoch = strtoul(argv[0].ptr, NULL, 10);
	seq = strtoul(argv[1].ptr, NULL, 10);
	if (epoch != 0)
		return true;
	snprintf(why, why_len, "no epoch");
	return false;
}

static void
replay_end(void *arg)
{
	(void)arg;
}

static void
setup(void)
{
	testing_daemon_enter(&folder);
	disk = testing_disk_new();
	used = &disk->disk;
	history = (struct persist_keyspace){
	    .dump = dump, .replay_begin = replay_begin, .replay = replay, .replay_end = replay_end};
	epochs = 0;
	memset(was_given, 0, sizeof(was_given));
}

static void
teardown(void)
{
	testing_disk_free(disk);
	buffer_release(&error);
	testing_daemon_leave(&folder);
}

static enum history_file_result
start(void)
{
	enum history_file_result result;

	buffer_clear(&error);
	result = history_file_take(used, &history, &error);
	ck_assert((error.len > 0) == (result == HISTORY_FILE_BAD || result == HISTORY_FILE_UNUSED));
	if (result != HISTORY_FILE_TAKEN) {
		epoch = ++epochs;
		seq = 0;
		ck_assert_uint_lt(epoch, EPOCHS);
	}
	return result;
}

static void
publish(int count)
{
	while (count-- > 0) {
		ck_assert_uint_lt(++seq, SEQS);
		ck_assert_msg(!was_given[epoch][seq], "%lu-%lu is given twice", epoch, seq);
		was_given[epoch][seq] = true;
	}
}

static bool
end(void)
{
	buffer_clear(&error);
	return history_file_write(used, &history, &error);
}

START_TEST(a_graceful_end_keeps_the_position_for_one_start)
{
	ck_assert_int_eq(start(), HISTORY_FILE_NONE);
	publish(5);
	ck_assert(end());
	ck_assert_int_eq(access(HISTORY_FILE, F_OK), 0);
	ck_assert_int_eq(start(), HISTORY_FILE_TAKEN);
	ck_assert_uint_eq(epoch, 1);
	ck_assert_uint_eq(seq, 5);
	ck_assert_int_eq(access(HISTORY_FILE, F_OK), -1);
	publish(5);
	/* kill -9 */
	ck_assert_int_eq(start(), HISTORY_FILE_NONE);
	ck_assert_uint_eq(epoch, 2);
}
END_TEST

static void
change_byte(off_t at)
{
	int fd = open(HISTORY_FILE, O_RDWR);
	char byte;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 0x20;
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

START_TEST(a_damaged_file_is_kept_beside_and_not_used)
{
	struct stat st;

	used = &disk_system; /* the other one has room for few files */
	ck_assert_int_eq(start(), HISTORY_FILE_NONE);
	ck_assert(end());
	ck_assert_int_eq(stat(HISTORY_FILE, &st), 0);
	for (off_t at = 0; at < st.st_size; at++) {
		epochs = 1;
		epoch = 1;
		ck_assert(end());
		change_byte(at);
		ck_assert_msg(start() == HISTORY_FILE_BAD, "byte %lld", (long long)at);
		ck_assert_int_eq(access(HISTORY_FILE, F_OK), -1);
		ck_assert_int_eq(access(HISTORY_FILE_BROKEN, F_OK), 0);
	}
	/* And one that is shorter. */
	for (off_t len = 0; len < st.st_size; len += 7) {
		epochs = 1;
		epoch = 1;
		ck_assert(end());
		ck_assert_int_eq(truncate(HISTORY_FILE, len), 0);
		ck_assert_int_eq(start(), HISTORY_FILE_BAD);
	}
}
END_TEST

START_TEST(an_inconsistent_history_is_kept_beside_as_well)
{
	epoch = 0;
	ck_assert(end());
	ck_assert_int_eq(start(), HISTORY_FILE_BAD);
	buffer_append(&error, "", 1);
	ck_assert_ptr_nonnull(strstr(error.ptr, "no epoch; it is now " HISTORY_FILE_BROKEN));
}
END_TEST

START_TEST(a_file_that_cannot_be_removed_is_not_used)
{
	ck_assert_int_eq(start(), HISTORY_FILE_NONE);
	publish(5);
	for (int sync = 0; sync < 2; sync++) {
		ck_assert(end());
		testing_disk_fail(disk, sync ? TESTING_SYNC : TESTING_UNLINK, 0, 1, EIO);
		ck_assert_int_eq(start(), HISTORY_FILE_UNUSED);
		testing_disk_heal(disk);
		publish(3);
	}
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_not_used)
{
	ck_assert_int_eq(mkdir(HISTORY_FILE, 0700), 0);
	ck_assert_int_eq(start(), HISTORY_FILE_UNUSED);
	ck_assert_int_eq(rmdir(HISTORY_FILE), 0);
}
END_TEST

/* One life: from start to graceful end, in which call number `call` and all further ones fail, as
 * if the process was killed there. Then the disk is as after this loss. False: no call failed. */
static bool
live(uint32_t call, enum testing_loss loss)
{
	struct testing_image *left;
	bool was_killed;

	testing_disk_fail(disk, TESTING_ALL, call, UINT32_MAX, EIO);
	(void)start();
	if (disk->calls <= call)
		publish(4);
	(void)!end();
	was_killed = disk->calls > call;
	testing_disk_heal(disk);
	left = testing_disk_image(disk, loss);
	testing_image_put(left);
	testing_image_free(left);
	return was_killed;
}

START_TEST(no_position_is_given_twice_wherever_the_process_is_killed)
{
	for (int loss = 0; loss < TESTING_LOSSES; loss++) {
		bool was_killed = true;
		uint32_t call;

		for (call = 0; was_killed; call++) {
			teardown();
			setup();
			/* A good life, then one that is killed, then two good ones. */
			ck_assert(!live(UINT32_MAX - 1, (enum testing_loss)loss));
			was_killed = live(call, (enum testing_loss)loss);
			(void)!live(UINT32_MAX - 1, (enum testing_loss)loss);
			(void)!live(UINT32_MAX - 1, (enum testing_loss)loss);
		}
		ck_assert_uint_gt(call, 6);
	}
}
END_TEST

START_TEST(a_file_that_cannot_be_written_leaves_none_or_a_whole_one)
{
	bool ok = false;

	for (uint32_t call = 0; !ok; call++) {
		teardown();
		setup();
		ck_assert_int_eq(start(), HISTORY_FILE_NONE);
		publish(2);
		testing_disk_fail(disk, TESTING_ALL, call, 1, ENOSPC);
		ok = end();
		ck_assert(ok || error.len > 0);
		testing_disk_heal(disk);
		ck_assert_int_eq(access("fanfared-history.tmp", F_OK), -1);
		ck_assert_int_ne(start(), HISTORY_FILE_BAD);
		publish(2);
	}
}
END_TEST

int
main(void)
{
	return testing_main("persist/history_file", setup, teardown,
	    (const TTest *[]){a_graceful_end_keeps_the_position_for_one_start,
		a_damaged_file_is_kept_beside_and_not_used,
		an_inconsistent_history_is_kept_beside_as_well,
		a_file_that_cannot_be_removed_is_not_used, a_file_that_cannot_be_read_is_not_used,
		no_position_is_given_twice_wherever_the_process_is_killed,
		a_file_that_cannot_be_written_leaves_none_or_a_whole_one, NULL});
}
