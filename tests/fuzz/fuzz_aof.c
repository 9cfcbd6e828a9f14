#include "config.h"

#include "persist/aof.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"

/*
 * Any bytes as a file: each verdict is about what is there, and what is kept of a cut file is a
 * good file. An input whose first byte is odd is made into a batch, to get behind the checksums.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static size_t
count_commands(struct slice run)
{
	struct aof_commands taken = {0};
	size_t count = 0;

	while (aof_command_next(&taken, &run) == AOF_COMMAND)
		count++;
	aof_commands_release(&taken);
	return count;
}

static enum aof_verdict
read_all(struct aof_scan *scan, struct slice *last, size_t *count)
{
	enum aof_verdict verdict;

	while ((verdict = aof_scan_next(scan, last)) == AOF_COMMANDS) {
		assert(last->ptr >= scan->file.ptr &&
		       last->ptr + last->len <= scan->file.ptr + scan->file.len);
		*count += count_commands(*last);
	}
	if (verdict == AOF_TRUNCATED)
		*count += count_commands(*last);
	return verdict;
}

/* As aof_file_cut does. */
static void
check_kept(char *file, const struct aof_scan *scan, size_t count)
{
	struct aof_scan again = {.file = {file, scan->keep}};
	struct slice last;
	size_t count_again = 0;

	assert(read_all(&again, &last, &count_again) == AOF_END);
	assert(count_again == count);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *file = xmalloc(len + AOF_HEADER_LEN + 1);
	struct aof_scan scan = {0};
	struct slice last;
	size_t count = 0;

	if (len > 1 && (data[0] & 1) != 0) {
		memcpy(file + AOF_HEADER_LEN, data + 1, len - 1);
		aof_header_write(file, 0, (struct slice){file + AOF_HEADER_LEN, len - 1});
		/* ... and cut. */
		scan.file = (struct slice){file, AOF_HEADER_LEN + len - 1 - (data[0] >> 1) % len};
	} else {
		if (len > 0)
			memcpy(file, data, len);
		scan.file = (struct slice){file, len};
	}
	switch (read_all(&scan, &last, &count)) {
	case AOF_TRUNCATED:
		assert(scan.reason != NULL && scan.keep < scan.file.len);
		check_kept(file, &scan, count);
		break;
	case AOF_DAMAGED:
		assert(scan.reason != NULL && scan.keep <= scan.damaged_at &&
		       scan.damaged_at <= scan.file.len);
		break;
	case AOF_END:
	case AOF_COMMANDS:
		break;
	}
	xfree(file);
	return 0;
}
