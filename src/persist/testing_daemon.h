#ifndef PERSIST_TESTING_DAEMON_H
#define PERSIST_TESTING_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "persist/persist.h"
#include "persist/testing_disk.h"
#include "persist/testing_host.h"

/* For tests: a daemon that consists of the persistence layer only, which a test starts, runs for
 * some turns, and ends. */
struct testing_daemon {
	char folder[64];
	struct testing_disk *disk;
	struct testing_host server;
	struct persist_config config;
	struct persist *p;
	struct buffer error;
	bool fds_before[1024];
};

/* Makes a new folder and makes it the working folder. */
void testing_daemon_enter(struct testing_daemon *l);
void testing_daemon_leave(struct testing_daemon *l);

/* An empty folder on a new disk; release asserts that no file is left open. */
void testing_daemon_init(struct testing_daemon *l);
void testing_daemon_release(struct testing_daemon *l);

/* False: error says why. */
bool testing_daemon_try_start(struct testing_daemon *l, bool appendonly)
    __attribute__((warn_unused_result));
/* The same with persist_import(); fill gets the daemon. */
bool testing_daemon_try_import(struct testing_daemon *l, bool appendonly,
    bool (*fill)(void *arg, struct buffer *error)) __attribute__((warn_unused_result));
/* Retries, as an admin would. False: the disk is dead. */
bool testing_daemon_start(struct testing_daemon *l, bool appendonly)
    __attribute__((warn_unused_result));
/* Ends without writing; closes the files. */
void testing_daemon_kill(struct testing_daemon *l);

/* A turn of the loop, 200 ms later. Asserts that the reason for refusing writes is right. */
void testing_daemon_turn(struct testing_daemon *l);
void testing_daemon_change_in_turns(struct testing_daemon *l, int turns);

/* Waits until the child, if there is one, has written its file; testing_daemon_end_child also
 * processes its result. */
void testing_daemon_await_child(struct testing_daemon *l);
void testing_daemon_end_child(struct testing_daemon *l);
/* Runs turns until no dump is under way, or for a while if the disk is dead. */
void testing_daemon_end_dumps(struct testing_daemon *l);

void testing_daemon_set_policy(struct testing_daemon *l, enum aof_sync policy);
/* CONFIG SET appendonly yes, until it succeeds, or ten times. */
void testing_daemon_switch_on(struct testing_daemon *l);

/* Asserts that the next start loads every acknowledged change. Returns the count. */
uint64_t testing_daemon_load(struct testing_daemon *l);
/* The same for each kind of loss, with a count of at least `least`. */
void testing_daemon_load_each(struct testing_daemon *l, uint64_t least);

#endif
