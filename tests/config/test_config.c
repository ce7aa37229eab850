#include "config/config.h"

#include <unistd.h>

#include "base/file.h"
#include "fixture.h"

/* The text must be refused with exactly this message. */
static void refused_bytes(test *t, const char *bytes, size_t size, const char *message)
{
    fixture f;
    REQUIRE(t, setup(&f));
    status result = read_bytes(&f, bytes, size);
    CHECK(t, result == STATUS_USAGE && f.err.code == STATUS_USAGE);
    CHECK_TEXT(t, f.err.message, message);
    config_destroy(f.c);
}

static void refused(test *t, const char *yaml, const char *message) { refused_bytes(t, yaml, strlen(yaml), message); }

static void defaults(test *t)
{
    fixture f;
    REQUIRE(t, setup(&f));
    CHECK_TEXT(t, f.o.name, "run");
    CHECK(t, f.o.note == NULL && f.o.source == NULL);
    CHECK(t, f.o.flip && f.o.epochs == 100 && f.o.seed == 0 && f.o.lambda_cycle == 10 && f.o.rate == 2e-4);
    CHECK(t, f.o.upsample == 0 && f.m.workers == 2);
    CHECK_TEXT(t, config_where(f.c, "name"), "default");
    CHECK_TEXT(t, config_where(f.c, "no such key"), "default");
    CHECK(t, !config_was_given(f.c, "name"));
    config_destroy(f.c);
    CHECK(t, f.o.name == NULL);
    config_destroy(NULL);
}

static void reads_values(test *t)
{
    fixture f;
    REQUIRE(t, setup(&f));
    REQUIRE_OK(t, read_yaml(&f, "# snacks\n"
                                "name: snacks to fractals\n"
                                "note: \"5\"\n"
                                "domains:\n  a:\n    train: data/caf\xc3\xa9\n"
                                "data: {flip: false, workers: 8, cache: {kind: 7}}\n"
                                "model:\n  upsample: 'transpose'\n"
                                "loss:\n  lambda_cycle: 5\n"
                                "train:\n  epochs: 7\n  seed: -9223372036854775808\n  learning_rate: 1.5e-3\n"),
               f.err);
    REQUIRE_OK(t, config_finish(f.c, &f.err), f.err);
    CHECK_TEXT(t, f.o.name, "snacks to fractals");
    CHECK_TEXT(t, f.o.note, "5");
    CHECK_TEXT(t, f.o.source, "data/caf\xc3\xa9");
    CHECK_TEXT(t, f.m.kind, "7"); /* any scalar is text */
    CHECK(t, !f.o.flip && f.m.workers == 8 && f.o.upsample == 1 && f.o.lambda_cycle == 5);
    CHECK(t, f.o.epochs == 7 && f.o.seed == INT64_MIN && f.o.rate == 1.5e-3);
    CHECK_TEXT(t, config_where(f.c, "train.epochs"), "x.yaml:13:11");
    CHECK_TEXT(t, config_where(f.c, "data.cache.kind"), "x.yaml:7:47");
    CHECK(t, config_was_given(f.c, "train.epochs") && !config_was_given(f.c, "train.later"));
    /* A second file goes over the first. */
    REQUIRE_OK(t, read_yaml(&f, "train: {epochs: 9}"), f.err);
    CHECK(t, f.o.epochs == 9 && f.o.lambda_cycle == 5);
    CHECK_TEXT(t, config_where(f.c, "train.epochs"), "x.yaml:1:17");
    config_destroy(f.c);
}

