#include "config.h"

#include "token/pem.h"

#include <assert.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "token/key.h"

static EVP_PKEY *
certificate_key(const unsigned char *der, long len)
{
	X509 *certificate = d2i_X509(NULL, &der, len);
	EVP_PKEY *pkey = certificate != NULL ? X509_get_pubkey(certificate) : NULL;

	X509_free(certificate);
	return pkey;
}

static struct token_key *
key_of_block(const char *name, const unsigned char *der, long len, const char **why)
{
	EVP_PKEY *pkey;

	if (strstr(name, "PRIVATE KEY") != NULL) {
		*why = "private key; only the public key is needed";
		return NULL;
	}
	if (strcmp(name, PEM_STRING_PUBLIC) == 0) {
		const unsigned char *at = der;

		pkey = d2i_PUBKEY(NULL, &at, len);
	} else if (strcmp(name, PEM_STRING_X509) == 0) {
		pkey = certificate_key(der, len);
	} else {
		*why = "block that is neither PUBLIC KEY nor CERTIFICATE";
		return NULL;
	}
	if (pkey == NULL) {
		*why = "damaged or unknown public key";
		return NULL;
	}
	return token_key_from_pkey(pkey, why);
}

struct token_key *
token_pem_next(struct slice *text, const char **why)
{
	struct token_key *key = NULL;
	BIO *bio;
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	long len;

	assert(text->len <= INT_MAX);
	bio = BIO_new_mem_buf(text->ptr, (int)text->len);
	assert(bio != NULL);
	if (PEM_read_bio(bio, &name, &header, &der, &len) == 1)
		key = key_of_block(name, der, len, why);
	else if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
		*why = NULL;
	else
		*why = "damaged block";
	text->ptr += text->len - BIO_ctrl_pending(bio);
	text->len = BIO_ctrl_pending(bio);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(der);
	BIO_free(bio);
	ERR_clear_error();
	return key;
}
