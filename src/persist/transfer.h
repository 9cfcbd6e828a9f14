#ifndef PERSIST_TRANSFER_H
#define PERSIST_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * Transfer: in an upgrade the keyspace and the files on disk pass from this process to its
 * successor, while this one serves.
 *
 * A child process sends the state at its fork; this process collects the changes since then, as a
 * second stream (key_stream.h), besides writing them to the append-only file. When the caller has
 * stopped all changes, the rest is sent and the append-only file is synced: then both end with the
 * same change. The lock on the folder passes as an open file, so that it is never released between
 * the two. The successor neither loads nor scans the file: it continues at its end.
 *
 * The order of the calls is the caller's, see app/upgrade_states.h. persist_transfer_cancel() is
 * possible at any time: this process then continues as if nothing had happened. Nothing here knows
 * the connection between the processes.
 */
struct persist;

/* Names are at most this long (settings.def). */
#define TRANSFER_NAME_MAX 255

/* What passes besides the keys. */
struct transfer_files {
	int lock_fd; /* -1: the process keeps no data in its folder */
	bool log_is_on;
	char log_name[TRANSFER_NAME_MAX + 1], snapshot_name[TRANSFER_NAME_MAX + 1];
	/* When it is sealed: */
	uint64_t log_size, base_size; /* of the append-only file, now and after its last rewrite */
	uint64_t changes;             /* since the last snapshot */
	int64_t save_time;            /* Unix time of the last snapshot */
};

/* From now on no dump begins; commands that want one schedule it for the time after
 * persist_transfer_cancel(). */
void persist_transfer_reserve(struct persist *p);

/* True if the copy may begin: no dump is under way, and the append-only file is not just being
 * switched on. */
bool persist_transfer_may_copy(struct persist *p);

struct transfer_copy {
	/* Called in the child: sends the next part. False with errno. */
	bool (*send)(void *arg, struct slice part);
	int fd; /* that send() uses: it stays open in the child */
	/* Called in this process: the child has sent everything (0), or failed with this errno. */
	void (*done)(void *arg, int error);
	void *arg;
};

/* Forks. Call it at the end of a turn. From now on changes are collected. False: error says why. */
bool persist_transfer_copy(struct persist *p, const struct transfer_copy *copy,
    struct buffer *error) __attribute__((warn_unused_result));

/*
 * The changes that were collected and not sent yet; borrows until the next call. If there are more
 * than aof-unsynced-max-bytes of them, commands that change keys wait.
 */
struct slice persist_transfer_queue(const struct persist *p);
void persist_transfer_sent(struct persist *p, size_t len);       /* the first len bytes of them */
uint64_t persist_transfer_queued_total(const struct persist *p); /* all bytes of the stream */

/* The append-only file is synced under every policy from now on. */
void persist_transfer_sync(struct persist *p);

/* True if all changes so far are synced. */
bool persist_transfer_is_synced(const struct persist *p);

/* No change may follow: one is a fault. */
void persist_transfer_seal(struct persist *p);

/* NULL, or why the transfer must be cancelled; takes the changes of this turn into account. */
const char *persist_transfer_fault(struct persist *p);

/* Borrows lock_fd. */
void persist_transfer_files(const struct persist *p, struct transfer_files *files);

/* Ends the transfer; the child is killed. Allowed at any time, also without a transfer. */
void persist_transfer_cancel(struct persist *p);

/* Another process has taken over: the files are closed without another write, and from now on every
 * change is refused. Also ends the transfer. */
void persist_hand_over(struct persist *p);

/*
 * The successor's side. fits: false if its settings do not allow it to continue these files (only
 * the names, log_is_on, and whether there is a lock are looked at); error says why.
 */
bool persist_transfer_fits(const struct persist *p, const struct transfer_files *files,
    struct buffer *error) __attribute__((warn_unused_result));

/*
 * In the place of persist_start(), when the keys have arrived: opens the files, and writes nothing.
 * Takes lock_fd in any case. False: error says why.
 */
bool persist_inherit(struct persist *p, const struct transfer_files *files, struct buffer *error)
    __attribute__((warn_unused_result));

/* The predecessor has stopped serving: the lock file names this process from now on. */
void persist_name_owner(const struct persist *p);

#endif
