#ifndef LINK_TESTING_CLAIMS_H
#define LINK_TESTING_CLAIMS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/* The claims of an engine in memory: what the script ENGINE_CLAIM does at a server, with limits.
 * It has no pointers, so a copy is a snapshot. All zero at first. */
#define TESTING_CLAIM_GROUPS 16
#define TESTING_CLAIMS 256 /* of a group */
#define TESTING_CLAIMERS 64
#define TESTING_CLAIM_TEXT 64 /* bytes of a key or a name, with a NUL */

struct testing_claim_group {
	char key[TESTING_CLAIM_TEXT]; /* "EPOCH:KIND:LEN:GROUP:NAME"; "": it is free */
	size_t count;
	struct {
		uint64_t seq;
		char node[TESTING_CLAIM_TEXT];
	} claims[TESTING_CLAIMS]; /* in the order of seqs */
};

struct testing_claimer {
	char key[TESTING_CLAIM_TEXT], node[TESTING_CLAIM_TEXT];
	uint64_t members, seen_s; /* members 0: it is free */
};

struct testing_claims {
	struct testing_claim_group groups[TESTING_CLAIM_GROUPS];
	struct testing_claimer claimers[TESTING_CLAIM_GROUPS * TESTING_CLAIMERS];
};

/* Executes the script with these keys and arguments, and appends the reply. */
void testing_claims_execute(struct testing_claims *claims, const struct slice *keys,
    const struct slice *argv, size_t count, uint64_t now_s, struct buffer *reply);

#endif