static void unknown_keys(test *t)
{
    refused(t, "name: x\nloss:\n  lamda_cycle: 3\n",
            "x.yaml:3:3: unknown key 'lamda_cycle' in 'loss'; did you mean 'lambda_cycle'?");
    refused(t, "los:\n  lambda_cycle: 3\n", "x.yaml:1:1: unknown key 'los'; did you mean 'loss'?");
    refused(t, "epochs: 3\n", "x.yaml:1:1: unknown key 'epochs'; did you mean 'train.epochs'?");
    refused(t, "loss:\n  epohcs: 3\n", "x.yaml:2:3: unknown key 'epohcs' in 'loss'; did you mean 'train.epochs'?");
    refused(t, "domains: {c: 1}\n", "x.yaml:1:11: unknown key 'c' in 'domains'");
    refused(t, "train.epochs: 3\n", "x.yaml:1:1: unknown key 'train.epochs'; write 'epochs' under 'train'");
    refused(t, "name: x\nzzzzzzzzzz: 3\n", "x.yaml:2:1: unknown key 'zzzzzzzzzz'");
    refused(t, "'': 3\n", "x.yaml:1:1: unknown key ''");
    refused(t, "\"na\\e[0mme\": 3\n", "x.yaml:1:1: unknown key 'na\\x1b[0mme'");
    refused(t, "\"name\\0\": 3\n", "x.yaml:1:1: unknown key 'name'; did you mean 'name'?");
    refused(t, "<<: 3\n", "x.yaml:1:1: unknown key '<<'");
}

/* Whatever they hold; known keys and the YAML are as strict as ever. */
static void unknown_keys_are_passed_over(test *t)
{
    fixture f;
    REQUIRE(t, setup(&f));
    config_pass_over_unknown(f.c);
    REQUIRE_OK(t, read_yaml(&f, "los: {a: [1, {b: 2}, [3]], c: }\nloss: {lamda: x, lambda_cycle: 4}\n"
                                "zz: [[{}], 1]\nname: y\n"), f.err);
    CHECK(t, f.o.lambda_cycle == 4);
    CHECK_TEXT(t, f.o.name, "y");
    REQUIRE_OK(t, config_set(f.c, "no.such=1", &f.err), f.err);
    REQUIRE_OK(t, config_set(f.c, "loss.lambda_cycle=5", &f.err), f.err);
    CHECK(t, f.o.lambda_cycle == 5);
    CHECK(t, read_yaml(&f, "los: {a: 1}\nloss: {lambda_cycle: x}\n") == STATUS_USAGE);
    CHECK_CONTAINS(t, f.err.message, "x.yaml:2:22: 'loss.lambda_cycle' expects a number");
    CHECK(t, read_yaml(&f, "los: [1, {b: 2]\n") == STATUS_USAGE);
    CHECK_CONTAINS(t, f.err.message, "malformed YAML");
    CHECK(t, read_yaml(&f, "los: *a\n") == STATUS_USAGE);
    CHECK_CONTAINS(t, f.err.message, "aliases are not supported");
    config_destroy(f.c);
}

static void duplicates(test *t)
{
    refused(t, "name: x\nnote: y\nname: z\n", "x.yaml:3:1: 'name' was given before, on line 1");
    refused(t, "train:\n  epochs: 3\n  seed: 1\n  epochs: 3\n",
            "x.yaml:4:3: 'train.epochs' was given before, on line 2");
    refused(t, "train:\n  seed: 1\nname: x\ntrain:\n  epochs: 3\n", "x.yaml:4:1: 'train' was given before, on line 1");
}

