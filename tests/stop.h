/* A stop flag that a signal sets midway.
 *
 *     double begin = stop_clock();
 *     ... the whole of it ...
 *     stop_after((stop_clock() - begin) / 4);
 *     ... again, with &stop: it ends early ...
 *     stop_never();
 *
 * Time is the processor's: a machine with other work to do changes nothing. */
#ifndef TESTS_STOP_H
#define TESTS_STOP_H

#include <signal.h>
#include <sys/time.h>
#include <time.h>

static volatile sig_atomic_t stop;

static inline double stop_clock(void) { return (double)clock() / CLOCKS_PER_SEC; }

static inline void stop_now(int number)
{
    (void)number;
    stop = 1;
}

static inline void stop_after(double seconds)
{
    long microseconds = (long)(1e6 * seconds);
    const struct itimerval timer = {.it_value = {.tv_sec = microseconds / 1000000, .tv_usec = microseconds % 1000000 + 1}};
    stop = 0;
    signal(SIGPROF, stop_now);
    setitimer(ITIMER_PROF, &timer, NULL);
}

static inline void stop_never(void)
{
    setitimer(ITIMER_PROF, &(struct itimerval){0}, NULL);
    stop = 0;
}

#endif
