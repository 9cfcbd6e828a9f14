#include "config.h"

#include "link/globs_frame.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"

static struct buffer text, globs;

static void
setup(void)
{
	buffer_clear(&text);
	buffer_clear(&globs);
}

static void
teardown(void)
{
	buffer_release(&text);
	buffer_release(&globs);
}

static bool
reads(const char *frame)
{
	struct globs_frame out;

	return globs_frame_read(slice_of(frame), &out);
}

START_TEST(a_set_is_read_as_it_was_written)
{
	struct globs_frame out, frame = {.kind = GLOBS_SET,
				    .id = SLICE("ab12"),
				    .nonce = UINT64_MAX,
				    .wanted = GLOBS_ACK_WITH_SET,
				    .has_missed = true,
				    .lease_ms = 30000,
				    .has_set = true,
				    .count = 3};
	struct slice glob;

	globs_put(&globs, SLICE("a*"));
	globs_put(&globs, SLICE(""));
	globs_put(&globs, (struct slice){"\0 1:x\n", 6});
	frame.globs = buffer_slice(&globs);
	globs_frame_write(&text, &frame);
	ck_assert(globs_frame_read(buffer_slice(&text), &out));
	ck_assert_int_eq(out.kind, GLOBS_SET);
	ck_assert(slice_is(out.id, "ab12"));
	ck_assert_uint_eq(out.nonce, UINT64_MAX);
	ck_assert_int_eq(out.wanted, GLOBS_ACK_WITH_SET);
	ck_assert(out.has_missed && out.has_set);
	ck_assert_uint_eq(out.lease_ms, 30000);
	ck_assert_uint_eq(out.count, 3);
	ck_assert(globs_next(&out.globs, &glob) && slice_is(glob, "a*"));
	ck_assert(globs_next(&out.globs, &glob) && glob.len == 0);
	ck_assert(globs_next(&out.globs, &glob) && glob.len == 6 && glob.ptr[0] == '\0');
	ck_assert(!globs_next(&out.globs, &glob));
}
END_TEST

START_TEST(an_acknowledgement_may_have_no_set)
{
	struct globs_frame out, frame = {.kind = GLOBS_ACK, .id = SLICE("x"), .nonce = 7};

	globs_frame_write(&text, &frame);
	ck_assert(globs_frame_read(buffer_slice(&text), &out));
	ck_assert_int_eq(out.kind, GLOBS_ACK);
	ck_assert(!out.has_set);
	ck_assert_uint_eq(out.nonce, 7);
}
END_TEST

START_TEST(what_is_not_written_like_this_is_refused)
{
	static const char *const wrong[] = {"", "fanfare-globs", "fanfare-globs 1 ",
	    "fanfare-globs 2 set a 1 0 0 1 0 ", "fanfare-globs 1 sot a 1 0 0 1 0 ",
	    "fanfare-globs 1 set  1 0 0 1 0 ", "fanfare-globs 1 set a- 1 0 0 1 0 ",
	    "fanfare-globs 1 set a{ 1 0 0 1 0 ", "fanfare-globs 1 set a -1 0 0 1 0 ",
	    "fanfare-globs 1 set a 01 0 0 1 0 ", "fanfare-globs 1 set a 1 3 0 1 0 ",
	    "fanfare-globs 1 set a 1 0 2 1 0 ", "fanfare-globs 1 set a 1 0 0 86400001 0 ",
	    "fanfare-globs 1 set a 1 0 0 1 257 ", "fanfare-globs 1 set a 1 0 0 1 0",
	    "fanfare-globs 1 set a 1 0 0 1 - ", "fanfare-globs 1 set a 1 0 0 1 1 ",
	    "fanfare-globs 1 set a 1 0 0 1 1 1:", "fanfare-globs 1 set a 1 0 0 1 1 1:ab",
	    "fanfare-globs 1 set a 1 0 0 1 1 1:a1:b", "fanfare-globs 1 set a 1 0 0 1 2 1:a",
	    "fanfare-globs 1 set a 1 0 0 1 1 18446744073709551615:a",
	    "fanfare-globs 1 ack a 1 0 0 1 -",
	    "fanfare-globs 1 set 12345678901234567890123456789012345678901234567890123456789012345"
	    " 1 0 0 1 0 "};

	ck_assert(reads("fanfare-globs 1 set a 1 0 0 1 1 1:a"));
	ck_assert(reads("fanfare-globs 1 set a 1 0 0 1 0 "));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		ck_assert_msg(!reads(wrong[i]), "%s", wrong[i]);
}
END_TEST

