#include "config.h"

#include "pubsub/frame_log.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"

#define SEGMENT 4096

static struct frame_log *log_;
static struct frame_range range;

static void
setup(void)
{
	log_ = frame_log_new(SEGMENT);
}

static void
teardown(void)
{
	frame_range_release(&range);
	frame_log_free(log_);
}

/* A frame of len bytes, all of them `fill`. */
static struct frame
write_frame(size_t len, int fill, uint32_t tag)
{
	struct frame frame = frame_log_write(log_, len, tag);

	memset(frame.ptr, fill, len);
	return frame;
}

static bool
extend(struct frame_range *r, const struct frame *frame)
{
	return frame_range_extend(r, frame);
}

static uint32_t
drop_first(struct frame_range *from, uint32_t *tag)
{
	struct dropped_frame dropped = frame_range_drop_first(from);

	*tag = dropped.tag;
	return dropped.len;
}

START_TEST(frames_written_one_after_another_are_one_range)
{
	struct frame frame = write_frame(10, 'a', 0);

	frame_range_init(&range, &frame);
	frame = write_frame(5, 'b', 0);
	ck_assert(extend(&range, &frame));
	ck_assert_uint_eq(range.len, 15);
	ck_assert_uint_eq(range.frames, 2);
	ck_assert_mem_eq(frame_range_ptr(&range), "aaaaaaaaaabbbbb", 15);
}
END_TEST

START_TEST(a_range_does_not_take_what_is_not_its_neighbour)
{
	struct frame frame = write_frame(10, 'a', 0);

	frame_range_init(&range, &frame);
	(void)write_frame(5, 'x', 0);
	frame = write_frame(5, 'b', 0);
	ck_assert(!extend(&range, &frame));
	ck_assert_uint_eq(range.len, 10);
}
END_TEST

START_TEST(consuming_counts_the_frames_that_end)
{
	struct frame frame = write_frame(10, 'a', 0);

	frame_range_init(&range, &frame);
	for (int i = 0; i < 2; i++) {
		frame = write_frame(10, 'b', 0);
		ck_assert(extend(&range, &frame));
	}
	ck_assert_uint_eq(frame_range_consume(&range, 9), 0);
	ck_assert(range.started);
	ck_assert_uint_eq(frame_range_consume(&range, 1), 1);
	ck_assert(!range.started);
	ck_assert_uint_eq(frame_range_consume(&range, 15), 1);
	ck_assert(range.started);
	ck_assert_uint_eq(frame_range_consume(&range, 5), 1);
	ck_assert_uint_eq(range.len, 0);
}
END_TEST

START_TEST(dropping_takes_whole_frames_and_gives_their_tags)
{
	struct frame frame = write_frame(10, 'a', 7);
	uint32_t tag;

	frame_range_init(&range, &frame);
	frame = write_frame(20, 'b', 8);
	ck_assert(extend(&range, &frame));
	ck_assert_uint_eq(drop_first(&range, &tag), 10);
	ck_assert_uint_eq(tag, 7);
	ck_assert_int_eq(*frame_range_ptr(&range), 'b');
	ck_assert_uint_eq(drop_first(&range, &tag), 20);
	ck_assert_uint_eq(tag, 8);
	ck_assert_uint_eq(range.len, 0);
}
END_TEST

START_TEST(splitting_keeps_the_started_frame_apart)
{
	struct frame frame = write_frame(10, 'a', 1);
	struct frame_range rest;
	uint32_t tag;

	frame_range_init(&range, &frame);
	frame = write_frame(20, 'b', 2);
	ck_assert(extend(&range, &frame));
	frame_range_consume(&range, 4);
	frame_range_split(&range, &rest);
	ck_assert_uint_eq(range.len, 6);
	ck_assert(range.started);
	ck_assert_uint_eq(rest.len, 20);
	ck_assert_uint_eq(drop_first(&rest, &tag), 20);
	ck_assert_uint_eq(tag, 2);
}
END_TEST

START_TEST(a_large_frame_gets_a_segment_that_goes_with_it)
{
	struct frame frame = write_frame(10, 'a', 0);
	size_t before = frame_log_held_bytes(log_);

	ck_assert_uint_gt(before, SEGMENT);
	frame = write_frame(1 << 20, 'b', 0);
	frame_range_init(&range, &frame);
	ck_assert_uint_gt(frame_log_held_bytes(log_), before + (1 << 20));
	frame_range_release(&range);
	frame_log_tidy(log_);
	ck_assert_uint_eq(frame_log_held_bytes(log_), before);
}
END_TEST

