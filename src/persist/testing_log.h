#ifndef PERSIST_TESTING_LOG_H
#define PERSIST_TESTING_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "persist/log_file.h"
#include "persist/testing_disk.h"

/*
 * For tests: an append-only file on a disk that can be made to fail. Batch n is the command ADD n;
 * a rewritten file begins with BASE n, which represents all batches up to n: so a missing or
 * duplicated batch is found in the file.
 */
struct testing_log {
	char folder[64];
	struct testing_disk *disk;
	struct log_file file;
	uint64_t number; /* of the last batch */
};

/* The clock of the tests. */
uint64_t testing_now_us(void);
void testing_pass_us(uint64_t us);

/* init and release, in a new folder, which becomes the working folder. */
void testing_log_enter(struct testing_log *t);
void testing_log_leave(struct testing_log *t);

/* A new disk without faults, no file open, policy always. release empties the folder. */
void testing_log_init(struct testing_log *t);
void testing_log_release(struct testing_log *t);

int testing_log_create(struct testing_log *t, const char *name);
/* Creates a rewritten file that is synced and stands for all batches up to base. */
int testing_log_create_rewritten(struct testing_log *t, const char *name, uint64_t base);
void testing_log_open(struct testing_log *t, const char *name, uint64_t generation);
void testing_log_append(struct testing_log *t);

/* Calls log_file_work() while `count` calls of these kinds fail. */
void testing_log_work_failing(struct testing_log *t, uint32_t kinds, uint32_t count);

/* The number of the last batch in the file after this loss. Asserts that all earlier ones are
 * there, each once. */
uint64_t testing_log_last_after(
    struct testing_log *t, enum testing_loss loss, const char *name, bool may_truncate);

/* Asserts the invariants that hold in every state. */
void testing_log_check(struct testing_log *t);

/*
 * S: stopped. W: writing. F: a write failed. Y: a sync failed. Followed by c: a copy runs; r: the
 * copy has the name, which is not synced. Borrows, until the next call.
 */
const char *testing_log_state(const struct testing_log *t);

#endif
