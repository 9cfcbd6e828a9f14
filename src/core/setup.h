#ifndef CORE_SETUP_H
#define CORE_SETUP_H

/* Setup of the process: see fanfare_setup(). From this call on it is too late. */
void setup_is_used(void);

#endif
