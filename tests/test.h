/* A test program is a list of functions and one macro:
 *
 *     static void adds(test *t) { CHECK(t, 1 + 1 == 2); CHECK_NEAR(t, 0.1f + 0.2f, 0.3f, 1e-6); }
 *     TEST_MAIN(TEST(adds))
 *
 * It prints a line for each failure and, last, "NAME: N passed, N failed, N skipped" over its functions; its status
 * is 1 when one failed. tests/run.sh adds the programs up. With TEST_TIMES in the environment it tells the seconds that
 * each has taken.
 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct test {
    const char *name;
    int failures;
    const char *skipped; /* why, or NULL */
} test;

typedef struct test_case {
    const char *name;
    void (*function)(test *t);
} test_case;

#define TEST(function) {#function, function}

/* Checks go on after a failure; REQUIRE returns from the test function. */
#define CHECK(t, condition)                                                                                           \
    do {                                                                                                              \
        if (!(condition)) test_failed(t, __FILE__, __LINE__, "%s", #condition);                                       \
    } while (0)
#define REQUIRE(t, condition)                                                                                         \
    do {                                                                                                              \
        if (!(condition)) {                                                                                           \
            test_failed(t, __FILE__, __LINE__, "%s", #condition);                                                     \
            return;                                                                                                   \
        }                                                                                                             \
    } while (0)
/* |actual - expected| <= bound; NaN fails. */
#define CHECK_NEAR(t, actual, expected, bound)                                                                        \
    do {                                                                                                              \
        double a_ = (actual), e_ = (expected);                                                                        \
        if (!(fabs(a_ - e_) <= (bound)))                                                                              \
            test_failed(t, __FILE__, __LINE__, "%s is %.9g, expected %.9g within %g", #actual, a_, e_, (double)(bound)); \
    } while (0)
#define CHECK_TEXT(t, actual, expected)                                                                               \
    do {                                                                                                              \
        const char *a_ = (actual), *e_ = (expected);                                                                  \
        if (strcmp(a_, e_) != 0)                                                                                      \
            test_failed(t, __FILE__, __LINE__, "%s is \"%s\", expected \"%s\"", #actual, a_, e_);                     \
    } while (0)
#define CHECK_CONTAINS(t, actual, part)                                                                               \
    do {                                                                                                              \
        const char *a_ = (actual), *e_ = (part);                                                                      \
        if (!strstr(a_, e_)) test_failed(t, __FILE__, __LINE__, "\"%s\" does not contain \"%s\"", a_, e_);            \
    } while (0)
/* REQUIRE for a call that takes `err`: prints the message. */
#define REQUIRE_OK(t, call, err)                                                                                      \
    do {                                                                                                              \
        if ((call) != 0) {                                                                                            \
            test_failed(t, __FILE__, __LINE__, "%s: %s", #call, (err).message);                                       \
            return;                                                                                                   \
        }                                                                                                             \
    } while (0)
/* Ends the test function, counted as skipped. */
#define SKIP(t, why)                                                                                                  \
    do {                                                                                                              \
        (t)->skipped = (why);                                                                                         \
        return;                                                                                                       \
    } while (0)

__attribute__((format(printf, 4, 5))) static inline void test_failed(test *t, const char *file, int line,
                                                                      const char *format, ...)
{
    t->failures++;
    if (t->failures > 20) return;
    __builtin_va_list arguments;
    printf("%s:%d: %s: ", file, line, t->name);
    __builtin_va_start(arguments, format);
    vprintf(format, arguments);
    __builtin_va_end(arguments);
    printf("\n");
}

/* Largest |a - b| / (|b| + floor), elementwise: signed values compared one by one; NaN gives infinity. */
static inline double test_worst(const float *actual, const float *expected, size_t count, double floor)
{
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        double d = fabs((double)actual[i] - expected[i]) / (fabs((double)expected[i]) + floor);
        if (!(d <= worst)) worst = d == d ? d : INFINITY;
    }
    return worst;
}

/* ||a - b|| / ||b||; NaN gives infinity. */
static inline double test_relative(const float *actual, const float *expected, size_t count)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)actual[i] - expected[i];
        difference += d * d;
        norm += (double)expected[i] * expected[i];
    }
    double result = sqrt(difference / (norm > 0 ? norm : 1));
    return result == result ? result : INFINITY;
}

static inline double test_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline int test_run(const char *program, const test_case *cases, size_t count, int argc, char **argv)
{
    int passed = 0, failed = 0, skipped = 0;
    for (size_t i = 0; i < count; i++) {
        if (argc > 1 && !strstr(cases[i].name, argv[1])) continue;
        test t = {.name = cases[i].name};
        double begin = test_clock();
        cases[i].function(&t);
        if (getenv("TEST_TIMES")) printf("%s: %.1f s\n", t.name, test_clock() - begin);
        if (t.failures) {
            failed++;
            printf("%s: FAILED (%d checks)\n", t.name, t.failures);
        } else if (t.skipped) {
            skipped++;
            printf("%s: skipped: %s\n", t.name, t.skipped);
        } else {
            passed++;
        }
        fflush(stdout);
    }
    const char *slash = strrchr(program, '/');
    printf("%s: %d passed, %d failed, %d skipped\n", slash ? slash + 1 : program, passed, failed, skipped);
    return failed != 0;
}

/* An optional argument runs the cases whose name contains it. */
#define TEST_MAIN(...)                                                                                                \
    int main(int argc, char **argv)                                                                                   \
    {                                                                                                                 \
        static const test_case cases[] = {__VA_ARGS__};                                                               \
        return test_run(argv[0], cases, sizeof cases / sizeof *cases, argc, argv);                                    \
    }

#endif
