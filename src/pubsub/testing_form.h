#ifndef PUBSUB_TESTING_FORM_H
#define PUBSUB_TESTING_FORM_H

#include "pubsub/wire_form.h"

/* For tests: a form in which a message is its payload and a full stop, without notices. */
extern const struct wire_form testing_form;

/* A message is "seq name payload;", where name is that of the subscription; a notice "<missing;".
 */
extern const struct wire_form testing_name_form;

#endif