/* A range of a segment that is full and has no other live bytes; returns where it lies. */
static const char *
hold_thin_segment(bool pinned)
{
	struct frame frame = write_frame(10, 'p', 0);

	frame_range_init(&range, &frame);
	if (pinned)
		frame_range_pin(&range);
	for (int i = 0; i < 2000; i++)
		(void)write_frame(100, 'x', 0);
	return frame_range_ptr(&range);
}

/* The range is pinned when it is about to be moved. */
START_TEST(a_pinned_range_stays_where_it_is_until_it_is_unpinned)
{
	const char *ptr = hold_thin_segment(false);

	frame_range_pin(&range);
	frame_range_pin(&range);
	frame_log_tidy(log_);
	frame_range_unpin(&range);
	frame_log_tidy(log_);
	ck_assert_ptr_eq(frame_range_ptr(&range), ptr);
	ck_assert_mem_eq(ptr, "pppppppppp", 10);
	frame_range_unpin(&range);
	frame_log_tidy(log_);
	ck_assert_ptr_ne(frame_range_ptr(&range), ptr);
	ck_assert_mem_eq(frame_range_ptr(&range), "pppppppppp", 10);
}
END_TEST

START_TEST(a_segment_that_gets_thin_while_it_is_pinned_is_moved_afterwards)
{
	const char *ptr = hold_thin_segment(true);

	frame_log_tidy(log_);
	ck_assert_ptr_eq(frame_range_ptr(&range), ptr);
	frame_range_unpin(&range);
	frame_log_tidy(log_);
	ck_assert_ptr_ne(frame_range_ptr(&range), ptr);
}
END_TEST

static char payload[6 << 20];

/* A step of a frame with 4 bytes before its payload and 2 behind it. */
static bool
prepare(uint64_t id, size_t len)
{
	return frame_log_prepare(log_, id, 4 + len + 2, 4, (struct slice){payload, len});
}

START_TEST(a_prepared_frame_has_its_payload_in_its_place)
{
	struct frame frame;
	size_t steps = 1, held;

	memset(payload, 'p', sizeof(payload));
	ck_assert(prepare(1, 10));
	ck_assert(!frame_log_write_prepared(log_, 1, 16, 4, 0, &frame));
	while (!prepare(2, 5 << 20)) {
		steps++;
		frame_log_tidy(log_);
	}
	ck_assert_uint_eq(steps, 5);
	ck_assert(prepare(2, 5 << 20));
	held = frame_log_held_bytes(log_);
	ck_assert(frame_log_write_prepared(log_, 2, 4 + (5 << 20) + 2, 4, 9, &frame));
	frame_range_init(&range, &frame);
	ck_assert_uint_eq(frame.len, 4 + (5 << 20) + 2);
	ck_assert_mem_eq(frame.ptr + 4, payload, 5 << 20);
	ck_assert_uint_lt(frame_log_held_bytes(log_), held + 100);
	frame_log_tidy(log_);
	ck_assert_mem_eq(frame_range_ptr(&range) + 4, payload, 5 << 20);
	ck_assert(!frame_log_write_prepared(log_, 2, 4 + (5 << 20) + 2, 4, 9, &frame));
}
END_TEST

START_TEST(what_is_prepared_and_then_forgotten_goes)
{
	size_t before = frame_log_held_bytes(log_), held;
	struct frame frame;

	ck_assert(!prepare(1, 5 << 20));
	ck_assert(!prepare(2, 5 << 20));
	held = frame_log_held_bytes(log_);
	frame_log_tidy(log_);
	frame_log_forget(log_, 3, 100);
	frame_log_forget(log_, 0, 1);
	ck_assert_uint_eq(frame_log_held_bytes(log_), held);
	frame_log_forget(log_, 0, 2);
	ck_assert_uint_lt(frame_log_held_bytes(log_), held - (5 << 20));
	/* A draft with another length is started again. */
	ck_assert(!prepare(2, 6 << 20));
	ck_assert(!frame_log_write_prepared(log_, 2, 4 + (5 << 20) + 2, 4, 0, &frame));
	frame_log_forget(log_, 2, 1);
	ck_assert_uint_eq(frame_log_held_bytes(log_), before);
	ck_assert(!prepare(3, 5 << 20)); /* freed with the log */
}
END_TEST

START_TEST(a_log_whose_readers_keep_up_does_not_grow)
{
	size_t most = 0;

	for (int i = 0; i < 100000; i++) {
		struct frame frame = write_frame(100, i, 0);

		frame_range_init(&range, &frame);
		frame_range_release(&range);
		if (frame_log_held_bytes(log_) > most)
			most = frame_log_held_bytes(log_);
	}
	ck_assert_uint_lt(most, 2 * SEGMENT);
}
END_TEST

