#include "config.h"

#include "persist/testing_log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t now_us;

uint64_t
testing_now_us(void)
{
	return now_us;
}

void
testing_pass_us(uint64_t us)
{
	now_us += us;
}

int
testing_log_create(struct testing_log *t, const char *name)
{
	int fd = t->disk->disk.open(t->disk, name, O_RDWR | O_CREAT | O_TRUNC);

	ck_assert_int_ne(fd, -1);
	return fd;
}

void
testing_log_init(struct testing_log *t)
{
	t->disk = testing_disk_new();
	t->number = 0;
	now_us = 1000000000;
	log_file_init(&t->file, &t->disk->disk, testing_now_us);
	t->file.policy = AOF_SYNC_ALWAYS;
	testing_disk_heal(t->disk);
}

void
testing_log_release(struct testing_log *t)
{
	log_file_release(&t->file);
	testing_disk_free(t->disk);
	testing_disk_empty_folder();
}

void
testing_log_enter(struct testing_log *t)
{
	snprintf(t->folder, sizeof(t->folder), "%s/fanfare-log-file-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(t->folder));
	ck_assert_int_eq(chdir(t->folder), 0);
	testing_log_init(t);
}

void
testing_log_leave(struct testing_log *t)
{
	testing_log_release(t);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(t->folder), 0);
}

void
testing_log_open(struct testing_log *t, const char *name, uint64_t generation)
{
	int fd = testing_log_create(t, name);

	ck_assert(disk_sync_folder_of(&t->disk->disk, name));
	log_file_open(&t->file, fd, 0, generation, name);
}

/* Appends a batch with its number. */
void
testing_log_append(struct testing_log *t)
{
	struct buffer commands = {0};

	buffer_appendf(
	    &commands, "*2\r\n$3\r\nADD\r\n$6\r\n%06llu\r\n", (unsigned long long)++t->number);
	log_file_append(&t->file, t->number, &commands);
	ck_assert_ptr_null(commands.ptr);
}

/* A rewritten file, which stands for all batches up to `base`. */
int
testing_log_create_rewritten(struct testing_log *t, const char *name, uint64_t base)
{
	char header[AOF_HEADER_LEN], commands[64];
	int len = snprintf(commands, sizeof(commands), "*2\r\n$4\r\nBASE\r\n$6\r\n%06llu\r\n",
	    (unsigned long long)base);
	struct iovec pieces[2] = {{header, sizeof(header)}, {commands, (size_t)len}};
	int fd = testing_log_create(t, name);

	aof_header_write(header, 0, (struct slice){commands, (size_t)len});
	ck_assert(disk_write_all(&t->disk->disk, fd, pieces, 2, 0));
	ck_assert_int_eq(t->disk->disk.sync(t->disk, fd), 0);
	return fd;
}

/* The number of the last batch in a file that has all earlier ones, each once, and only whole ones.
 */
static uint64_t
last_in(struct slice bytes, bool may_truncate)
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
	ck_assert_msg(verdict == AOF_END || (may_truncate && verdict == AOF_TRUNCATED),
	    "damaged at %zu", scan.damaged_at);
	aof_commands_release(&taken);
	return last;
}

/* The number of the last batch after this loss. */
uint64_t
testing_log_last_after(
    struct testing_log *t, enum testing_loss loss, const char *name, bool may_truncate)
{
	struct testing_image *image = testing_disk_image(t->disk, loss);
	struct slice bytes = testing_image_file(image, name);
	uint64_t last;

	ck_assert_ptr_nonnull(bytes.ptr);
	last = last_in(bytes, may_truncate);
	testing_image_free(image);
	return last;
}

/* Asserts the invariants that hold in every state. */
void
testing_log_check(struct testing_log *t)
{
	uint64_t unsynced = 0, unwritten = 0, next = t->file.synced.number + 1;
	const struct batch *batch;

	TAILQ_FOREACH (batch, &t->file.batches, next) {
		ck_assert(batch->number >= next);
		next = batch->number + 1;
		unsynced += batch->commands.len;
		if (batch->state == BATCH_QUEUED)
			unwritten += batch->commands.len;
	}
	ck_assert_uint_eq(t->file.unsynced_bytes, unsynced);
	ck_assert_uint_eq(t->file.unwritten_bytes, unwritten);
	ck_assert_uint_eq(t->file.last_number, t->number);
	ck_assert_uint_le(t->file.synced.number, t->number);
	ck_assert_int_eq(t->file.fault.error != 0, t->file.state == LOG_FAILING);
	if (t->file.state == LOG_STOPPED) {
		ck_assert_int_eq(t->file.copy.state, COPY_NONE);
		ck_assert_uint_eq(t->file.synced.number, t->number);
		ck_assert_int_eq(t->file.fd, -1);
		return;
	}
	if (t->file.generation != 1)
		return;
	ck_assert_uint_ge(testing_log_last_after(t, TESTING_KILLED, "a.aof", t->file.has_partial),
	    t->file.synced.number);
	ck_assert_uint_ge(
	    testing_log_last_after(t, TESTING_OLD_NAMES, "a.aof", true), t->file.synced.number);
	ck_assert_uint_ge(
	    testing_log_last_after(t, TESTING_NEW_NAMES, "a.aof", true), t->file.synced.number);
}

const char *
testing_log_state(const struct testing_log *t)
{
	static char name[3];

	name[0] = t->file.state == LOG_STOPPED   ? 'S'
		  : t->file.state == LOG_WRITING ? 'W'
		  : t->file.fault.is_sync        ? 'Y'
						 : 'F';
	name[1] = t->file.copy.state == COPY_NONE      ? '\0'
		  : t->file.copy.state == COPY_RUNNING ? 'c'
						       : 'r';
	return name;
}

void
testing_log_work_failing(struct testing_log *t, uint32_t kinds, uint32_t count)
{
	testing_disk_fail(t->disk, kinds, 0, count, EIO);
	log_file_work(&t->file);
	testing_disk_heal(t->disk);
}
