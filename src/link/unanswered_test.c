#include "config.h"

#include "link/unanswered.h"

#include <check.h>

#include "base/testing.h"

static struct unanswered *u;
static struct unanswered_queue queues[2];

static void
setup(void)
{
	u = unanswered_new();
	unanswered_queue_init(&queues[0]);
	unanswered_queue_init(&queues[1]);
}

static void
teardown(void)
{
	struct unanswered_message *message;

	for (int i = 0; i < 2; i++)
		while ((message = unanswered_take(u, &queues[i])) != NULL)
			unanswered_message_free(message);
	unanswered_free(u);
}

static struct unanswered_message *
message_of(uint64_t number, uint16_t slot)
{
	struct unanswered_message *message =
	    unanswered_message_new(slot, SLICE("channel"), SLICE("payload"));

	message->number = number;
	return message;
}

static void
send_new(uint64_t number, uint16_t slot, uint16_t shard)
{
	ck_assert(unanswered_may_send(u, slot, shard));
	unanswered_send(u, &queues[shard], shard, message_of(number, slot));
}

/* The shard sends back its first message, which has this number. */
static void
send_back(uint16_t shard, uint64_t number)
{
	struct unanswered_message *message = unanswered_take(u, &queues[shard]);

	ck_assert_ptr_nonnull(message);
	ck_assert_uint_eq(message->number, number);
	unanswered_return(u, message);
}

START_TEST(a_message_keeps_its_bytes)
{
	struct unanswered_message *message =
	    unanswered_message_new(7, SLICE("a\0b"), (struct slice){NULL, 0});

	ck_assert(slice_eq(unanswered_channel(message), SLICE("a\0b")));
	ck_assert_uint_eq(unanswered_payload(message).len, 0);
	unanswered_message_free(message);
	send_new(1, 0, 0);
	ck_assert_uint_gt(queues[0].bytes, 14);
	message = unanswered_take(u, &queues[0]);
	ck_assert(slice_is(unanswered_payload(message), "payload"));
	ck_assert_uint_eq(message->tries, 1);
	ck_assert_uint_eq(queues[0].bytes, 0);
	unanswered_message_free(message);
	ck_assert_ptr_null(unanswered_take(u, &queues[0]));
}
END_TEST

START_TEST(messages_of_a_slot_wait_for_one_shard_at_a_time)
{
	send_new(1, 5, 0);
	send_new(2, 5, 0);
	ck_assert(!unanswered_may_send(u, 5, 1));
	ck_assert(unanswered_may_send(u, 6, 1));
	unanswered_message_free(unanswered_take(u, &queues[0]));
	ck_assert(!unanswered_may_send(u, 5, 1));
	unanswered_message_free(unanswered_take(u, &queues[0]));
	send_new(3, 5, 1);
	ck_assert(!unanswered_may_send(u, 5, 0));
}
END_TEST

START_TEST(new_messages_of_a_slot_wait_for_those_that_were_sent_back)
{
	struct unanswered_message *message;

	send_new(1, 5, 0);
	send_new(2, 5, 0);
	send_back(0, 1);
	ck_assert(!unanswered_may_send(u, 5, 0));
	ck_assert(!unanswered_may_resend(u, TAILQ_FIRST(&u->returned.messages), 1));
	send_back(0, 2);
	for (uint64_t number = 1; number <= 2; number++) {
		ck_assert(!unanswered_may_send(u, 5, 1));
		message = TAILQ_FIRST(&u->returned.messages);
		ck_assert(unanswered_may_resend(u, message, 1));
		ck_assert_uint_eq(message->number, number);
		unanswered_take_returned(u, message);
		unanswered_send(u, &queues[1], 1, message);
		ck_assert_uint_eq(message->tries, 2);
	}
	ck_assert(unanswered_may_send(u, 5, 1));
	ck_assert_uint_eq(u->returned.bytes, 0);
}
END_TEST

/* The slot has left the shard and come back, while it was reading these messages. */
START_TEST(a_message_that_was_sent_back_does_not_follow_a_later_one)
{
	struct unanswered_message *message, *later;

	for (uint64_t number = 1; number <= 3; number++)
		send_new(number, 5, 0);
	send_back(0, 1);
	message = TAILQ_FIRST(&u->returned.messages);
	ck_assert(!unanswered_may_resend(u, message, 0)); /* 2 and 3 are on their way */
	ck_assert(!unanswered_is_too_late(u, message));
	later = unanswered_take(u, &queues[0]);
	unanswered_note_accepted(u, later);
	unanswered_message_free(later);
	ck_assert(unanswered_is_too_late(u, message));
	send_back(0, 3);
	ck_assert(!unanswered_is_too_late(u, TAILQ_NEXT(message, link)));
	ck_assert(unanswered_may_resend(u, TAILQ_NEXT(message, link), 0));
}
END_TEST

START_TEST(returned_messages_are_in_the_order_of_their_numbers)
{
	uint64_t expected = 1;

	send_new(1, 5, 0);
	send_new(2, 9, 1);
	unanswered_return(u, message_of(3, 5)); /* it was never sent */
	send_back(1, 2);
	send_back(0, 1);
	for (struct unanswered_message *m = TAILQ_FIRST(&u->returned.messages); m != NULL;
	     m = TAILQ_NEXT(m, link))
		ck_assert_uint_eq(m->number, expected++);
	ck_assert_uint_eq(expected, 4);
}
END_TEST

int
main(void)
{
	return testing_main("link/unanswered", setup, teardown,
	    (const TTest *[]){a_message_keeps_its_bytes,
		messages_of_a_slot_wait_for_one_shard_at_a_time,
		new_messages_of_a_slot_wait_for_those_that_were_sent_back,
		a_message_that_was_sent_back_does_not_follow_a_later_one,
		returned_messages_are_in_the_order_of_their_numbers, NULL});
}
