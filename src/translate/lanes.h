/* Pictures side by side on the CPU: each of a translator's lanes has a thread, its share of the kernels' threads and programs
 * of its own, and shares the weights. A picture by itself makes all threads meet after every layer, and hand each other what
 * they computed; pictures side by side do neither.
 *
 *     translate_lanes *lanes;
 *     TRY(translate_lanes_create(t, 2, &lanes, err));
 *     translate_lanes_put(lanes, &first, &results[0]);
 *     translate_lanes_put(lanes, &second, &results[1]);
 *     translate_lanes_wait(lanes, 2);                    the results are there
 */
#ifndef TRANSLATE_LANES_H
#define TRANSLATE_LANES_H

#include "translate/translator.h"

typedef struct translate_lanes translate_lanes;
enum { TRANSLATE_LANES_DEPTH = 2 * TRANSLATE_MOST };

/* `of` must outlive the lanes, whose limits are its, each lane's memory a share of what they allow. */
status translate_lanes_create(const translator *of, size_t count, translate_lanes **out, error *err);
void translate_lanes_destroy(translate_lanes *lanes); /* when all is done that was put; accepts NULL */

/* Leaves a picture to the lane that is free next; both must stay until it is waited for, and at most
 * TRANSLATE_LANES_DEPTH may be. What translate_image says of it comes to *result. */
void translate_lanes_put(translate_lanes *lanes, const image *in, translate_result *result);
/* Until the next `count` pictures, in the order in which they were put, are done. */
void translate_lanes_wait(translate_lanes *lanes, size_t count);

#endif
