#ifndef LINK_INTEREST_H
#define LINK_INTEREST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "link/interest_state.h"
#include "pubsub/wire_form.h"

/*
 * Interest: the channels and patterns to which a node is subscribed at its upstream server, and
 * those to which it is to be.
 *
 * A name is wanted from its first local subscriber on, and for a while after its last one, because
 * subscribers often come back. Names are asked for in the order in which they became wanted, and
 * the upstream answers in that order, so that an answer belongs to the first name that waits for
 * one. Each name has one state; one table (interest_next) says what an event does to it.
 *
 * It writes commands and is told of answers; it does not know connections. Times are monotonic
 * microseconds, given as arguments.
 */
struct interest;

struct interest *interest_new(void); /* returns owned (interest_free) */
void interest_free(struct interest *interest);

/* How long a name without subscribers stays subscribed. Applies from the next such name on, which
 * does not leave before those that linger already. */
void interest_set_linger(struct interest *interest, uint64_t linger_us);

/* As many names may linger; beyond that those that have lingered longest go first. Names that
 * somebody is about to subscribe to do not count, and stay. */
#define INTEREST_LINGERING_MAX 65536

/* A name's first local subscriber has come; its last one has left. */
void interest_add(struct interest *interest, enum hub_kind kind, struct slice name);
void interest_remove(
    struct interest *interest, enum hub_kind kind, struct slice name, uint64_t now_us);

/*
 * Somebody is about to subscribe to the name: asks for it, unless that has happened. It stays
 * wanted for the time that names linger. INTEREST_HELD and INTEREST_LINGERS: the upstream sends its
 * messages; INTEREST_REFUSED: it will not; otherwise see interest_mark().
 */
enum interest_state interest_need(
    struct interest *interest, enum hub_kind kind, struct slice name, uint64_t now_us);

/* The present state of a name. */
enum interest_state interest_of(
    const struct interest *interest, enum hub_kind kind, struct slice name);

/*
 * When interest_answered() has reached this mark, all names that wait now have been answered, those
 * that are wanted again while they are being left included. If some leave meanwhile, that may be
 * said too early, but not too late: look again.
 */
uint64_t interest_mark(const struct interest *interest);
uint64_t interest_answered(const struct interest *interest);

/* A command that was written. */
struct interest_command {
	size_t names;    /* 0: there is nothing to write now */
	size_t resumed;  /* names of the RESUME or PRESUME in front of it; 0: there is none */
	unsigned leaves; /* 1: it unsubscribes; 0: it subscribes */
};

/*
 * Appends the next command, with names of one kind: at most INTEREST_BATCH of them, and no more
 * when they have INTEREST_BATCH_BYTES. since: a position of the upstream, from which names go on
 * whose messages may have been missed; empty: they do not.
 */
#define INTEREST_BATCH 512
#define INTEREST_BATCH_BYTES 65536
struct interest_command interest_write(
    struct interest *interest, uint64_t now_us, struct slice since, struct buffer *out);

/* At most so many names, 1 to INTEREST_BATCH. */
void interest_set_batch(struct interest *interest, size_t names);

/* Is called for each name of a command that subscribes, when it is written. */
void interest_set_visitor(struct interest *interest,
    void (*visit)(void *arg, enum hub_kind kind, struct slice name), void *arg);

/* A name that is held or lingers is asked for again; otherwise nothing happens. */
void interest_again(
    struct interest *interest, enum hub_kind kind, struct slice name, uint64_t now_us);

/* The reply to the RESUME or PRESUME of the next command: for each of its names, whether it misses
 * nothing. */
void interest_resumed(struct interest *interest, const bool *misses_nothing, size_t count);

/* When interest_write() has something to do because of the time; UINT64_MAX: never. */
uint64_t interest_due_us(const struct interest *interest);

/* What is known of the messages of a name that was joined. */
enum interest_join {
	INTEREST_JOINED,  /* nobody was subscribed to it before */
	INTEREST_RESUMED, /* those that were missed come now */
	INTEREST_MISSED,  /* some may have been missed: it had subscribers already, or was held on
			     an earlier connection; or another name was, and is not wanted any
			     more: this is said once, with the next name */
};

/*
 * The answers, in the order of the commands. A confirmation names what it confirms: false if that
 * was not next. A refusal is that of the next `count` names: if they are more than one, each is
 * asked for again alone. interest_retry(): all are asked for again.
 */
bool interest_confirm(struct interest *interest, enum hub_kind kind, struct slice name,
    uint64_t now_us, enum interest_join *how) __attribute__((warn_unused_result));
bool interest_left(struct interest *interest, enum hub_kind kind, struct slice name,
    uint64_t now_us) __attribute__((warn_unused_result));
void interest_retry(struct interest *interest, size_t count, uint64_t now_us);
void interest_refuse(struct interest *interest, size_t count, uint64_t now_us);

/* The SUBSCRIBE of the next `count` names was answered with a redirection. Those that have no
 * subscribers here are not wanted any more. */
void interest_redirect(struct interest *interest, size_t count, uint64_t now_us);

/* The upstream has unsubscribed from the name by itself: it will redirect it. A name that has no
 * subscribers here is not wanted any more, the others are asked for again later. */
void interest_gone(
    struct interest *interest, enum hub_kind kind, struct slice name, uint64_t now_us);

/* Another upstream serves the name from now on: nobody wants it here, and what is missed of it is
 * told there. */
void interest_hand_over(
    struct interest *interest, enum hub_kind kind, struct slice name, uint64_t now_us);

/* The name whose SUBSCRIBE, or UNSUBSCRIBE, is answered next; false: there is none. Borrows. */
bool interest_first_asked(const struct interest *interest, struct slice *name)
    __attribute__((warn_unused_result));
bool interest_first_leaving(const struct interest *interest, enum hub_kind *kind,
    struct slice *name) __attribute__((warn_unused_result));

/*
 * For a message that came by another name, and is not known to follow the message before it: true
 * if messages of this name were missed, because it was joined or has members and is not confirmed
 * yet. It is said once in each connection, and again when the name is confirmed.
 */
bool interest_misses(struct interest *interest, enum hub_kind kind, struct slice name);

/*
 * A kept message has come by this name while names resume. INTEREST_FOLLOWS: it is known that the
 * message of the channel before it has come, too. INTEREST_JUMPS: it is the first one of a name
 * that did not resume, and may be newer than messages that other names are still to get, and then
 * do not get because they look like copies (catch_up.h): names of the channel that are not
 * confirmed, and those for which interest_has_resumed() is true, may miss these.
 */
enum interest_course {
	INTEREST_GOES_ON, /* nothing is known */
	INTEREST_FOLLOWS,
	INTEREST_JUMPS,
};
enum interest_course interest_hear(
    struct interest *interest, enum hub_kind kind, struct slice name);
bool interest_has_resumed(const struct interest *interest, enum hub_kind kind, struct slice name);

/* Some names are not confirmed: interest_misses() may be true. */
bool interest_is_joining(const struct interest *interest);

/* The connection is lost: nothing is subscribed, and everything that is wanted is asked for again.
 * Takes the same time however many names there are. */
void interest_lost(struct interest *interest);

struct interest_figures {
	size_t names;
	size_t count[INTEREST_STATES];
};
struct interest_figures interest_figures(const struct interest *interest);

#endif
