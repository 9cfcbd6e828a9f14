#include "config.h"

#include "net/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

struct ticket_key {
	unsigned char name[16];
	unsigned char cipher[32];
	unsigned char mac[32];
	uint64_t made_us; /* 0: there is none */
};

struct tls_tickets {
	pthread_mutex_t mutex; /* for the members below; held to copy or to make a key */
	struct ticket_key now, before;
	uint64_t lifetime_us;
};

struct tls_tickets *
tls_tickets_new(uint32_t lifetime_s)
{
	struct tls_tickets *tickets = xcalloc(1, sizeof(*tickets));

	pthread_mutex_init(&tickets->mutex, NULL);
	tickets->lifetime_us = (uint64_t)lifetime_s * 1000000;
	return tickets;
}

void
tls_tickets_free(struct tls_tickets *tickets)
{
	if (tickets == NULL)
		return;
	pthread_mutex_destroy(&tickets->mutex);
	OPENSSL_cleanse(tickets, sizeof(*tickets));
	xfree(tickets);
}

static bool
make_key(struct ticket_key *key, uint64_t now_us)
{
	if (RAND_bytes(key->name, sizeof(key->name)) != 1 ||
	    RAND_priv_bytes(key->cipher, sizeof(key->cipher)) != 1 ||
	    RAND_priv_bytes(key->mac, sizeof(key->mac)) != 1)
		return false;
	key->made_us = now_us;
	return true;
}

/* Replaces keys whose lifetime is over. False: no random bytes. */
static bool
rotate(struct tls_tickets *tickets, uint64_t now_us)
{
	struct ticket_key next;

	if (tickets->before.made_us != 0 &&
	    now_us - tickets->before.made_us >= 2 * tickets->lifetime_us)
		OPENSSL_cleanse(&tickets->before, sizeof(tickets->before));
	if (tickets->now.made_us != 0 && now_us - tickets->now.made_us < tickets->lifetime_us)
		return true;
	if (!make_key(&next, now_us))
		return false;
	if (now_us - tickets->now.made_us < 2 * tickets->lifetime_us)
		tickets->before = tickets->now;
	tickets->now = next;
	OPENSSL_cleanse(&next, sizeof(next));
	return true;
}

/* Copies the key for a new ticket (name NULL), or the key of this name. 2: it is the
 * previous key. */
static int
find_key(struct tls_tickets *tickets, const unsigned char *name, struct ticket_key *key)
{
	int found = 0;

	pthread_mutex_lock(&tickets->mutex);
	if (rotate(tickets, clock_mono_us())) {
		if (name == NULL || memcmp(name, tickets->now.name, sizeof(key->name)) == 0) {
			*key = tickets->now;
			found = 1;
		} else if (tickets->before.made_us != 0 &&
			   memcmp(name, tickets->before.name, sizeof(key->name)) == 0) {
			*key = tickets->before;
			found = 2;
		}
	}
	pthread_mutex_unlock(&tickets->mutex);
	return found;
}

static bool
set_mac(EVP_MAC_CTX *mac, struct ticket_key *key)
{
	static char digest[] = "SHA256";
	OSSL_PARAM params[3] = {
	    OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* See SSL_CTX_set_tlsext_ticket_key_evp_cb(3). */
static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int encrypt)
{
	struct tls_tickets *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct ticket_key key;
	int found = find_key(tickets, encrypt ? NULL : name, &key);

	if (found == 0)
		return encrypt ? -1 : 0;
	if (encrypt) {
		memcpy(name, key.name, sizeof(key.name));
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
			found = -1;
	}
	if (found > 0 &&
	    (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv, encrypt) != 1 ||
		!set_mac(mac, &key)))
		found = -1;
	OPENSSL_cleanse(&key, sizeof(key));
	return found;
}

bool
tls_tickets_use(struct tls_tickets *tickets, SSL_CTX *ctx)
{
	return SSL_CTX_set_app_data(ctx, tickets) == 1 &&
	       SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) == 1;
}