/* In each segment, a subscriber that never reads holds one of twenty frames. */
START_TEST(stragglers_hold_at_most_four_times_their_live_bytes)
{
	static struct frame_range stuck[2000];
	size_t live = 0, fixed;

	for (int i = 0; i < 2000; i++) {
		for (int k = 0; k < 20; k++) {
			struct frame frame = write_frame(200, i % 251, (uint32_t)i);

			if (k == 7) {
				frame_range_init(&stuck[i], &frame);
				live += frame.len;
			}
		}
		frame_log_tidy(log_);
		fixed = 12 * (SEGMENT + 2048); /* open segments, and those kept for reuse */
		ck_assert_uint_le(frame_log_held_bytes(log_), 4 * live + fixed);
	}
	ck_assert_uint_eq(frame_log_live_bytes(log_), live);
	ck_assert_uint_gt(frame_log_moved_bytes(log_), 0);
	for (int i = 0; i < 2000; i++) {
		uint32_t tag;

		ck_assert_int_eq(*frame_range_ptr(&stuck[i]), (char)(i % 251));
		ck_assert_int_eq(frame_range_ptr(&stuck[i])[199], (char)(i % 251));
		ck_assert_uint_eq(drop_first(&stuck[i], &tag), 200);
		ck_assert_uint_eq(tag, (uint32_t)i);
	}
	ck_assert_uint_eq(frame_log_live_bytes(log_), 0);
}
END_TEST

START_TEST(five_hundred_stuck_on_the_same_bytes_share_one_copy)
{
	static struct frame_range stuck[500];
	size_t written = 0;

	for (int i = 0; i < 20000; i++) {
		struct frame frame = write_frame(100, i, 0);

		written += frame.len;
		for (int s = 0; s < 500; s++) {
			struct frame_range *last = &stuck[s];

			if (i == 0)
				frame_range_init(last, &frame);
			else if (!extend(last, &frame))
				goto full;
		}
	}
full:
	frame_log_tidy(log_);
	ck_assert_uint_lt(frame_log_held_bytes(log_), written + 3 * SEGMENT);
	for (int s = 0; s < 500; s++)
		frame_range_release(&stuck[s]);
}
END_TEST

START_TEST(a_started_frame_stays_started_when_it_is_moved)
{
	struct frame frame = write_frame(100, 'a', 3);

	frame_range_init(&range, &frame);
	frame = write_frame(100, 'b', 4);
	ck_assert(extend(&range, &frame));
	frame_range_consume(&range, 30);
	for (int i = 0; i < 100; i++)
		(void)write_frame(100, 'x', 0);
	frame_log_tidy(log_);
	ck_assert_uint_gt(frame_log_moved_bytes(log_), 0);
	ck_assert(range.started);
	ck_assert_uint_eq(range.frames, 2);
	ck_assert_uint_eq(frame_range_consume(&range, 70), 1);
	ck_assert(!range.started);
	ck_assert_int_eq(*frame_range_ptr(&range), 'b');
}
END_TEST

/* Each model range is the bytes and frame lengths that it must hold. */
struct model {
	struct frame_range range;
	char bytes[3000];
	uint32_t len;
	uint32_t ends[64];
	uint32_t tags[64];
	uint32_t frames;
	bool started;
};

static void
model_forget(struct model *m, uint32_t n)
{
	uint32_t gone = 0;

	memmove(m->bytes, m->bytes + n, m->len - n);
	m->len -= n;
	while (gone < m->frames && m->ends[gone] <= n)
		gone++;
	if (n > 0)
		m->started = gone > 0 ? m->ends[gone - 1] != n : true;
	for (uint32_t i = gone; i < m->frames; i++) {
		m->ends[i - gone] = m->ends[i] - n;
		m->tags[i - gone] = m->tags[i];
	}
	m->frames -= gone;
	if (m->frames == 0)
		m->started = false;
}

static void
model_check(const struct model *m)
{
	ck_assert_uint_eq(m->range.len, m->len);
	ck_assert_uint_eq(m->range.frames, m->frames);
	if (m->len > 0) {
		ck_assert_int_eq(m->range.started, m->started);
		ck_assert_mem_eq(frame_range_ptr(&m->range), m->bytes, m->len);
	}
}

static void
model_add(struct model *m, const struct frame *frame)
{
	if (m->frames == 64 || m->len + frame->len > sizeof(m->bytes))
		return;
	if (m->len == 0)
		frame_range_init(&m->range, frame);
	else if (!extend(&m->range, frame))
		return;
	memcpy(m->bytes + m->len, frame->ptr, frame->len);
	m->len += frame->len;
	m->ends[m->frames] = m->len;
	m->tags[m->frames++] = frame->tag;
}

