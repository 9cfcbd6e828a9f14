#ifndef PERSIST_DUMP_FILE_H
#define PERSIST_DUMP_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The keyspace as it is, written to a file in the form of persist/aof.h, in this process or in a
 * child that has it as it was at the fork. The file is synced, and nobody's until its caller
 * renames it.
 */
struct disk;
struct persist_keyspace;

/* Replaces path. False with errno; then there is no such file. */
bool dump_file_write(const struct disk *disk, const struct persist_keyspace *keyspace,
    const char *path) __attribute__((warn_unused_result));

struct dump_child {
	pid_t pid;        /* 0: there is none */
	int result_fd;    /* readable when it is done, or has ended; -1: it was read */
	uint64_t fork_us; /* how long the fork took */
};

/* False with errno. To be called between turns: the child has the state of now. */
bool dump_child_start(struct dump_child *child, const struct disk *disk,
    const struct persist_keyspace *keyspace, const char *path) __attribute__((warn_unused_result));

/*
 * result_fd is readable: 0, or the errno of what went wrong. EINTR: a signal that asks a process to
 * end (SIGTERM and its like) ended the child; ECHILD: it ended otherwise, without a result.
 */
int dump_child_result(struct dump_child *child);

/* Its result is not wanted any more; it is still to be asked for. */
void dump_child_kill(const struct dump_child *child);

/* Ends a child, if there is one, and waits for that, limit_us at most: one that the system does not
 * let end is left. True: there was one without a result. */
bool dump_child_end(struct dump_child *child, uint64_t limit_us);

/* True if there is no child any more: another may be started. */
bool dump_child_reap(struct dump_child *child);

#endif
