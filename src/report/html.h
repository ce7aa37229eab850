/* Text, links and pictures inside of an HTML page, escaped: names come from files and may hold anything.
 *
 *     text page = {0};
 *     text_add(&page, "<a href=\"");
 *     html_url(&page, "images/a b.png");             images/a%20b.png
 *     text_add(&page, "\">");
 *     html_text(&page, "<script>");                  &lt;script&gt;
 *     text_add(&page, "</a>");
 *
 * An append that finds no memory sets the text's `failed`.
 */
#ifndef REPORT_HTML_H
#define REPORT_HTML_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* For an element's content, and for an attribute between double or single quotes. Bytes that are no UTF-8, and
 * control characters but tab and newline, become U+FFFD. */
void html_text(text *out, const char *string);
/* A relative path as a link: percent-encoded but for letters, digits, "-._~" and "/", so that nothing in it is a
 * scheme, a query or markup. */
void html_url(text *out, const char *path);
/* "data:TYPE;base64,..." (RFC 2397, RFC 4648); type: "image/jpeg". */
void html_data(text *out, const char *type, const uint8_t *bytes, size_t size);

#endif