START_TEST(globs_that_are_too_long_together_are_refused)
{
	char head[64];
	int len =
	    snprintf(head, sizeof(head), "fanfare-globs 1 set a 1 0 0 1 1 %d:", GLOBS_BYTES_MAX);

	buffer_append(&text, head, (size_t)len);
	for (int i = 0; i < GLOBS_BYTES_MAX; i++)
		buffer_append(&text, "a", 1);
	buffer_append(&text, "", 1);
	ck_assert(reads(text.ptr));
	buffer_clear(&text);
	snprintf(head, sizeof(head), "fanfare-globs 1 set a 1 0 0 1 1 %d:", GLOBS_BYTES_MAX + 1);
	buffer_append_str(&text, head);
	for (int i = 0; i <= GLOBS_BYTES_MAX; i++)
		buffer_append(&text, "a", 1);
	buffer_append(&text, "", 1);
	ck_assert(!reads(text.ptr));
}
END_TEST

/* As long as it is right it is written in the same way again. */
START_TEST(any_bytes_are_refused_or_mean_one_thing)
{
	static const char sample[] = "fanfare-globs 1 set a1 77 1 0 3000 2 2:a*3:b??";
	uint64_t seed = 1;
	size_t accepted = 0;

	for (int i = 0; i < testing_steps(200000); i++) {
		struct globs_frame frame;
		char bytes[sizeof(sample)];
		size_t len = sizeof(sample) - 1 - (testing_random(&seed) % 4 == 0);

		memcpy(bytes, sample, sizeof(sample));
		for (uint64_t n = testing_random(&seed) % 3; n > 0; n--)
			bytes[testing_random(&seed) % len] =
			    " -:0123456789az*\n"[testing_random(&seed) % 17];
		if (!globs_frame_read((struct slice){bytes, len}, &frame))
			continue;
		accepted++;
		buffer_clear(&text);
		globs_frame_write(&text, &frame);
		ck_assert(slice_eq(buffer_slice(&text), (struct slice){bytes, len}));
	}
	ck_assert_uint_gt(accepted, 1000);
}
END_TEST

START_TEST(a_copy_has_its_channel_and_its_message)
{
	struct slice channel, payload;

	globs_put_copy(&text, SLICE("a:b"), SLICE("x:y"));
	ck_assert(globs_read_copy(buffer_slice(&text), &channel, &payload));
	ck_assert(slice_is(channel, "a:b") && slice_is(payload, "x:y"));
	ck_assert(globs_read_copy(SLICE("0:"), &channel, &payload));
	ck_assert(channel.len == 0 && payload.len == 0);
	ck_assert(!globs_read_copy(SLICE(""), &channel, &payload));
	ck_assert(!globs_read_copy(SLICE("4:abc"), &channel, &payload));
	ck_assert(!globs_read_copy(SLICE("x:abc"), &channel, &payload));
	ck_assert(!globs_read_copy(SLICE("3"), &channel, &payload));
}
END_TEST

int
main(void)
{
	return testing_main("link/globs_frame", setup, teardown,
	    (const TTest *[]){a_set_is_read_as_it_was_written, an_acknowledgement_may_have_no_set,
		what_is_not_written_like_this_is_refused,
		globs_that_are_too_long_together_are_refused,
		any_bytes_are_refused_or_mean_one_thing, a_copy_has_its_channel_and_its_message,
		NULL});
}
