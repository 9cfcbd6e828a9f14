#ifndef PERSIST_TESTING_LIFE_H
#define PERSIST_TESTING_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "persist/persist.h"
#include "persist/testing_disk.h"
#include "persist/testing_host.h"

/* For tests: a daemon of nothing but the persistence layer: its starts, its turns, its ends. */
struct testing_life {
	char folder[64];
	struct testing_disk *disk;
	struct testing_host server;
	struct persist_config config;
	struct persist *p;
	struct buffer error;
	bool fds_before[1024];
};

/* A folder of its own becomes the working folder. */
void testing_life_enter(struct testing_life *l);
void testing_life_leave(struct testing_life *l);

/* An empty folder on a new disk; release asserts that no file is left open. */
void testing_life_init(struct testing_life *l);
void testing_life_release(struct testing_life *l);

/* False: error says why not. */
bool testing_life_try_start(struct testing_life *l, bool appendonly)
    __attribute__((warn_unused_result));
/* Tries again, as a person would. False: the disk is dead. */
bool testing_life_start(struct testing_life *l, bool appendonly)
    __attribute__((warn_unused_result));
/* Nothing more is written, the files are closed. */
void testing_life_kill(struct testing_life *l);

/* One of the loop, 200 ms later. Asserts that writers are told what is wrong. */
void testing_life_turn(struct testing_life *l);
void testing_life_change_in_turns(struct testing_life *l, int turns);

/* The child, if there is one, has written; end: and what it did is looked at. */
void testing_life_await_child(struct testing_life *l);
void testing_life_end_child(struct testing_life *l);
/* Until no dump is under way; on a dead disk that may never be. */
void testing_life_end_dumps(struct testing_life *l);

void testing_life_set_policy(struct testing_life *l, enum aof_sync policy);
/* CONFIG SET appendonly yes, until it succeeds, or ten times. */
void testing_life_switch_on(struct testing_life *l);

/* Asserts that the next start finds what was promised. How much it finds. */
uint64_t testing_life_load(struct testing_life *l);
/* ... whatever is lost, and at least so much. */
void testing_life_load_each(struct testing_life *l, uint64_t least);

#endif
