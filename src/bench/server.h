#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What the server under test costs, as Linux says in /proc/PID: the CPU time of all its threads
 * and its resident memory. It must run on this machine.
 */
struct bench_server_cost {
	uint64_t cpu_ns;
	uint64_t resident_bytes;
};

/*
 * In nanoseconds where the kernel counts them by thread (schedstat), which leaves out threads that
 * have ended; else in clock ticks. False where there is no such process.
 */
bool bench_server_read(uint64_t pid, struct bench_server_cost *cost)
    __attribute__((warn_unused_result));

/* The CPU time that this process itself has used. */
uint64_t bench_own_cpu_ns(void);

#endif
