#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Mailbox: passes items from several threads to one thread, in the order in which each thread sent
 * them.
 *
 * Any thread may put an item; one thread takes all items at once. No lock, no allocation: a struct
 * mail is embedded in each item. It wakes no thread: a sender that finds the mailbox empty wakes
 * the receiver.
 */
struct mail {
	struct mail *next;
};

/* A zeroed struct is an empty mailbox. */
struct mailbox {
	_Atomic(struct mail *) newest;
};

/* Takes the mail. True if the mailbox was empty: the receiver may be asleep. */
static inline bool
mailbox_put(struct mailbox *box, struct mail *mail)
{
	struct mail *newest = atomic_load_explicit(&box->newest, memory_order_relaxed);

	do
		mail->next = newest; /* the receiver owns it once it is in the mailbox */
	while (!atomic_compare_exchange_weak_explicit(
	    &box->newest, &newest, mail, memory_order_release, memory_order_relaxed));
	return newest == NULL;
}

/* All items, the oldest first; NULL if there are none. Returns owned. */
static inline struct mail *
mailbox_take(struct mailbox *box)
{
	struct mail *mail = NULL, *oldest = NULL;

	/* While nothing is sent, the mailbox is not written to, so that the check costs one read.
	 */
	if (atomic_load_explicit(&box->newest, memory_order_relaxed) != NULL)
		mail = atomic_exchange_explicit(&box->newest, NULL, memory_order_acquire);
	while (mail != NULL) {
		struct mail *older = mail->next;

		mail->next = oldest;
		oldest = mail;
		mail = older;
	}
	return oldest;
}

#endif
