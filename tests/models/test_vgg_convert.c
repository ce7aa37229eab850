/* tools/convert_vgg.py: PyTorch's files of both layouts into ours. Needs PyTorch; without it the test is skipped. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include <unistd.h>

#include "base/file.h"
#include "models/vgg.h"
#include "nn/safetensors.h"
#include "test.h"

static const char make_networks[] =
    "import sys, torch\n"
    "torch.manual_seed(1)\n"
    "folder, state, caffe = sys.argv[1], {}, {}\n"
    "for index, name, out, channels in [(0, 'conv1_1', 4, 3), (2, 'conv1_2', 5, 4), (5, 'conv2_1', 6, 5)]:\n"
    "    w, b = torch.randn(out, channels, 3, 3), torch.randn(out)\n"
    "    state[f'features.{index}.weight'], state[f'features.{index}.bias'] = w, b\n"
    "    caffe[f'{name}.weight'], caffe[f'{name}.bias'] = w, b\n"
    "state['classifier.0.weight'] = torch.zeros(2, 2)\n"
    "torch.save(state, f'{folder}/torchvision.pth')\n"
    "torch.save(caffe, f'{folder}/caffe.pth')\n"
    "del state['features.2.bias']\n"
    "torch.save(state, f'{folder}/hole.pth')\n";

static char folder[64] = "/tmp/cyclegan-vgg-convert-XXXXXX";

/* Runs the converter; its messages end up in FOLDER/said. */
static int convert(const char *from, const char *to, const char *options)
{
    char command[600];
    snprintf(command, sizeof command, "/usr/bin/python3 tools/convert_vgg.py %s/%s -o %s/%s %s >%s/said 2>&1", folder,
             from, folder, to, options, folder);
    return system(command);
}

static void check_file(test *t, const char *name, const char *input, size_t tensors)
{
    char path[200];
    safetensors_file *file;
    model_vgg *v;
    error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    REQUIRE_OK(t, safetensors_open(path, &file, &err), err);
    CHECK(t, safetensors_count(file) == tensors);
    CHECK_TEXT(t, safetensors_metadata_get(file, "input"), input);
    safetensors_close(file);
    REQUIRE_OK(t, model_vgg_open(path, &(model_vgg_options){0}, &v, &err), err);
    CHECK_CONTAINS(t, model_vgg_description(v), input);
    model_vgg_destroy(v);
}

static void check_said(test *t, const char *part)
{
    char path[200], *bytes;
    size_t size;
    error err = {0};
    snprintf(path, sizeof path, "%s/said", folder);
    REQUIRE_OK(t, file_read_all(path, 1 << 16, &bytes, &size, &err), err);
    CHECK_CONTAINS(t, bytes, part);
    free(bytes);
}

static void converts(test *t)
{
    if (system("/usr/bin/python3 -c 'import torch' 2>/dev/null") != 0) SKIP(t, "PyTorch is not installed");
    char path[200], command[600];
    error err = {0};
    REQUIRE(t, mkdtemp(folder));
    snprintf(path, sizeof path, "%s/make.py", folder);
    REQUIRE_OK(t, file_write_all(path, make_networks, sizeof make_networks - 1, &err), err);
    snprintf(command, sizeof command, "/usr/bin/python3 %s %s", path, folder);
    REQUIRE(t, system(command) == 0);
    REQUIRE(t, convert("torchvision.pth", "a.safetensors", "") == 0);
    check_file(t, "a.safetensors", "torchvision", 6);
    REQUIRE(t, convert("torchvision.pth", "b.safetensors", "--input caffe --last conv1_2") == 0);
    check_file(t, "b.safetensors", "caffe", 4);
    REQUIRE(t, convert("caffe.pth", "c.safetensors", "") == 0);
    check_file(t, "c.safetensors", "caffe", 6);
    CHECK(t, convert("hole.pth", "d.safetensors", "") != 0);
    check_said(t, "hole.pth: features.2.bias is missing");
    CHECK(t, convert("caffe.pth", "d.safetensors", "--last conv9_9") != 0);
    check_said(t, "--last conv9_9: expected one of conv1_1, ");
    snprintf(path, sizeof path, "%s/d.safetensors", folder);
    CHECK(t, !file_exists(path));
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CHECK(t, system(command) == 0);
}

TEST_MAIN(TEST(converts))
