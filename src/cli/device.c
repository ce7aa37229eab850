#include <string.h>

#include "cli/cli.h"

nn_device cli_device(const argument_list *given)
{
    const char *name = arguments_value(given, "device");
    int device = NN_DEVICE_AUTO;
    for (int i = 0; name && nn_device_names[i]; i++)
        if (strcmp(name, nn_device_names[i]) == 0) device = i;
    return (nn_device)device;
}
