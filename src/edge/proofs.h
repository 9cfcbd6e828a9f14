#ifndef EDGE_PROOFS_H
#define EDGE_PROOFS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "base/bytes.h"

/*
 * Proofs: I/O threads verify the signatures of tokens for clients, whose requests wait meanwhile
 * (WAIT_TOKEN) and are then executed again. A client has at most one proof, for one token. A wrong
 * signature counts even if its client has gone meanwhile.
 *
 * Only tokens of addresses from which no wrong ones came are given away: all others are verified by
 * the main loop, one after the other, under its limits. A few proofs are made at a time, so that
 * few tokens of an address are verified before the first one turns out to be wrong; the others
 * wait.
 */
struct edge_io;
struct edge_proof;
struct request;
struct token_proof;
struct tokens;

TAILQ_HEAD(edge_proof_queue, edge_proof);

struct edge_proofs {
	const struct edge_io *io;
	struct edge_proof_queue waiting; /* the longest waiting first */
	size_t in_flight;
};

void edge_proofs_init(struct edge_proofs *proofs, const struct edge_io *io); /* borrows io */

/*
 * Lets an I/O thread verify the signature of a token that is not known and may be verified now.
 * True: the request waits (rq->waits_for) and then asks again. *own, in which its client keeps the
 * proof, is replaced. False: *own is NULL, and the main loop has to verify the token.
 */
bool edge_proof_begin(struct edge_proofs *proofs, struct edge_proof **own,
    const struct tokens *tokens, struct request *rq, struct slice token)
    __attribute__((warn_unused_result));

/* What was proved, if tokens accept it for this token; or NULL. own may be NULL. Borrowed. A wrong
 * signature was already reported to access_wrong_token(). */
const struct token_proof *edge_proof_of(
    const struct edge_proof *own, const struct tokens *tokens, struct slice token);

void edge_proof_drop(struct edge_proof **own); /* which may be NULL, and is NULL then */

/* Called once a turn, after the requests whose proofs were made: gives the next ones away. If a
 * wrong token has come from the address of one, the main loop has to verify it instead. */
void edge_proofs_turn(struct edge_proofs *proofs);

#endif
