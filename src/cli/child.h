/* A method of a comparison in a process of its own, so that its memory is its own and a crash is not the program's.
 *
 *     comparison_request request = {.config_path = path, .launch = cli_launch};
 */
#ifndef CLI_CHILD_H
#define CLI_CHILD_H

#include "compare/comparison.h"

/* A comparison_launch: forks, and hears the child through a pipe. To be called before this process has used OpenMP,
 * whose threads a fork does not copy: a parallel region in the child would wait for them forever. */
status cli_launch(void *context, const comparison_job *job, const comparison_listener *listener, double *peak_bytes,
                  error *err);

#endif
