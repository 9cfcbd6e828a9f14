#ifndef FANFARE_FORM_H
#define FANFARE_FORM_H

#include <fanfare/hub.h>

/*
 * Form: how messages are encoded for the subscribers that have it.
 *
 * A message is encoded once for each form and for each channel or pattern through which it is
 * received, and its bytes are shared by all their subscribers. A frame is a head, a body and a
 * tail. The body is the payload, as it is or transformed; it depends on the payload alone. Head and
 * tail depend on channel, pattern and position, too. These functions must not call the library, but
 * for texts.
 */
#ifdef __cplusplus
extern "C" {
#endif

/* The payload in a form. */
struct fanfare_body {
	size_t len;    /* at most 2^30 */
	uint64_t note; /* a result of measure() for the form's other functions */
};

/* The lengths of head and tail, in bytes; at most 2^20 each. */
struct fanfare_ends {
	size_t head;
	size_t tail;
};

#define FANFARE_TRANSFORMED_MAX 1048576 /* bytes of a payload that is transformed */
#define FANFARE_NOTICE_MAX 64

struct fanfare_form {
	size_t size;
	void *arg;

	/*
	 * Both NULL: the body is the payload. Otherwise measure() sets *body from the payload
	 * alone, and transform() writes body->len bytes. measure() returns false if the form cannot
	 * carry the payload: it is dropped for subscribers of this form, and counted. So is a
	 * payload of more than FANFARE_TRANSFORMED_MAX bytes.
	 */
	bool (*measure)(
	    void *arg, const struct fanfare_message *message, struct fanfare_body *body);
	void (*transform)(void *arg, const struct fanfare_message *message,
	    const struct fanfare_body *body, char *out);

	/* The lengths of head and tail. Required. A frame has at least one byte. */
	struct fanfare_ends (*ends)(
	    void *arg, const struct fanfare_message *message, const struct fanfare_body *body);

	/* Writes the head at head, and the tail at tail: as many bytes as ends() said. Required. */
	void (*write)(void *arg, const struct fanfare_message *message,
	    const struct fanfare_body *body, char *head, char *tail);

	/* Writes that `missed` messages are missing here, at most FANFARE_NOTICE_MAX bytes, and
	 * returns the length; 0: no notice. NULL: never one. */
	size_t (*notice)(void *arg, uint64_t missed, char *out);
};

#define FANFARE_FORMS_MAX 15 /* of a hub */

/* Copies form. *number is for fanfare_subscriber_options.form; a form stays as long as its hub.
 * FANFARE_TOO_MANY. */
FANFARE_CHECKED enum fanfare_result fanfare_hub_add_form(
    struct fanfare_hub *hub, const struct fanfare_form *form, unsigned *number);

#ifdef __cplusplus
}
#endif

#endif