static void wrong_types(test *t)
{
    refused(t, "train:\n  epochs: many\n",
            "x.yaml:2:11: 'train.epochs' expects an integer from 1 to 100000, found 'many'");
    refused(t, "train: {seed: 1.5}\n", "x.yaml:1:15: 'train.seed' expects an integer, found '1.5'");
    refused(t, "train: {seed: 1e5}\n", "x.yaml:1:15: 'train.seed' expects an integer, found '1e5'; write 100000");
    refused(t, "train: {seed: 0x10}\n", "x.yaml:1:15: 'train.seed' expects an integer, found '0x10'");
    refused(t, "train: {seed: 010}\n", "x.yaml:1:15: 'train.seed' expects an integer, found '010'; write 10");
    refused(t, "train: {seed: 1_000}\n", "x.yaml:1:15: 'train.seed' expects an integer, found '1_000'");
    refused(t, "train: {seed: 9223372036854775808}\n",
            "x.yaml:1:15: 'train.seed' expects an integer, found '9223372036854775808'; too large for 64 bits");
    refused(t, "train: {seed: \"5\"}\n", "x.yaml:1:15: 'train.seed' expects an integer, found the text '5'; a quoted "
                                        "value is text: write it without quotes");
    refused(t, "train: {seed: true}\n", "x.yaml:1:15: 'train.seed' expects an integer, found 'true'");
    refused(t, "train: {seed: }\n", "x.yaml:1:15: 'train.seed' expects an integer, found nothing");
    refused(t, "train: {seed: ~}\n", "x.yaml:1:15: 'train.seed' expects an integer, found '~'");
    static const char *const numbers[] = {"nan", ".nan", "inf", ".inf", "-.inf", "Infinity", "0x1p3", "1e", ".", "--1",
                                          "1.2.3", "1,5", "1e5 x", "true"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char yaml[64], message[128];
        snprintf(yaml, sizeof yaml, "loss:\n  lambda_cycle: %s\n", numbers[i]);
        snprintf(message, sizeof message, "x.yaml:2:17: 'loss.lambda_cycle' expects a number from 0 to 1000, found '%s'",
                 numbers[i]);
        refused(t, yaml, message);
    }
    refused(t, "train: {learning_rate: 1e999}\n", "x.yaml:1:24: 'train.learning_rate' expects a number, at least 0, "
                                                  "found '1e999'; too large for a double");
    refused(t, "domains: {a: {train: null}}\n", "x.yaml:1:22: 'domains.a.train' expects text, found 'null'");
    refused(t, "note: \"a\\0b\"\n", "x.yaml:1:7: 'note' holds a NUL character");
}

static void ranges(test *t)
{
    refused(t, "train:\n  epochs: 0\n", "x.yaml:2:11: 'train.epochs' expects an integer from 1 to 100000, found '0'");
    refused(t, "train:\n  epochs: 100001\n",
            "x.yaml:2:11: 'train.epochs' expects an integer from 1 to 100000, found '100001'");
    refused(t, "loss: {lambda_cycle: -0.1}\n",
            "x.yaml:1:22: 'loss.lambda_cycle' expects a number from 0 to 1000, found '-0.1'");
    refused(t, "train: {learning_rate: -1}\n",
            "x.yaml:1:24: 'train.learning_rate' expects a number, at least 0, found '-1'");
    fixture f;
    REQUIRE(t, setup(&f));
    REQUIRE_OK(t, read_yaml(&f, "loss: {lambda_cycle: 1e3}\ntrain: {epochs: 1, learning_rate: 1e300}"), f.err);
    CHECK(t, f.o.lambda_cycle == 1000 && f.o.epochs == 1 && f.o.rate == 1e300);
    config_destroy(f.c);
}

static void bools_and_choices(test *t)
{
    refused(t, "data: {flip: yes}\n", "x.yaml:1:14: 'data.flip' expects true or false, found 'yes'; write true");
    refused(t, "data: {flip: Off}\n", "x.yaml:1:14: 'data.flip' expects true or false, found 'Off'; write false");
    refused(t, "data: {flip: True}\n", "x.yaml:1:14: 'data.flip' expects true or false, found 'True'; write true");
    refused(t, "data: {flip: 2}\n", "x.yaml:1:14: 'data.flip' expects true or false, found '2'");
    refused(t, "data: {flip: 'true'}\n", "x.yaml:1:14: 'data.flip' expects true or false, found the text 'true'; a "
                                         "quoted value is text: write it without quotes");
    refused(t, "model:\n  upsample: transposed\n", "x.yaml:2:13: 'model.upsample' expects one of resize_conv, "
                                                   "transpose, off, found 'transposed'; did you mean 'transpose'?");
    refused(t, "model:\n  upsample: bilinear\n",
            "x.yaml:2:13: 'model.upsample' expects one of resize_conv, transpose, off, found 'bilinear'");
    refused(t, "model:\n  upsample:\n",
            "x.yaml:2:12: 'model.upsample' expects one of resize_conv, transpose, off, found nothing");
}

