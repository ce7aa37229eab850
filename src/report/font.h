/* Labels: printable ASCII in a bitmap font of our own, 5 x 9 pixels a character (7 above the line, 2 below), drawn
 * enlarged by whole factors so that it stays crisp.
 *
 *     report_text_draw(&picture, left, top, 2, "input", 40);
 */
#ifndef REPORT_FONT_H
#define REPORT_FONT_H

#include <stddef.h>
#include <stdint.h>

#include "image/image.h"

enum { REPORT_FONT_WIDTH = 6, REPORT_FONT_HEIGHT = 9 }; /* of a character with the space after it, at factor 1 */

/* Pixels that a text takes, without the space after its last character; bytes that are no printable ASCII are drawn as
 * '?', the bytes of one UTF-8 character as one. */
size_t report_text_width(const char *string, size_t factor);
/* Draws in one grey; what lies outside of the picture is left out. */
void report_text_draw(image *picture, size_t left, size_t top, size_t factor, const char *string, uint8_t grey);
/* How many characters of the text fit into `width` pixels. */
size_t report_text_fit(size_t width, size_t factor);
/* The text cut to `characters`, ".." for what is missing where there is room for it, as new memory; NULL without
 * memory. */
char *report_text_cut(const char *string, size_t characters);

#endif
