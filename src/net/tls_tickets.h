#ifndef NET_TLS_TICKETS_H
#define NET_TLS_TICKETS_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Keys of session tickets (RFC 5077, RFC 8446 4.6.1): made here, never written to disk, and
 * replaced after each lifetime of a ticket; the previous key still decrypts. So a ticket can be
 * used for at most twice its lifetime. Any thread may use them.
 */
struct tls_tickets;

struct tls_tickets *tls_tickets_new(uint32_t lifetime_s); /* owned */
void tls_tickets_free(struct tls_tickets *tickets);       /* NULL is allowed */

/* Makes ctx encrypt its tickets with these keys, which must outlive it. False: no memory. */
bool tls_tickets_use(struct tls_tickets *tickets, SSL_CTX *ctx) __attribute__((warn_unused_result));

#endif
