#ifndef ACL_LOGIN_DELAY_H
#define ACL_LOGIN_DELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Login delay: slows down password guessing, by address.
 *
 * The first wrong passwords of an address have no effect; each further one doubles the time that
 * the next attempt from there, right or wrong, waits before it is checked. An address is forgotten
 * some time after its last failure. The delay has a maximum, and so has the number of addresses:
 * those that failed longest ago are forgotten first. It reads no clock.
 */
struct login_delays;

#define LOGIN_FREE_FAILURES 3
#define LOGIN_FIRST_DELAY_US 50000
#define LOGIN_FORGET_US 60000000
#define LOGIN_ADDRESSES_MAX 4096

struct login_delays *login_delays_new(void); /* returns owned (login_delays_free) */
void login_delays_free(struct login_delays *delays);

/* The time in us until an attempt from address may be checked, at most max_us; 0: now. */
uint64_t login_delay(
    const struct login_delays *delays, struct slice address, uint64_t now_us, uint64_t max_us);

/* True if a wrong password came from address and was not forgotten. */
bool login_is_known(const struct login_delays *delays, struct slice address);

/* To be called for each wrong password from address. */
void login_failed(
    struct login_delays *delays, struct slice address, uint64_t now_us, uint64_t max_us);

/* To be called regularly: forgets some of the addresses whose last failure is long ago. */
void login_delays_expire(struct login_delays *delays, uint64_t now_us);

size_t login_delays_count(const struct login_delays *delays); /* number of known addresses */

#endif
