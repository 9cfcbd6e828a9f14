#include "config.h"

#include "persist/key_stream.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"
#include "persist/aof.h"
#include "persist/testing_host.h"

#define COUNT 300

static struct testing_host sender, receiver;
static struct buffer stream, error;
static struct key_stream_reader reader;

static void
setup(void)
{
	testing_host_init(&sender);
	testing_host_init(&receiver);
	receiver.keyspace.replay_begin(receiver.keyspace.arg, true);
	sender.count = COUNT;
	reader = (struct key_stream_reader){0};
}

static void
teardown(void)
{
	key_stream_release(&reader);
	buffer_release(&stream);
	buffer_release(&error);
	testing_host_release(&sender);
	testing_host_release(&receiver);
}

static bool
collect(void *arg, struct slice part)
{
	(void)arg;
	buffer_append_slice(&stream, part);
	return true;
}

static bool
refuse_at(void *arg, struct slice part)
{
	int *left = arg;

	(void)part;
	return (*left)-- > 0;
}

static bool
read_part(struct slice part)
{
	return key_stream_read(&reader, &receiver.keyspace, part, &error);
}

static void
assert_fails(const char *words)
{
	buffer_append(&error, "", 1);
	ck_assert_msg(strstr(error.ptr, words) != NULL, "%s", error.ptr);
}

START_TEST(a_keyspace_arrives_in_parts_of_any_size)
{
	uint64_t seed = 7;

	ck_assert(key_stream_write(&sender.keyspace, collect, NULL));
	for (size_t at = 0; at < stream.len;) {
		size_t len = testing_random(&seed) % 400;

		if (len > stream.len - at)
			len = stream.len - at;
		ck_assert(read_part((struct slice){stream.ptr + at, len}));
		at += len;
		ck_assert(
		    reader.has_end_mark == (at == stream.len) || at > stream.len - AOF_HEADER_LEN);
	}
	ck_assert(key_stream_is_whole(&reader) && reader.has_end_mark);
	ck_assert_uint_eq(receiver.count, COUNT);
	ck_assert_uint_eq(reader.commands, COUNT);
	ck_assert(!receiver.is_wrong);
}
END_TEST

START_TEST(an_empty_keyspace_is_a_stream_with_an_end_mark)
{
	sender.count = 0;
	ck_assert(key_stream_write(&sender.keyspace, collect, NULL));
	ck_assert(read_part(buffer_slice(&stream)));
	ck_assert(key_stream_is_whole(&reader) && reader.has_end_mark);
	ck_assert_uint_eq(receiver.count, 0);
}
END_TEST

START_TEST(writing_ends_when_a_part_cannot_be_sent)
{
	int parts = 0, left;
	bool ok;

	do {
		left = parts++;
		ok = key_stream_write(&sender.keyspace, refuse_at, &left);
		ck_assert_int_eq(left, ok ? 0 : -1);
	} while (!ok);
	ck_assert_int_gt(parts, 10);
}
END_TEST

START_TEST(a_changed_byte_anywhere_is_found)
{
	sender.count = (uint64_t)testing_steps(COUNT);
	ck_assert(key_stream_write(&sender.keyspace, collect, NULL));
	for (size_t at = 0; at < stream.len; at += 3) {
		bool ok;

		stream.ptr[at] ^= 0x10;
		ok = read_part(buffer_slice(&stream));
		ck_assert_msg(!ok || !key_stream_is_whole(&reader), "byte %zu", at);
		stream.ptr[at] ^= 0x10;
		key_stream_release(&reader);
		reader = (struct key_stream_reader){0};
		receiver.count = 0;
		buffer_clear(&error);
	}
	ck_assert(!receiver.is_wrong);
}
END_TEST

START_TEST(a_missing_part_is_found)
{
	struct buffer changes = {0};
	uint64_t offset = 0;
	size_t first;

	key_stream_put(&changes, &offset, SLICE("*2\r\n$3\r\nADD\r\n$1\r\n0\r\n"));
	first = changes.len;
	ck_assert_uint_eq(offset, first);
	key_stream_put(&changes, &offset, SLICE("*2\r\n$3\r\nADD\r\n$1\r\n1\r\n"));
	ck_assert_uint_eq(offset, changes.len);
	ck_assert(read_part((struct slice){changes.ptr, first}));
	ck_assert_uint_eq(receiver.count, 1);
	/* The first batch again in the place of the second one. */
	ck_assert(!read_part((struct slice){changes.ptr, first}));
	assert_fails("header checksum mismatch");
	ck_assert_uint_eq(receiver.count, 1);
	buffer_release(&changes);
}
END_TEST

START_TEST(a_stream_that_ends_early_is_not_whole)
{
	ck_assert(key_stream_write(&sender.keyspace, collect, NULL));
	ck_assert(read_part((struct slice){stream.ptr, stream.len - 1}));
	ck_assert(!key_stream_is_whole(&reader) && !reader.has_end_mark);
}
END_TEST

/* Puts commands into a batch whose checksum is right. */
static bool
read_commands(const char *commands)
{
	struct buffer batch = {0};
	uint64_t offset = reader.offset;
	bool ok;

	key_stream_put(&batch, &offset, slice_of(commands));
	ok = read_part(buffer_slice(&batch));
	buffer_release(&batch);
	return ok;
}

START_TEST(a_command_that_cannot_be_carried_out_is_an_error)
{
	ck_assert(read_commands("*1\r\n$5\r\nMULTI\r\n"));
	ck_assert(!read_commands("*3\r\n$3\r\nADD\r\n$1\r\n0\r\n$1\r\n0\r\n"));
	assert_fails("unknown command");
}
END_TEST

START_TEST(an_incomplete_command_is_an_error)
{
	ck_assert(!read_commands("*2\r\n$3\r\nADD\r\n"));
	assert_fails("incomplete command");
}
END_TEST

START_TEST(bytes_that_are_no_command_are_an_error)
{
	ck_assert(!read_commands("hello\r\n"));
	assert_fails("expected a command");
}
END_TEST

int
main(void)
{
	return testing_main("persist/key_stream", setup, teardown,
	    (const TTest *[]){a_keyspace_arrives_in_parts_of_any_size,
		an_empty_keyspace_is_a_stream_with_an_end_mark,
		writing_ends_when_a_part_cannot_be_sent, a_changed_byte_anywhere_is_found,
		a_missing_part_is_found, a_stream_that_ends_early_is_not_whole,
		a_command_that_cannot_be_carried_out_is_an_error, an_incomplete_command_is_an_error,
		bytes_that_are_no_command_are_an_error, NULL});
}