static void wrong_structure(test *t)
{
    refused(t, "loss: 5\n", "x.yaml:1:7: 'loss' expects a map of keys (lambda_cycle), found '5'");
    refused(t, "domains:\n  a: [x]\n", "x.yaml:2:6: 'domains.a' expects a map of keys (train), found a list");
    refused(t, "train:\n  # epochs: 3\nname: x\n",
            "x.yaml:1:7: 'train' expects a map of keys (epochs, seed, learning_rate, later), found nothing");
    refused(t, "name: {a: b}\n", "x.yaml:1:7: 'name' expects text, found a map of keys");
    refused(t, "train:\n  epochs:\n    - 1\n    - 2\n",
            "x.yaml:3:5: 'train.epochs' expects an integer from 1 to 100000, found a list");
    refused(t, "- name\n", "x.yaml:1:1: expected a map of keys, found a list");
    refused(t, "just text\n", "x.yaml:1:1: expected a map of keys, found 'just text'");
    refused(t, "? [a, b]\n: c\n", "x.yaml:1:3: expected a key, found a list");
    refused(t, "name: x\n---\nname: y\n", "x.yaml:2:1: a second document begins here; a config is one document");
    fixture f;
    REQUIRE(t, setup(&f));
    REQUIRE_OK(t, read_yaml(&f, "train: {}\nname: x\n..."), f.err);
    config_destroy(f.c);
}

static void null_resets_text(test *t)
{
    static const char *const nothings[] = {"name:\n", "name: ~\n", "name: null\n", "name: NULL\n"};
    for (size_t i = 0; i < 4; i++) {
        fixture f;
        REQUIRE(t, setup(&f));
        REQUIRE_OK(t, read_yaml(&f, nothings[i]), f.err);
        CHECK(t, f.o.name == NULL);
        CHECK(t, config_was_given(f.c, "name"));
        REQUIRE_OK(t, read_yaml(&f, "name: 'null'\nnote: ''"), f.err);
        REQUIRE(t, f.o.name && f.o.note);
        CHECK_TEXT(t, f.o.name, "null");
        CHECK_TEXT(t, f.o.note, "");
        config_destroy(f.c);
    }
}

static void hostile_text(test *t)
{
    refused(t, "name: &x y\n", "x.yaml:1:7: anchors are not supported: write the value again where it is needed");
    refused(t, "name: *x\n", "x.yaml:1:7: aliases are not supported: write the value again");
    refused(t, "train: &x {epochs: 1}\n",
            "x.yaml:1:8: anchors are not supported: write the value again where it is needed");
    refused(t, "name: !!str y\n", "x.yaml:1:7: tags are not supported: write the value alone");
    refused(t, "train: !!python/object:os.system {seed: 1}\n",
            "x.yaml:1:8: tags are not supported: write the value alone");
    refused(t, "note: &a [x, x]\nname: &b [*a, *a]\nc: [*b, *b]\n",
            "x.yaml:1:7: anchors are not supported: write the value again where it is needed");
    refused(t, "train:\n\tepochs: 3\n", "x.yaml:2:1: malformed YAML: a tab stands here; indent with spaces");
    refused(t, "name: \xc3\xa9\ntrain: {\n\xc3\xa9 \x01", "x.yaml:3:3: malformed YAML: control characters are not "
                                                         "allowed (byte 0x01)");
    refused(t, "name: x\nnote: \xc3\n", "x.yaml:2:8: malformed YAML: invalid trailing UTF-8 octet (byte 0x0a)");
    refused(t, "name: x\nnote: \xc3", "x.yaml:2:7: malformed YAML: incomplete UTF-8 octet sequence");
    refused(t, "name: x\nnote: \xff\n", "x.yaml:2:7: malformed YAML: invalid leading UTF-8 octet (byte 0xff)");
    refused_bytes(t, "name: a\0b\n", 10, "x.yaml:1:8: malformed YAML: control characters are not allowed (byte 0x00)");
    refused(t, "name: 'x\n", "x.yaml:2:1: malformed YAML: found unexpected end of stream while scanning a quoted scalar");
    refused(t, "train: {epochs: 1\n", "x.yaml:2:1: malformed YAML: did not find expected ',' or '}' while parsing a "
                                      "flow mapping");
    refused(t, "name: a: b\n", "x.yaml:1:8: malformed YAML: mapping values are not allowed in this context");
    refused_bytes(t, "\xff\xfen\0a\0", 6, "x.yaml:1:1: malformed YAML: invalid leading UTF-8 octet (byte 0xff)");
    static const char png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    refused_bytes(t, png, sizeof png - 1, "x.yaml:1:1: malformed YAML: invalid leading UTF-8 octet (byte 0x89)");
}

