/* Gatys' style transfer over files and folders, from a config, from settings, or both.
 *
 *     const char *settings[] = {"content.path=snacks", "style.path=fractals", "output.path=out"};
 *     style_transfer_request request = {.settings = settings, .setting_count = 3};
 *     TRY(style_transfer(&request, &log, err));
 *
 * One content gives one file; a folder of contents gives a folder with the same relative names, and `gatys.yaml`, the
 * complete config, in it. A result that is there already is kept when the folder's manifest (translate/manifest.h) says
 * that it was made with the same settings, network and style, from the same content; otherwise it is an error, unless
 * output.overwrite.
 */
#ifndef STYLE_TRANSFER_H
#define STYLE_TRANSFER_H

#include <signal.h>

#include "base/log.h"
#include "base/status.h"
#include "base/text.h"
#include "nn/backend.h"

typedef struct style_transfer_request {
    const char *config_path;     /* NULL: settings alone */
    const char *const *settings; /* KEY=VALUE, after the file */
    size_t setting_count;
    nn_device device;
    int threads; /* of the CPU; 0: all cores */
    const volatile sig_atomic_t *stop;
} style_transfer_request;

/* A content or a style picture in a folder that cannot be read is reported and the rest is done; the status is then
 * STATUS_FAILED. STATUS_INTERRUPTED after *stop; what is written is whole. */
status style_transfer(const style_transfer_request *request, log_sink *log, error *err);
/* The config's fields with type, default and help, as text or as a Markdown table. */
void style_transfer_help(bool markdown, text *out);

#endif
