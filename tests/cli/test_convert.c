/* tools/convert_pth.py and train.init_from together: PyTorch's files of the reference's networks as the start of a
 * training. Needs PyTorch; without it the tests are skipped. */
#include <sys/wait.h>
#include <unistd.h>

#include "../training/pictures.h"
#include "cli/program.h"
#include "nn/safetensors.h"

typedef struct bench {
    workplace place;
    error err;
} bench;

/* Networks as the reference would save them, from the folder tools/oracle. */
static const char make_networks[] =
    "import sys, torch, numpy\n"
    "sys.path.insert(0, 'tools/oracle')\n"
    "import networks, safetensors_io\n"
    "folder = sys.argv[1]\n"
    "random = numpy.random.RandomState(3)\n"
    "for name, kind in (('G_A', 'resnet_6blocks'), ('G_B', 'resnet_6blocks'), ('other', 'resnet_9blocks')):\n"
    "    network = networks.create(kind, 4, 'transpose')\n"
    "    networks.initialise(network, random)\n"
    "    state = network.state_dict()\n"
    "    safetensors_io.write(f'{folder}/{name}.expected', {k: v.numpy() for k, v in state.items()}, {})\n"
    "    if name == 'G_A':\n"
    "        state = {'module.' + k: v for k, v in state.items()}\n"
    "        state['module.model.2.running_mean'] = torch.zeros(4)\n"
    "        state['module.model.2.running_var'] = torch.ones(4)\n"
    "    torch.save(state, f'{folder}/latest_net_{name}.pth')\n"
    "state['model.2.weight'] = torch.ones(4)\n"
    "state['model.2.running_mean'] = torch.zeros(4)\n"
    "torch.save(state, f'{folder}/batch_net_G_A.pth')\n"
    "torch.save([1, 2], f'{folder}/list_net_G_A.pth')\n";

static bool set_up(bench *b)
{
    *b = (bench){0};
    if (!workplace_create(&b->place) || !workplace_pictures(&b->place, "a", 2, 36, 36, -1) ||
        !workplace_pictures(&b->place, "b", 2, 36, 36, -1))
        return false;
    char path[160], yaml[1024], command[400];
    const char *r = b->place.root;
    int length = snprintf(yaml, sizeof yaml,
                          "name: tiny\ndomains:\n  a: {train: %s/a}\n  b: {train: %s/b}\n"
                          "data: {load_size: 36, crop_size: 32}\n"
                          "model: {generator: resnet_6blocks, upsample: transpose, ngf: 4, discriminator: n_layers, "
                          "discriminator_layers: 1, ndf: 4}\n"
                          "train: {steps: 1, ema: 0.9}\noutput: {sample_every: 0}\n", r, r);
    snprintf(path, sizeof path, "%s/c.yaml", r);
    if (file_write_all(path, yaml, (size_t)length, &b->err) != STATUS_OK) return false;
    snprintf(path, sizeof path, "%s/make.py", r);
    if (file_write_all(path, make_networks, sizeof make_networks - 1, &b->err) != STATUS_OK) return false;
    snprintf(command, sizeof command, "/usr/bin/python3 %s/make.py %s", r, r);
    return system(command) == 0;
}

#define NEED_PYTORCH(t)                                                                                               \
    do {                                                                                                              \
        NEED_PROGRAM(t);                                                                                              \
        if (system("/usr/bin/python3 -c 'import torch' 2>/dev/null") != 0) SKIP(t, "PyTorch is not installed");       \
    } while (0)

/* Runs a command in which every @ stands for the test's folder. */
static void check_command(test *t, const bench *b, const char *line, int expected, const char *part)
{
    char command[2048], output[8192];
    size_t used = 0;
    for (; *line && used + sizeof b->place.root < sizeof command; line++)
        if (*line == '@')
            used += (size_t)snprintf(command + used, sizeof command - used, "%s", b->place.root);
        else
            command[used++] = *line;
    snprintf(command + used, sizeof command - used, " 2>&1");
    FILE *pipe = popen(command, "r");
    REQUIRE(t, pipe);
    output[fread(output, 1, sizeof output - 1, pipe)] = '\0';
    int result = pclose(pipe), found = WIFEXITED(result) ? WEXITSTATUS(result) : -1;
    if (found != expected || !strstr(output, part))
        test_failed(t, __FILE__, __LINE__, "%s: status %d, expected %d with '%s'; it wrote: %s", command, found, expected,
                    part, output);
}

/* Trains with the settings and expects the message. */
static void check_train(test *t, const bench *b, const char *arguments, int expected, const char *part)
{
    char line[1024];
    snprintf(line, sizeof line, "'%s' train @/c.yaml --threads 1 %s", program(), arguments);
    check_command(t, b, line, expected, part);
}