/* As large as a config may be, and each kind of opening: must end at once, with a place. */
static void deep_and_large(test *t)
{
    enum { SIZE = 1 << 20 };
    static const struct {
        const char *start, *part, *message;
    } cases[] = {
        {"", "[", "x.yaml:1:1: expected a map of keys, found a list"},
        {"", "{", "x.yaml:1:2: expected a key, found a map of keys"},
        {"name: ", "[", "x.yaml:1:7: 'name' expects text, found a list"},
        {"name: ", "{a: ", "x.yaml:1:7: 'name' expects text, found a map of keys"},
        {"train: ", "{epochs: ", "x.yaml:1:17: 'train.epochs' expects an integer from 1 to 100000, found a map of keys"},
        {"", "- ", "x.yaml:1:1: expected a map of keys, found a list"},
        {"", "? ", "x.yaml:1:3: expected a key, found a map of keys"},
        {"", "train:\n", "x.yaml:1:7: 'train' expects a map of keys (epochs, seed, learning_rate, later), found nothing"},
    };
    char *bytes = malloc(SIZE + 1);
    REQUIRE(t, bytes);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t used = strlen(cases[i].start), part = strlen(cases[i].part);
        memcpy(bytes, cases[i].start, used);
        for (; used + part <= SIZE; used += part) memcpy(bytes + used, cases[i].part, part);
        refused_bytes(t, bytes, used, cases[i].message);
    }
    memset(bytes, '\t', SIZE);
    refused_bytes(t, bytes, SIZE, "x.yaml:1:1: malformed YAML: a tab stands here; indent with spaces");
    memset(bytes, ' ', SIZE + 1);
    refused_bytes(t, bytes, SIZE + 1, "x.yaml: larger than the limit of 1048576 bytes");
    fixture f;
    REQUIRE(t, setup(&f));
    memset(bytes, 'x', SIZE);
    memcpy(bytes, "name: ", 6);
    REQUIRE_OK(t, read_bytes(&f, bytes, SIZE), f.err);
    CHECK(t, strlen(f.o.name) == SIZE - 6);
    config_destroy(f.c);
    free(bytes);
}

/* Every beginning and every changed byte of a good config either reads or is refused with a place. */
static void mutations(test *t)
{
    static const char yaml[] = "name: \"a\\tb\"\nnote: |\n  x\n  y\ndomains:\n  a: {train: 'd'}\nloss: {lambda_cycle: 1e1}\n"
                               "train:\n  seed: 3 # why\n";
    static const char bytes[] = "\0\t\n \"#%&'*,-:>?@[]`{|}~!\x7f\x80\xc3\xff""0ae";
    char changed[sizeof yaml];
    fixture f;
    REQUIRE(t, setup(&f));
    for (size_t at = 0; at < sizeof yaml - 1; at++) {
        status result = read_bytes(&f, yaml, at);
        CHECK(t, result == STATUS_OK || (result == STATUS_USAGE && strncmp(f.err.message, "x.yaml:", 7) == 0));
        for (size_t b = 0; b < sizeof bytes - 1; b++) {
            memcpy(changed, yaml, sizeof yaml);
            changed[at] = bytes[b];
            result = read_bytes(&f, changed, sizeof yaml - 1);
            CHECK(t, result == STATUS_OK || (result == STATUS_USAGE && strncmp(f.err.message, "x.yaml:", 7) == 0));
        }
    }
    config_destroy(f.c);
}