static void
model_shrink(struct model *m, uint64_t *seed)
{
	uint32_t n, tag;

	if (m->len == 0)
		return;
	if (!m->started && testing_random(seed) % 2 == 0) {
		n = m->ends[0];
		ck_assert_uint_eq(drop_first(&m->range, &tag), n);
		ck_assert_uint_eq(tag, m->tags[0]);
	} else {
		n = (uint32_t)(testing_random(seed) % (m->len + 1));
		(void)frame_range_consume(&m->range, n);
	}
	model_forget(m, n);
}

START_TEST(a_hundred_thousand_random_steps_agree_with_a_plain_model)
{
	static struct model models[40];
	uint64_t seed = 2026;
	uint32_t tag = 0;

	memset(models, 0, sizeof(models));
	for (int step = 0; step < testing_steps(100000); step++) {
		struct model *m = &models[testing_random(&seed) % 40];

		switch (testing_random(&seed) % 8) {
		case 0:
			frame_log_tidy(log_);
			break;
		case 1:
		case 2:
			model_shrink(m, &seed);
			break;
		default: {
			size_t len = 1 + testing_random(&seed) % (step % 100 == 0 ? 2500 : 90);
			struct frame frame = write_frame(len, (int)testing_random(&seed), ++tag);

			for (int i = 0; i < 3; i++)
				model_add(&models[testing_random(&seed) % 40], &frame);
		}
		}
		model_check(m);
	}
	for (int i = 0; i < 40; i++) {
		model_check(&models[i]);
		frame_range_release(&models[i].range);
	}
	ck_assert_uint_eq(frame_log_live_bytes(log_), 0);
}
END_TEST

/* They are freed by the second frame_log_shrink(), because nothing was used after the first. */
START_TEST(what_was_kept_for_reuse_goes_when_it_is_not_used)
{
	struct frame_range ranges[40];
	size_t held;

	for (int i = 0; i < 40; i++) {
		struct frame frame = write_frame(SEGMENT / 4, 'a', 0);

		frame_range_init(&ranges[i], &frame);
	}
	for (int i = 0; i < 40; i++)
		frame_range_release(&ranges[i]);
	held = frame_log_held_bytes(log_);
	ck_assert_uint_gt(frame_log_spare_bytes(log_), 4 * SEGMENT);
	frame_log_shrink(log_);
	ck_assert_uint_eq(frame_log_held_bytes(log_), held);
	frame_log_shrink(log_);
	ck_assert_uint_eq(frame_log_spare_bytes(log_), 0);
	ck_assert_uint_eq(frame_log_held_bytes(log_), 0);
	(void)write_frame(10, 'b', 0);
	frame_log_shrink(log_);
	ck_assert_uint_gt(frame_log_held_bytes(log_), 0);
}
END_TEST

START_TEST(shrinking_keeps_live_bytes_and_segments_in_use)
{
	struct frame frame = write_frame(SEGMENT / 4, 'a', 0);

	frame_range_init(&range, &frame);
	for (int i = 0; i < 3; i++)
		frame_log_shrink(log_);
	ck_assert_uint_gt(frame_log_held_bytes(log_), SEGMENT);
	ck_assert_int_eq(frame_range_ptr(&range)[SEGMENT / 4 - 1], 'a');
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/frame_log", setup, teardown,
	    (const TTest *[]){frames_written_one_after_another_are_one_range,
		a_range_does_not_take_what_is_not_its_neighbour,
		consuming_counts_the_frames_that_end,
		dropping_takes_whole_frames_and_gives_their_tags,
		splitting_keeps_the_started_frame_apart,
		a_large_frame_gets_a_segment_that_goes_with_it,
		a_pinned_range_stays_where_it_is_until_it_is_unpinned,
		a_segment_that_gets_thin_while_it_is_pinned_is_moved_afterwards,
		a_prepared_frame_has_its_payload_in_its_place,
		what_is_prepared_and_then_forgotten_goes, a_log_whose_readers_keep_up_does_not_grow,
		stragglers_hold_at_most_four_times_their_live_bytes,
		five_hundred_stuck_on_the_same_bytes_share_one_copy,
		a_started_frame_stays_started_when_it_is_moved,
		what_was_kept_for_reuse_goes_when_it_is_not_used,
		shrinking_keeps_live_bytes_and_segments_in_use,
		a_hundred_thousand_random_steps_agree_with_a_plain_model, NULL});
}
