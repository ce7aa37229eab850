/* index.html: one file that opens from disk without a network. Pictures are embedded as thumbnails and link to the full
 * ones beside it.
 *
 *     TRY(comparison_write_page(&result, "runs/x/index.html", err));
 */
#ifndef COMPARE_PAGE_H
#define COMPARE_PAGE_H

#include "compare/result.h"

/* The pictures are read from where result's folders say. */
status comparison_write_page(const comparison_result *r, const char *path, error *err);

#endif