/* Every tensor of `expected` is under `prefix` in `name`, the same but for the one small step of a training. */
static void check_near(test *t, const bench *b, const char *name, const char *prefix, const char *expected, double bound)
{
    char path[200], key[200];
    safetensors_file *files[2];
    error err = {0};
    snprintf(path, sizeof path, "%s/%s", b->place.root, name);
    REQUIRE_OK(t, safetensors_open(path, &files[0], &err), err);
    snprintf(path, sizeof path, "%s/%s.expected", b->place.root, expected);
    REQUIRE_OK(t, safetensors_open(path, &files[1], &err), err);
    CHECK(t, safetensors_count(files[1]) > 0);
    for (size_t i = 0; i < safetensors_count(files[1]); i++) {
        const safetensors_entry *e = safetensors_at(files[1], i);
        snprintf(key, sizeof key, "%s%s", prefix, e->name);
        const safetensors_entry *f = safetensors_find(files[0], key);
        if (!f || f->count != e->count) {
            test_failed(t, __FILE__, __LINE__, "%s lacks %s", name, key);
            continue;
        }
        float *x = malloc(2 * e->count * sizeof *x), *y = x + e->count;
        REQUIRE_OK(t, safetensors_read_f32(files[0], f, x, &err), err);
        REQUIRE_OK(t, safetensors_read_f32(files[1], e, y, &err), err);
        for (size_t k = 0; k < e->count; k++) CHECK_NEAR(t, (double)x[k], (double)y[k], bound);
        free(x);
    }
    for (int i = 0; i < 2; i++) safetensors_close(files[i]);
}

static void networks_of_the_reference_are_a_start(test *t)
{
    NEED_PYTORCH(t);
    bench b;
    REQUIRE(t, set_up(&b));
    const double one_step = 2.5e-4; /* Adam's first step is the learning rate, 2e-4 */
    check_command(t, &b, "/usr/bin/python3 tools/convert_pth.py @/latest_net_G_A.pth -o @/a.safetensors", 0, "a_to_b");
    check_near(t, &b, "a.safetensors", "", "G_A", 0);
    check_train(t, &b, "--out @/r1 --set train.init_from=@/a.safetensors", 0,
                "a.safetensors: G_A loaded; G_B, D_A, D_B and the optimisers start afresh");
    check_near(t, &b, "r1/checkpoints/latest.safetensors", "G_A.", "G_A", one_step);
    check_near(t, &b, "r1/checkpoints/latest.safetensors", "ema.G_A.", "G_A", one_step);
    check_command(t, &b, "/usr/bin/python3 tools/convert_pth.py @/latest_net_G_B.pth -o @/b.safetensors", 0, "b_to_a");
    check_train(t, &b, "--out @/r2 --set train.init_from=@/b.safetensors", 0, "G_B loaded; G_A, D_A, D_B and");
    check_near(t, &b, "r2/checkpoints/latest.safetensors", "G_B.", "G_B", one_step);
    check_command(t, &b, "/usr/bin/python3 tools/convert_pth.py @/latest_net_G_A.pth @/latest_net_G_B.pth -o @/both.safetensors", 0, "");
    check_train(t, &b, "--out @/r3 --set train.init_from=@/both.safetensors", 0, "G_A, G_B loaded; D_A, D_B and");
    check_near(t, &b, "r3/checkpoints/latest.safetensors", "G_B.", "G_B", one_step);
    workplace_remove(&b.place);
}

static void what_does_not_fit_is_refused(test *t)
{
    NEED_PYTORCH(t);
    bench b;
    REQUIRE(t, set_up(&b));
    check_command(t, &b, "/usr/bin/python3 tools/convert_pth.py @/batch_net_G_A.pth -o @/x", 1, "batch norm is not supported");
    check_command(t, &b, "/usr/bin/python3 tools/convert_pth.py @/list_net_G_A.pth -o @/x", 1, "expected a state dict");
    check_command(t, &b, "/usr/bin/python3 tools/convert_pth.py @/c.yaml -o @/x", 1, "c.yaml: not a state dict that PyTorch can load");
    check_command(t, &b, "/usr/bin/python3 tools/convert_pth.py @/none.pth -o @/x", 1, "none.pth: cannot read: No such file");
    check_command(t, &b, "/usr/bin/python3 tools/convert_pth.py @/latest_net_G_A.pth -o @/no/x", 1, "no/x: cannot write: No such file");
    check_command(t, &b, "/usr/bin/python3 tools/convert_pth.py @/latest_net_G_A.pth @/latest_net_other.pth -o @/x", 1,
                  "expected a name with one of G_A");
    check_command(t, &b, "test ! -e @/x && /usr/bin/python3 tools/convert_pth.py @/latest_net_other.pth -o @/other.safetensors", 0, "");
    check_train(t, &b, "--out @/r --set train.init_from=@/other.safetensors", 2,
                "another architecture: model.generator is resnet_9blocks in the file, resnet_6blocks in the config");
    workplace_remove(&b.place);
}

TEST_MAIN(TEST(networks_of_the_reference_are_a_start), TEST(what_does_not_fit_is_refused))
