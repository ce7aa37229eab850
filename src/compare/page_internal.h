/* The page's parts, in their order. Each appends HTML; failed memory is in the text. */
#ifndef COMPARE_PAGE_INTERNAL_H
#define COMPARE_PAGE_INTERNAL_H

#include "compare/measures.h"

/* page_style.c, page_script.c: lines, ending with NULL. */
extern const char *const page_style[];
extern const char *const page_script[];

/* page_summary.c: what was compared, the table of all numbers, the plots, the meaning of each number, the settings. */
void page_add_summary(const comparison_result *r, text *out);
void page_add_plots(const comparison_result *r, text *out);
void page_add_words(const comparison_result *r, text *out);
void page_add_settings(const comparison_result *r, text *out);

/* page_rows.c: a section for each input. */
status page_add_rows(const comparison_result *r, text *out, error *err);

/* Three digits, without an exponent where people would not want one: "0.0123", "41.2", "1234". */
void page_add_number(text *out, double value);

#endif