static void empty_files(test *t)
{
    static const char *const empties[] = {"", "\n\n", "# nothing\n", "---\n", "---\n...\n", "\xef\xbb\xbf"};
    for (size_t i = 0; i < sizeof empties / sizeof *empties; i++) {
        fixture f;
        REQUIRE(t, setup(&f));
        REQUIRE_OK(t, read_yaml(&f, empties[i]), f.err);
        CHECK(t, config_finish(f.c, &f.err) == STATUS_USAGE);
        CHECK_TEXT(t, f.err.message, "x.yaml: required key is missing: 'domains.a.train'");
        REQUIRE_OK(t, config_set(f.c, "domains.a.train=x", &f.err), f.err);
        REQUIRE_OK(t, config_finish(f.c, &f.err), f.err);
        config_destroy(f.c);
    }
    fixture f;
    REQUIRE(t, setup(&f));
    REQUIRE_OK(t, config_read_text(f.c, "x.yaml", NULL, 0, &f.err), f.err);
    config_destroy(f.c);
    refused(t, "\xef\xbb\xbfnam: x\n", "x.yaml:1:1: unknown key 'nam'; did you mean 'name'?");
    refused(t, "name: x\r\nnote: y\r\nnane: z\r\n", "x.yaml:3:1: unknown key 'nane'; did you mean 'name'?");
}

static void set_refused(test *t, const char *assignment, const char *message)
{
    fixture f;
    REQUIRE(t, setup(&f));
    CHECK(t, config_set(f.c, assignment, &f.err) == STATUS_USAGE && f.err.code == STATUS_USAGE);
    CHECK_TEXT(t, f.err.message, message);
    config_destroy(f.c);
}

static void set(test *t)
{
    fixture f;
    REQUIRE(t, setup(&f));
    REQUIRE_OK(t, read_yaml(&f, "train: {epochs: 5}\n"), f.err);
    static const char *const assignments[] = {"train.epochs=7", "loss.lambda_cycle=2.5", "data.flip=false",
                                              "model.upsample=transpose", "name=a=b: c # d", "note=x", "note=",
                                              "train.seed=1", "train.seed=2"};
    for (size_t i = 0; i < sizeof assignments / sizeof *assignments; i++)
        REQUIRE_OK(t, config_set(f.c, assignments[i], &f.err), f.err);
    CHECK(t, f.o.epochs == 7 && f.o.lambda_cycle == 2.5 && !f.o.flip && f.o.upsample == 1 && f.o.seed == 2);
    CHECK_TEXT(t, f.o.name, "a=b: c # d");
    CHECK(t, f.o.note == NULL);
    CHECK_TEXT(t, config_where(f.c, "train.epochs"), "--set");
    CHECK(t, config_was_given(f.c, "train.epochs"));
    config_destroy(f.c);
    set_refused(t, "loss.lamda_cycle=3",
                "--set loss.lamda_cycle=3: unknown key 'loss.lamda_cycle'; did you mean 'loss.lambda_cycle'?");
    set_refused(t, "epochs=3", "--set epochs=3: unknown key 'epochs'; did you mean 'train.epochs'?");
    set_refused(t, "zzzzzzzz=3", "--set zzzzzzzz=3: unknown key 'zzzzzzzz'");
    set_refused(t, "train.epochs", "--set train.epochs: expected KEY=VALUE");
    set_refused(t, "=3", "--set =3: expected KEY=VALUE");
    set_refused(t, "loss=3", "--set loss=3: 'loss' holds no value but the keys lambda_cycle");
    set_refused(t, "train.epochs=x",
                "--set train.epochs=x: 'train.epochs' expects an integer from 1 to 100000, found 'x'");
    set_refused(t, "data.flip=on", "--set data.flip=on: 'data.flip' expects true or false, found 'on'; write true");
    set_refused(t, "train.epochs=", "--set train.epochs=: 'train.epochs' expects an integer from 1 to 100000, found nothing");
    set_refused(t, "domains.a.train=", "--set domains.a.train=: 'domains.a.train' expects text, found nothing");
    set_refused(t, "note=\xc3", "--set note=\\xc3: the value is not valid UTF-8");
}

