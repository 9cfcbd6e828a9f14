#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Mailbox: what threads hand to one thread, in the order in which each of them handed it.
 *
 * Any thread may put, one thread takes, all there is at once. No lock, no allocation: a mail is
 * embedded in what is sent. It wakes nobody; who finds it empty when putting has to.
 */
struct mail {
	struct mail *next;
};

/* A zeroed struct is an empty mailbox. */
struct mailbox {
	_Atomic(struct mail *) newest;
};

/* Takes the mail. True if the box was empty: its owner may be asleep. */
static inline bool
mailbox_put(struct mailbox *box, struct mail *mail)
{
	struct mail *newest = atomic_load_explicit(&box->newest, memory_order_relaxed);

	do
		mail->next = newest; /* not to be touched once it is in the box */
	while (!atomic_compare_exchange_weak_explicit(
	    &box->newest, &newest, mail, memory_order_release, memory_order_relaxed));
	return newest == NULL;
}

/* All there is, the oldest first; NULL if nothing. Returns owned. */
static inline struct mail *
mailbox_take(struct mailbox *box)
{
	struct mail *mail = NULL, *oldest = NULL;

	/* Nobody writes to the box while nothing is sent: what it costs to look is a read. */
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
