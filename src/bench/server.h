#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The cost of the server under test from /proc/PID: the CPU time of all its threads and its
 * resident memory. It must run on this machine.
 */
struct bench_server_cost {
	uint64_t cpu_ns;
	uint64_t resident_bytes;
};

/*
 * CPU time has a resolution of nanoseconds if the kernel counts them for each thread (schedstat),
 * without threads that have exited; otherwise of clock ticks. False if there is no such process.
 */
bool bench_server_read(uint64_t pid, struct bench_server_cost *cost)
    __attribute__((warn_unused_result));

/* The CPU time of this process. */
uint64_t bench_own_cpu_ns(void);

#endif