static void table_refused(test *t, const config_field *table_fields, size_t count, const char *part)
{
    options o;
    config *c;
    error err = {0};
    config_table table = {table_fields, count, &o};
    CHECK(t, config_create(&table, 1, &c, &err) == STATUS_FAILED && c == NULL && err.code == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, part);
}

static void table_mistakes(test *t)
{
    static const config_field twice[] = {{.key = "a.b"}, {.key = "a.b"}};
    static const config_field map_first[] = {{.key = "a.b"}, {.key = "a"}};
    static const config_field value_first[] = {{.key = "a"}, {.key = "a.b"}};
    static const config_field bad_default[] = {
        {"n", CONFIG_STRING, offsetof(options, name), .fallback = "freed"},
        {"a", CONFIG_INT, offsetof(options, seed), .fallback = "0", .minimum = 1, .maximum = 2}};
    static const config_field bad_range[] = {{.key = "a", .type = CONFIG_INT, .minimum = 1}};
    static const config_field no_choices[] = {{.key = "a", .type = CONFIG_CHOICE}};
    table_refused(t, twice, 2, "the key 'a.b' is there twice");
    table_refused(t, map_first, 2, "the key 'a' is a map of others");
    table_refused(t, value_first, 2, "'a.b' lies inside a key that holds a value");
    table_refused(t, bad_default, 2, "config table: default: 'a' expects an integer from 1 to 2, found '0'");
    table_refused(t, bad_range, 1, "the range of 'a' is empty");
    table_refused(t, no_choices, 1, "'a' has no choices");
}

static void files(test *t)
{
    fixture f;
    char path[] = "/tmp/cyclegan-config-XXXXXX", expected[96];
    REQUIRE(t, setup(&f));
    CHECK(t, config_read_file(f.c, "/tmp/no/such.yaml", &f.err) == STATUS_USAGE && f.err.code == STATUS_USAGE);
    CHECK_CONTAINS(t, f.err.message, "/tmp/no/such.yaml: cannot open: No such file");
    int descriptor = mkstemp(path);
    REQUIRE(t, descriptor >= 0);
    close(descriptor);
    REQUIRE_OK(t, file_write_all(path, "name: x\nnane: y\n", 16, &f.err), f.err);
    CHECK(t, config_read_file(f.c, path, &f.err) == STATUS_USAGE);
    snprintf(expected, sizeof expected, "%s:2:1: unknown key 'nane'; did you mean 'name'?", path);
    CHECK_TEXT(t, f.err.message, expected);
    CHECK(t, truncate(path, (1 << 20) + 1) == 0);
    CHECK(t, config_read_file(f.c, path, &f.err) == STATUS_USAGE);
    CHECK_CONTAINS(t, f.err.message, "larger than the limit of 1048576 bytes");
    unlink(path);
    config_destroy(f.c);
}

TEST_MAIN(TEST(defaults), TEST(reads_values), TEST(unknown_keys), TEST(unknown_keys_are_passed_over), TEST(duplicates), TEST(wrong_types), TEST(ranges),
          TEST(bools_and_choices), TEST(wrong_structure), TEST(null_resets_text), TEST(hostile_text),
          TEST(deep_and_large), TEST(mutations), TEST(empty_files), TEST(set),
          TEST(table_mistakes), TEST(files))
