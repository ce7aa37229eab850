/* How much memory there is.
 *
 *     double there = memory_available();
 *     if (there > 0 && need > there) refuse();
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

/* Bytes that can be had without swapping: MemAvailable of /proc/meminfo, else the machine's memory; at most the limit
 * of the control group, and what is left of the process's own (ulimit -v). 0: unknown. */
double memory_available(void);
/* Bytes of the machine's memory; at most the limit of the control group. 0: unknown. */
double memory_total(void);

#endif
