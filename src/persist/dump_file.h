#ifndef PERSIST_DUMP_FILE_H
#define PERSIST_DUMP_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Writes the keyspace to a file in the format of persist/aof.h, in this process, or in a child
 * process with the state at the fork. The file is synced; the caller renames it. A child process
 * can also do other work with that state.
 */
struct disk;
struct persist_keyspace;

/* Replaces path. False with errno; the file is then removed. */
bool dump_file_write(const struct disk *disk, const struct persist_keyspace *keyspace,
    const char *path) __attribute__((warn_unused_result));

struct dump_child {
	pid_t pid;     /* 0: no child */
	int result_fd; /* readable when the child has finished or died; -1: the result was read */
	uint64_t fork_us; /* how long the fork took */
};

/* What a child does, with its copy of the state at the fork. */
struct dump_work {
	int (*run)(void *arg); /* 0, or errno */
	void *arg;
	int fd; /* stays open in the child; -1: none */
};

/* False with errno. Called between turns, because the child gets the current state. */
bool dump_child_start(struct dump_child *child, const struct disk *disk,
    const struct dump_work *work) __attribute__((warn_unused_result));

/* The work of dump_file_write(). */
bool dump_child_start_file(struct dump_child *child, const struct disk *disk,
    const struct persist_keyspace *keyspace, const char *path) __attribute__((warn_unused_result));

/*
 * Called when result_fd is readable: 0, or the errno of the failure. EINTR: a signal that requests
 * termination (SIGTERM and the like) ended the child; ECHILD: it ended in another way, without a
 * result.
 */
int dump_child_result(struct dump_child *child);

/* Kills a child whose result is no longer needed. dump_child_result() must still be called. */
void dump_child_kill(const struct dump_child *child);

/* Kills the child, if there is one, and waits for its end, limit_us at most: a child that does not
 * end in time is left. True: there was a child without a result. */
bool dump_child_end(struct dump_child *child, uint64_t limit_us);

/* True if the child has ended, so that another may be started. */
bool dump_child_reap(struct dump_child *child);

#endif
