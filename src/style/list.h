/* Lists in one text of a config: layers with their weights, paths with theirs. */
#ifndef STYLE_LIST_H
#define STYLE_LIST_H

#include <stddef.h>

#include "base/status.h"

/* Words between commas, blanks around them dropped; empty ones are. {0} is empty. */
typedef struct style_list {
    char **items;
    size_t count;
} style_list;

/* Free with style_list_free, after a failure too. `said` may be NULL: an empty list. */
status style_list_read(style_list *list, const char *said, error *err);
/* The same for paths: an existing file whose name has commas is one. */
status style_list_read_paths(style_list *list, const char *said, error *err);
void style_list_free(style_list *list); /* leaves it empty */

/* As many numbers of at least 0, one of them above, as `count`; all `fallback` when `said` is NULL. `key`: of the
 * config, for messages. */
status style_weights_read(const char *key, const char *said, double fallback, double *weights, size_t count,
                          error *err);

#endif
